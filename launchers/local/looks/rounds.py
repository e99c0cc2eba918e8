"""Which runs of a plan are asked for now: all of them, but for experiments whose seeds are decided by looks.

What is asked for follows from the records alone (`analysis/decision/looks.py`), so a study that was stopped anywhere
goes on at the same look. plan.json lists what is asked for; a run that a decision made needless is in no list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

from ....benchmarks.errors import EXIT_INCOMPLETE, EXIT_OK, EXIT_RUNS_FAILED, RecordError
from ....benchmarks.planning.derived_keys import seed_looks
from ....benchmarks.planning.plan import Plan
from ....benchmarks.records.store import Store
from ....benchmarks.runs.run_config import RunConfig
from .budget import Budget, Turn

Keep = Callable[[list[RunConfig], int], None]
"""Writes the runs that are asked for into the store, the plan's text with them, and how many the budget holds back."""


def is_sequential(plan: Plan) -> bool:
    """Return whether looks decide the seeds of any experiment of the plan."""
    return any(map(seed_looks, plan.experiments))


def first_runs(plan: Plan, runs: Sequence[RunConfig], share: float = 0.0) -> list[RunConfig]:
    """Return the runs that are done whatever comes of them; share: of the seeds beyond them, those that are done
    too."""
    first = int(plan.settings.get("first_seed", 0))
    looks = {str(one["name"]): own for one in plan.experiments if (own := seed_looks(one))}
    most = {name: own[0] + round(share * (own[-1] - own[0])) for name, own in looks.items()}
    return [one for one in runs if one.kind != "accuracy" or one.seed - first < most.get(one.experiment, one.seed + 1)]


def rounds(plan: Plan, store: Store, runs: list[RunConfig], keep: Keep,
           do: Callable[[], int], say: Callable[[str], None], budget: Budget = Budget()) -> int:
    """Do what is asked for, judge, and again while more is asked for. Returns the exit code of the last round.

    do: does the runs that are kept and not done. A round that did not end by itself is the last one, and so is one that
    the budget cut short.
    """
    if not is_sequential(plan):
        afforded = budget.afforded(store, runs)
        keep(afforded, len(runs) - len(afforded))
        return do() or (EXIT_INCOMPLETE if len(afforded) < len(runs) else EXIT_OK)
    keep(_asked_before(plan, store, runs), 0)
    asked = _asked(store, runs)
    for number in count(1):
        now = budget.soonest(store, asked.runs, asked.turns)
        afforded = budget.afforded(store, now)
        keep(afforded, len(asked.runs) - len(afforded))
        code = do()
        if len(afforded) < len(now):
            say("the budget is spent; run the same command again to go on")
            return code or EXIT_INCOMPLETE
        asked = _asked(store, runs)
        for line in asked.said:
            say(line)
        if code not in (EXIT_OK, EXIT_RUNS_FAILED) or _names(asked.runs) == _names(now):
            return code
        say(f"look {number + 1}: {len(asked.runs) - len(now)} more runs are asked for")
    return EXIT_OK


def lines(store: Store) -> list[str]:
    """Return what is decided, a line for each experiment whose seeds are decided by looks; none where there is none."""
    return _asked(store, ()).said


def is_open(store: Store) -> bool:
    """Return whether looks ask for more runs than plan.json lists."""
    from ....analysis.decision import looks
    from ....analysis.tables.reading import read
    found = looks.sequential_looks(read(store))
    listed = [run.config for run in store.runs()]
    return any(one.open and any(_lacks(one.wanted[cell], cell, one.experiment, listed) for cell in one.wanted)
               for one in found)


def _lacks(wanted: int, cell: tuple[str, int], experiment: str, listed: Sequence[RunConfig]) -> bool:
    seeds = {one.seed for one in listed if (one.experiment, one.rule, one.global_batch) == (experiment, *cell)}
    return len(seeds) < wanted


def _asked_before(plan: Plan, store: Store, runs: Sequence[RunConfig]) -> list[RunConfig]:
    """The first runs, and those that plan.json lists already, in the plan's order."""
    try:
        before = set(store.manifest.runs)
    except RecordError:  # nothing was written yet, or nothing that can be read
        before = set()
    first = _names(first_runs(plan, runs))
    return [one for one in runs if one.run_id in first or one.run_id in before]


@dataclass(frozen=True)
class _Asked:
    """What the records ask for: runs in the plan's order, the open batches in turn, and what is said of all."""

    runs: list[RunConfig]
    turns: list[Turn]
    said: list[str]


def _asked(store: Store, runs: Sequence[RunConfig]) -> _Asked:
    from ....analysis.decision import looks
    from ....analysis.tables.reading import read
    found = looks.sequential_looks(read(store))
    asked = [one for one in runs if one.kind != "accuracy"
             or looks.wanted_of(found, one.experiment, one.rule, one.global_batch, one.seed)]
    turns = [((one.experiment, one.rule, one.global_batch), seeds) for one, seeds in looks.in_turn(found)]
    return _Asked(asked, turns, looks.sentences(found))


def _names(runs: Sequence[RunConfig]) -> set[str]:
    return {one.run_id for one in runs}
