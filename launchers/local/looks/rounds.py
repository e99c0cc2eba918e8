"""Which runs of a plan are asked for now: all of them, but for experiments whose seeds are decided by looks, or whose
rates by halving.

What is asked for follows from the records alone (`analysis/decision/looks/`, `analysis/study/tuning/halving.py`), so a
study that was stopped anywhere goes on at the same look. plan.json lists what is asked for; a run that a decision made
needless is in no list, and no timing that waits for accuracy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count

from ....benchmarks.errors import EXIT_INCOMPLETE, EXIT_OK, EXIT_RUNS_FAILED, RecordError
from ....benchmarks.planning.derived_keys import seed_looks, seeds_for_claims, waiting_for_accuracy
from ....benchmarks.planning.plan import Plan
from ....benchmarks.planning.tuning import halving
from ....benchmarks.records.run_folder import remove_states
from ....benchmarks.records.store import Store
from ....benchmarks.runs.run_config import RunConfig
from ....benchmarks.schedules.rules import PUBLISHED_RULE, TUNED_RULE
from .budget import Budget

Keep = Callable[[list[RunConfig], int], None]
"""Writes the runs that are asked for into the store, the plan's text with them, and how many the budget holds back."""


def is_sequential(plan: Plan) -> bool:
    """Return whether looks decide the seeds of any experiment of the plan, or halving its rates."""
    return any(seed_looks(one) or halving(one) for one in plan.experiments)


def first_runs(plan: Plan, runs: Sequence[RunConfig]) -> list[RunConfig]:
    """Return the runs that are done whatever comes of them."""
    halved = {str(one["name"]): own for one in plan.experiments if (own := halving(one))}
    waits = waiting_for_accuracy(plan.experiments)
    return [one for one in first_seeds(plan, runs, 0.0) if one.experiment not in waits
            if one.rule != TUNED_RULE or (own := halved.get(one.experiment)) is None
            or one.stops_after == own.epochs[0] and one.trial < own.trials]


def first_seeds(plan: Plan, runs: Sequence[RunConfig], share: float) -> list[RunConfig]:
    """Return the runs of the fewest seeds that there are to be, and of a share of those beyond them; batches one after
    another take the fewest."""
    first = int(plan.settings.get("first_seed", 0))
    looks = {str(one["name"]): own for one in plan.experiments if (own := seed_looks(one))}
    most = {name: own[0] + round(share * (own[-1] - own[0])) for name, own in looks.items()}
    claims = _claims(plan, runs)

    def seeds(one: RunConfig) -> int:
        usual = looks[one.experiment][0] if one.rule == PUBLISHED_RULE else most[one.experiment]
        return max(usual, claims.get((one.experiment, one.rule, one.global_batch), 0))
    return [one for one in runs
            if one.kind != "accuracy" or one.experiment not in looks or one.seed - first < seeds(one)]


def _claims(plan: Plan, runs: Sequence[RunConfig]) -> dict[tuple[str, str, int], int]:
    """The seeds that experiments, rules and batches take for the claims."""
    found: dict[tuple[str, str, int], int] = {}
    for one in plan.experiments:
        own = [run for run in runs if run.experiment == one["name"] and run.kind == "accuracy"]
        cells = {(run.rule, run.global_batch) for run in own}
        reference = min((run.reference_batch for run in own), default=0)
        found |= {(str(one["name"]), *cell): seeds for cell, seeds in seeds_for_claims(one, cells, reference).items()}
    return found


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
    from . import asked as records  # tables take a while to import, and a plan without looks needs none
    keep(_asked_before(plan, store, runs), 0)
    asked = records.asked(store, plan, runs)
    for number in count(1):
        now = budget.soonest(store, asked.runs, asked.turns)
        afforded = budget.afforded(store, now)
        keep(afforded, len(asked.runs) - len(afforded))
        code = do()
        if len(afforded) < len(now):
            say("the budget is spent; run the same command again to go on")
            return code or EXIT_INCOMPLETE
        asked = records.asked(store, plan, runs)
        for line in asked.said:
            say(line)
        for run in asked.over:
            remove_states(run)
        if code not in (EXIT_OK, EXIT_RUNS_FAILED) or names(asked.runs) == names(now):
            return code
        say(f"look {number + 1}: {len(names(asked.runs) - names(now))} more runs are asked for")
    return EXIT_OK


def _asked_before(plan: Plan, store: Store, runs: Sequence[RunConfig]) -> list[RunConfig]:
    """The first runs, and those that plan.json lists already, in the plan's order."""
    try:
        before = set(store.manifest.runs)
    except RecordError:  # nothing was written yet, or nothing that can be read
        before = set()
    first = names(first_runs(plan, runs))
    return [one for one in runs if one.run_id in first or one.run_id in before]


def names(runs: Sequence[RunConfig]) -> set[str]:
    """Return the names of runs."""
    return {one.run_id for one in runs}
