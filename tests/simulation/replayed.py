"""Real studies with all their seeds, replayed by looks: whether they keep the same batches, and by how many runs.

    python -m simulation.replayed RESULTS/PLAN...

A study that took N seeds is judged as if its plan said seeds = "auto" and max_seeds = N, from the same records: at a
look, those of its seeds alone. A batch is kept where it is shown to be not worse or the same.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec import structs

from batchscale.analysis.decision.looks.judged import Cell, NOT_WORSE, SAME, sequential_looks
from batchscale.analysis.study.arms import Arm, load_arms
from batchscale.analysis.study.non_inferiority import loss_tests
from batchscale.analysis.tables.reading import read
from batchscale.analysis.tables.results import Results
from batchscale.benchmarks.records.store import Store

SEEDS = re.compile(r"(?m)^(\s*)seeds\s*=\s*(\d+)")


@dataclass(frozen=True)
class Replayed:
    """One experiment: what all its seeds keep, what looks keep, and the share of its runs that they take."""

    experiment: str
    by_all: frozenset[Cell]
    by_looks: frozenset[Cell]
    share: float

    def __str__(self) -> str:
        differs = ", ".join(f"{batch:,} ({rule})" for rule, batch in sorted(self.by_all ^ self.by_looks))
        return (f"{self.experiment}: {'other batches kept: ' + differs if differs else 'the same batches kept'}, "
                f"{self.share:.0%} of the runs")


def replayed(results: Results) -> Iterator[Replayed]:
    """Yield each experiment of a study that took a number of seeds, more than a first look has."""
    auto = SEEDS.sub(r'\1seeds = "auto"\n\1max_seeds = \2', results.plan.text)
    arms = load_arms(results)
    for looks in sequential_looks(replace(results, plan=structs.replace(results.plan, text=auto))):
        own = [arm for arm in arms if arm.experiment == looks.experiment]
        kept = {(one.rule, one.global_batch) for one in looks.judged if one.answer in (NOT_WORSE, SAME)}
        if own:  # of a study of some experiments, the others have no runs
            yield Replayed(looks.experiment, frozenset(_kept(own)), frozenset(kept),
                           sum(looks.wanted.values()) / (looks.counts[-1] * len(looks.wanted)))


def _kept(arms: list[Arm]) -> Iterator[Cell]:
    reference = int(arms[0].first("reference_batch"))
    for rule, batches in loss_tests(arms).kept(arms[0].outcome.margin, arms[0].outcome.alpha).items():
        yield from ((rule, batch) for batch in batches if batch != reference)


def main() -> None:
    """Print a line for each experiment of the results folders that are named."""
    parser = argparse.ArgumentParser(description="Replay real studies by looks.")
    parser.add_argument("folders", nargs="+", type=Path, help="results folders of plans with a number of seeds")
    for folder in parser.parse_args().folders:
        for one in replayed(read(Store(folder))):
            print(f"{folder.name}, {one}", flush=True)


if __name__ == "__main__":
    main()
