"""What is said before the first run: that the model is being looked at, then the plan, its size and what to know."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from ....benchmarks.planning.expansion import Skip
from ....benchmarks.planning.foreseen import to_know
from ....benchmarks.planning.plan import Plan
from ....benchmarks.planning.variants import stand_ins
from ....benchmarks.runs.run_config import RunConfig
from ....benchmarks.text import counted, duration

MOST_REMARKS = 8


def say_checking() -> None:
    """Say at once that data and model are looked at, which takes seconds; on standard error, beside the answer."""
    print("checking data and model", file=sys.stderr, flush=True)


def header(name: str, runs: int, stages: int, seconds: float) -> str:
    """Return the first line about a plan, the same in its dry run and when it is run."""
    return f"plan {name}: {counted(runs, 'run')} in {counted(stages, 'stage')}, about {duration(seconds)} here"


def chosen(plan: Plan, folder: Path) -> list[str]:
    """Return a line for what was set on the command line, and one for each data set that has a stand-in."""
    given = [f"set: {', '.join(plan.sets)}; results in {folder}"] if plan.sets else []
    return [*given, *plan.notes, *stand_ins.sentences(plan.stand_ins, folder)]


def left_out(skipped: Iterable[Skip]) -> list[str]:
    """Return a line for each part of the plan that cannot be done here."""
    return [f"left out: {skip.experiment}, {skip.what}: {skip.reason}" for skip in skipped]


def remarks(runs: Sequence[RunConfig], most: int | None = None) -> list[str]:
    """Return a line for each thing to know about the runs; beyond `most` the rest is counted."""
    found = [f"to know: {text}" for text in to_know(runs)]
    if most is None or len(found) <= most:
        return found
    return [*found[:most], f"to know: {len(found) - most} more; `batchscale plan` lists them"]


def reasons(skipped: Iterable[Skip]) -> str:
    """Return why nothing can be done here, each reason once with what it rules out."""
    found: dict[str, list[str]] = {}
    for skip in skipped:
        found.setdefault(skip.reason, []).append(skip.what)
    return "; ".join(f"{reason} ({', '.join(dict.fromkeys(what))})" for reason, what in found.items())
