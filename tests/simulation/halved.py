"""Real tuned arms whose rates were all trained to the end, searched again by halving: the rate it takes, at what cost.

    python -m simulation.halved --after 2 --after 4 RESULTS/PLAN...

A run that ends early is the beginning of the longer one, evaluated after the same epochs, so what halving would have
seen is in the records of every rate. Each batch is searched with each choice of the seeds that come first. Rates beyond
those of the plan were not trained: they count as lost here.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from batchscale.analysis.study.tuning.halving import Tried
from batchscale.analysis.tables.outcome import kind_of, Outcome
from batchscale.analysis.tables.reading import read
from batchscale.analysis.tables.results import Results
from batchscale.analysis.tables.tuned_rates import Trial, trials_of
from batchscale.benchmarks.planning.tuning import Halving, TO_THE_END
from batchscale.benchmarks.records.store import Store
from batchscale.benchmarks.schedules.rules import TUNED_RULE
from simulation.halving import Compared, compared

SEEDS = 3


@dataclass(frozen=True)
class Halved:
    """One search, and what it took beside the best of all rates."""

    experiment: str
    global_batch: int
    found: Compared


def searches(results: Results, after: Sequence[int]) -> Iterator[Halved]:
    """Yield each batch of a study whose rates were all trained to the end, with each choice of the first seeds."""
    runs = results.all_runs[results.all_runs["rule"] == TUNED_RULE]
    for (experiment, batch), own in runs.groupby(["experiment", "global_batch"]):
        every = sorted(set(own["seed"]))
        for first in combinations(every, min(SEEDS, len(every))):
            order = [*first, *(seed for seed in every if seed not in first)]
            lengths = {length: _ended_after(results, own, length) for length in (*after, TO_THE_END)}
            yield _one(str(experiment), int(batch), lengths, order, kind_of(own), int(own["epochs"].max()))


def _ended_after(results: Results, runs: pd.DataFrame, length: int) -> pd.DataFrame:
    """The runs as they were after so many epochs."""
    if length == TO_THE_END:
        return runs
    rows = results.all_evaluations
    then = rows[rows["run_id"].isin(runs["run_id"]) & np.isclose(rows["epoch"], length)].set_index("run_id")
    names = ["validation_loss", "validation_accuracy"]
    # A run that was lost before has no evaluation then, and stays lost.
    status = ["completed" if one in then.index else was for one, was in zip(runs["run_id"], runs["status"])]
    return runs.assign(status=status, stops_after=length,
                       **{name: runs["run_id"].map(then[name]) for name in names})


def _one(experiment: str, batch: int, lengths: dict[int, pd.DataFrame], order: Sequence[int], outcome: Outcome,
         epochs: int) -> Halved:
    trials = int(lengths[TO_THE_END]["trial"].nunique())
    after = tuple(length for length in lengths if length != TO_THE_END)
    halving = Halving(after, trials, tuple(dict.fromkeys((min(SEEDS, len(order)), len(order)))))

    @cache
    def at(count: int) -> Tried:
        found: dict[tuple[int, int], Trial] = {}
        for length, rows in lengths.items():
            own = list(trials_of(rows[rows["seed"].isin(order[:count])], count, outcome))
            beyond = range(trials, len(halving.places))
            lost = [Trial(number, 0.0, outcome, outcome.mean([]), 0, 1, 0, length) for number in beyond]
            found |= {(one.trial, length): one for one in (*own, *lost)}
        return found

    return Halved(experiment, batch, compared(halving, at, epochs))


def summary(found: Sequence[Halved]) -> str:
    """Return what many searches come to, in a sentence."""
    apart = np.array([one.found.apart for one in found])
    return (f"{len(found)} searches: the best rate of all in {np.mean(apart == 0):.0%}, within one rate of it in "
            f"{np.mean(apart <= 1):.0%}; at most {max(one.found.worse for one in found):.4f} worse; "
            f"{np.mean([one.found.share for one in found]):.0%} of the epochs")


def main() -> None:
    """Print a line for each batch of the results folders that are named, and one for all."""
    parser = argparse.ArgumentParser(description="Search real tuned arms again by halving.")
    parser.add_argument("folders", nargs="+", type=Path, help="results folders of plans with a tuned arm")
    parser.add_argument("--after", action="append", type=int, required=True, help="epochs, as in halve_after")
    arguments, found = parser.parse_args(), list[Halved]()
    for folder in arguments.folders:
        own = list(searches(read(Store(folder)), arguments.after))
        for key in dict.fromkeys((one.experiment, one.global_batch) for one in own):
            there = [one for one in own if (one.experiment, one.global_batch) == key]
            print(f"{folder.name}, {key[0]}, batch {key[1]:,}: {summary(there)}", flush=True)
        found += own
    print(summary(found))


if __name__ == "__main__":
    main()
