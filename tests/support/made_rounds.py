"""Rounds of a study that is judged as its runs end, on made-up records: no rank starts."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np

from batchscale.benchmarks.errors import EXIT_INCOMPLETE, EXIT_OK
from batchscale.benchmarks.planning.expansion import expand
from batchscale.benchmarks.planning.plan import Plan
from batchscale.benchmarks.records.store import Store
from batchscale.benchmarks.runs.run_config import RunConfig
from batchscale.launchers.local.looks import rounds
from batchscale.launchers.local.looks.budget import Budget
from support import synthetic_records
from support.synthetic_truth import Study


class Killed(Exception):
    """The end of a process from outside, after so many records."""


class Rounds:
    """A store, and what a round does: it makes up the records that lack, in the plan's order or in one of its own."""

    def __init__(self, folder: Path, given: Plan, of: Study, seeds: int = 1000, examples: int = 1024) -> None:
        self.store, self.plan, self.rounds, self.most, self.truth = Store(folder), given, list[int](), seeds, of
        self.order: random.Random | None = None
        self.listed = expand(given, lambda name, fraction: examples, {}).runs

    def keep(self, runs: list[RunConfig], held_back: int) -> None:
        self.store.prepare(runs, {"name": "p", "text": self.plan.text, "settings": dict(self.plan.settings),
                                  "held_back": held_back})

    def do(self) -> int:
        todo = [run for run in self.store.runs() if not run.has_record]
        self.rounds.append(len(todo))
        if self.order is not None:
            self.order.shuffle(todo)
        for run in todo[:self.most]:
            record = synthetic_records._record(self.truth, run.config, np.random.default_rng(
                1000 * run.config.seed + run.config.global_batch))
            attempt = run.claim()
            assert attempt is not None
            run.finish(attempt, record)
        self.most -= len(todo)
        if self.most < 0 and self.order is not None:
            raise Killed
        return EXIT_OK if self.most >= 0 else EXIT_INCOMPLETE

    def run(self, say: Callable[[str], None] = lambda text: None, budget: Budget | None = None) -> int:
        return rounds.rounds(self.plan, self.store, self.listed, self.keep, self.do, say, budget or Budget())
