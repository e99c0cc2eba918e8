"""How to repeat the study."""

from __future__ import annotations

import shlex
from pathlib import Path

from .....benchmarks.planning.plan import bundled
from .....benchmarks.planning.variants.set_keys import set_words
from .....benchmarks.records.manifest import Manifest
from ...blocks import Section
from ...builder import section
from ...findings import Findings


@section("repeat", "How to repeat it", origin="own")
def build(findings: Findings) -> Section:
    """Return the commands that do all of it again."""
    plan = findings.results.plan
    text = [f"The plan \"{plan.name}\" as it was run is below; save it and run the first command. The "
            "others go on with what is missing, do one run again from its record, and write this report again."]
    words = study_words(plan)
    commands = (f"batchscale study {words}", f"batchscale run {words} --retry",
                f"batchscale run results/{plan.name}/RUN/record.json", f"batchscale report results/{plan.name}")
    return Section(tuple(text), commands=commands,
                   listing=plan.text, listing_title="The plan")


def study_words(plan: Manifest) -> str:
    """Return what stands behind `batchscale study` to do the study of a results folder again."""
    return shlex.join([*(plan.words or (plan_source(plan.source, plan.name),)), *set_words(plan.sets)])


def plan_source(source: str, name: str) -> str:
    """Return a bundled plan's name, by which every machine has it, or else the plan's file."""
    path = Path(source)
    if path.stem in bundled() and path.parent.name == bundled()[path.stem].parent.name:
        return path.stem
    return source or name or "plan.toml"
