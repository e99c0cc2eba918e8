"""What the records of a store ask for: further seeds where looks decide them, further rates where they are halved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ....analysis.decision.looks import judged, timed_batches
from ....analysis.decision.looks.judged import Looks
from ....analysis.study.tuning import halving as rates
from ....analysis.study.tuning.halving import RateSearch
from ....analysis.tables.reading import read
from ....benchmarks.planning.plan import Plan
from ....benchmarks.planning.tuning import halving
from ....benchmarks.records.run_folder import Run
from ....benchmarks.records.store import Store
from ....benchmarks.runs.run_config import RunConfig
from ....benchmarks.schedules.rules import TUNED_RULE
from .budget import Turn


@dataclass(frozen=True)
class Asked:
    """The runs that records ask for, in the plan's order, the open batches in turn, and what is said of all. over:
    shorter runs of rates, of searches that have found one, so that hardly any goes on."""

    runs: list[RunConfig]
    turns: list[Turn]
    said: list[str]
    over: list[Run]


@dataclass(frozen=True)
class _Found:
    """Seeds and rates as the records have them by now, and in sentences; waits: the timing experiments that wait for
    accuracy, and for which experiments."""

    looks: tuple[Looks, ...]
    searches: tuple[RateSearch, ...]
    waits: Mapping[str, Sequence[str]]
    said: list[str]


def _found(store: Store) -> _Found:
    results = read(store)
    found, searches = judged.sequential_looks(results), rates.rate_searches(results)
    epochs = {one.config.experiment: one.config.epochs for one in store.runs()}
    return _Found(found, searches, timed_batches.of_plan(results), [
        *rates.sentences(searches, epochs), *judged.sentences(found), *timed_batches.sentences(results, found)])


def lines(store: Store) -> list[str]:
    """Return what is decided, a line for each experiment whose seeds are decided by looks, and each batch whose rates
    are by halving; none where there is none."""
    return _found(store).said


def is_open(store: Store) -> bool:
    """Return whether looks, or searches for rates, ask for more runs than plan.json lists."""
    found, listed = _found(store), [run.config for run in store.runs()]
    seeds = any(one.open and any(_lacks(one.wanted[cell], cell, one.experiment, listed) for cell in one.wanted)
                for one in found.looks)
    rates_lack = any(_lacks_rates(one, found.looks, listed) for one in found.searches)
    return seeds or rates_lack or any(_lacks_times(store, name, others, found.looks, listed)
                                      for name, others in found.waits.items())


def _lacks_times(store: Store, name: str, others: Sequence[str], seeds: Sequence[Looks],
                 listed: Sequence[RunConfig]) -> bool:
    """An experiment of which this machine can do nothing is in the manifest's list of what was skipped."""
    return (timed_batches.given_up(seeds, others) is not None and all(one.experiment != name for one in listed)
            and all(one.experiment != name for one in store.manifest.skipped))


def _lacks_rates(search: RateSearch, seeds: Sequence[Looks], listed: Sequence[RunConfig]) -> bool:
    at = search.experiment, TUNED_RULE, search.global_batch
    own = {(one.trial, one.stops_after, one.seed) for one in listed
           if (one.experiment, one.rule, one.global_batch) == at}
    return any((trial, length, seed) not in own for (trial, length), count in search.asked.items()
               for seed in range(search.first_seed, search.first_seed + count) if judged.wanted_of(seeds, *at, seed))


def _lacks(wanted: int, cell: tuple[str, int], experiment: str, listed: Sequence[RunConfig]) -> bool:
    seeds = {one.seed for one in listed if (one.experiment, one.rule, one.global_batch) == (experiment, *cell)}
    return len(seeds) < wanted


def asked(store: Store, plan: Plan, runs: Sequence[RunConfig]) -> Asked:
    """Return which of a plan's runs the records ask for."""
    found = _found(store)
    wanted = [one for one in _searched(plan, found.searches, runs) if _is_wanted(one, found)]
    turns = [((one.experiment, one.rule, one.global_batch), seeds) for one, seeds in judged.in_turn(found.looks)]
    settled = {(one.experiment, one.global_batch) for one in found.searches if one.settled}
    over = [run for run in store.runs() if run.config.stops_after
            and (run.config.experiment, run.config.global_batch) in settled]
    return Asked(wanted, turns, found.said, over)


def _is_wanted(run: RunConfig, found: _Found) -> bool:
    if run.experiment in found.waits:
        return timed_batches.is_timed(found.looks, found.waits[run.experiment], run.global_batch)
    return run.kind != "accuracy" or judged.wanted_of(found.looks, run.experiment, run.rule, run.global_batch, run.seed)


def _searched(plan: Plan, searches: Sequence[RateSearch], runs: Sequence[RunConfig]) -> list[RunConfig]:
    """The runs without those of rates that no search asks for."""
    first = int(plan.settings.get("first_seed", 0))
    halved = {str(one["name"]): own for one in plan.experiments if (own := halving(one))}
    of = {(one.experiment, one.global_batch): one for one in searches}
    wanted = []
    for one in runs:
        key = (one.experiment, one.global_batch)
        if one.rule == TUNED_RULE and one.experiment in halved:
            search = of.setdefault(key, rates.begun(*key, halved[one.experiment], first))
            if not search.asks_for(one.trial, one.stops_after, one.seed):
                continue
        wanted.append(one)
    return wanted
