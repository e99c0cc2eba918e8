"""How to repeat the study."""

from __future__ import annotations

import shlex

from .....benchmarks.planning.variants.set_keys import set_words
from ...blocks import Section
from ...builder import section
from ...findings import Findings


@section("repeat", "How to repeat it", origin="own")
def build(findings: Findings) -> Section:
    """Return the commands that do all of it again."""
    plan = findings.results.plan
    text = [f"The plan \"{plan.name}\" as it was run is below; save it and run the first command. The "
            "others go on with what is missing, do one run again from its record, and write this report again."]
    words = shlex.join([*(plan.words or (plan.source or plan.name or "plan.toml",)), *set_words(plan.sets)])
    commands = (f"batchscale study {words}", f"batchscale run {words} --retry",
                "batchscale run RESULTS/PLAN/RUN/record.json", "batchscale report RESULTS/PLAN")
    return Section(tuple(text), commands=commands,
                   listing=plan.text, listing_title="The plan")
