"""What makes the page answer: its scripts and their style, and the numbers from which it decides again."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ...benchmarks.planning.variants.set_keys import set_words
from ...benchmarks.records.schema import finite
from ..decision.candidates import table_of
from ..decision.decision import Decision
from ..study.study import Study
from .findings import Findings, FOREIGN, OWN
from .sections.runs.repeat import plan_source

# In the order in which they need each other.
SCRIPTS = ("student", "decision", "state", "tables", "charts", "controls", "page")
STYLE = "live.css"
STATIC = Path(__file__).parent / "static"


@dataclass(frozen=True)
class Live:
    """Data of the page's scripts, and the scripts."""

    values: dict[str, Any]

    @property
    def percent(self) -> bool:
        """Return whether an experiment is judged by its accuracy."""
        return any(table["percent"] for table in self.values["tables"])

    @property
    def loss(self) -> bool:
        """Return whether an experiment is judged by its loss."""
        return any(not table["percent"] for table in self.values["tables"])

    @property
    def data(self) -> Markup:
        """Return the values as JSON that can stand in a script element: no text of a record ends it."""
        text = json.dumps(finite(self.values), separators=(",", ":"), ensure_ascii=False)
        return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))

    @property
    def script(self) -> Markup:
        """Return all scripts as one text."""
        return Markup("\n".join(_static(f"{name}.js") for name in SCRIPTS))

    @property
    def style(self) -> Markup:
        """Return the style sheet of what the scripts add."""
        return Markup(_static(STYLE))


def live_of(findings: Findings) -> Live:
    """Return what the page needs to answer; imported runs have no command that repeats them."""
    results, plan = findings.results, findings.results.plan
    tables = [] if findings.origin == FOREIGN else candidate_tables(findings.study, findings.decided)
    words = shlex.join([plan_source(plan.source, plan.name), *set_words(plan.sets)])
    repeat = f"batchscale run {words} --only '{{}}' --results results/again" if findings.origin == OWN else ""
    return Live({"repeat": repeat, "report": f"batchscale report results/{shlex.quote(plan.name or 'PLAN')}",
                 "settings": {"margin": results.margin, "loss_margin": results.loss_margin, "price": results.price,
                              "deadline": findings.deadline_seconds}, "tables": tables})


def candidate_tables(study: Study, decided: Decision) -> list[dict[str, Any]]:
    """Return the table of candidates of each experiment that has a recommendation or a reason for none."""
    grounds = {one.experiment: one for one in decided.grounds}
    return [table_of(study.arms_by_experiment[one.experiment],
                     [option for option in decided.options if option.experiment == one.experiment],
                     grounds[one.experiment], one, decided.worthwhile, study.results)
            for one in decided.recommendations if one.experiment in study.arms_by_experiment]


def _static(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")
