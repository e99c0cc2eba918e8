"""What a job of many ranks costs beside its training: files, messages and seconds of each step of the control path.

`python -m soak.ranks_at_scale 64 128 256 512`: so many ranks, threads of this process, go through what ranks of a job
do before, between and after steps, by the suite's own code; what they tell each other is pickled and counted, as
Horovod and multiworker pickle it. Seconds are processor seconds of the first rank, which takes in what all others tell,
as every rank does, and writes what is written. No step may grow faster than the number of ranks: exit code 1.
"""

from __future__ import annotations

import argparse
import math
import pickle
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from batchscale.benchmarks.rank.imports import tensorflow_and_keras

tensorflow_and_keras()

from batchscale.benchmarks.rank import agreement, worker  # noqa: E402
from batchscale.benchmarks.rank.recorder import everyones  # noqa: E402
from batchscale.benchmarks.rank.session import Session  # noqa: E402
from batchscale.benchmarks.rank.strategies.base import Strategy  # noqa: E402
from batchscale.benchmarks.rank.watchdog import address  # noqa: E402
from batchscale.benchmarks.records import json_files, run_folder  # noqa: E402
from batchscale.benchmarks.records.store import Store  # noqa: E402
from batchscale.benchmarks.runs.run_config import RunConfig  # noqa: E402
from batchscale.launchers.slurm.layout import COLLECTIVES, from_text, Layout  # noqa: E402
from batchscale.launchers.slurm.rank import multiworker_variables  # noqa: E402
from support.synthetic_records import record_for, write_store  # noqa: E402

GPUS_A_NODE = 8
REPLICA_BATCH = 32
EXAMPLES = 60_000
RUNS = 50  # of the plan, of this shape
WEIGHTS = 100_000
WINDOWS = 10
MOST_EXPONENT = 1.2  # above it a step grows faster than the number of ranks, by more than what timing varies
LEAST_SECONDS = 0.02  # steps shorter than this are noise
STEPS = ("reads the plan", "is told the layout", "addresses", "size, data and weights agree", "shards are complete",
         "windows of all", "environment of all", "asks whether to stop", "record")


@dataclass
class Meeting:
    """Where simulated ranks tell each other something: all wait for all."""

    ranks: int
    messages: int = 0
    sent_bytes: int = 0
    _told: list[bytes] = field(default_factory=list)
    _known: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._told = [b""] * self.ranks
        self.barrier = threading.Barrier(self.ranks)

    def exchange(self, rank: int, value: Any) -> list[Any]:
        """Everyone's value. The first rank takes all in; the others, whose work is the same, share what it found."""
        self._told[rank] = pickle.dumps(value)
        self.barrier.wait()
        if rank == 0:
            self.messages += self.ranks
            self.sent_bytes += sum(map(len, self._told))
            self._known = [pickle.loads(text) for text in self._told]
        self.barrier.wait()
        return self._known


class SimulatedRank(Strategy):
    """One rank of many, a thread; nothing is trained."""

    name = "horovod"

    def __init__(self, rank: int, meeting: Meeting) -> None:
        self.rank, self.size, self.replicas, self._meeting = rank, meeting.ranks, meeting.ranks, meeting

    def gather(self, value: Any) -> list[Any]:
        return self._meeting.exchange(self.rank, value)

    def broadcast(self, value: Any) -> Any:
        return self._meeting.exchange(self.rank, value if self.rank == 0 else None)[0]

    def copies(self, variable: Any) -> list[Any]:
        return [variable]


@dataclass
class Cost:
    """Of one step: processor seconds of the first rank, messages and bytes that a rank takes in, and files that all
    ranks together read or write; of the record its size."""

    seconds: float = 0.0
    messages: int = 0
    told_bytes: int = 0
    files: int = 0


def configuration(ranks: int, seed: int) -> RunConfig:
    return RunConfig(experiment="scale", kind="throughput", dataset="digits", model="mlp_128", optimizer="sgd",
                     global_batch=REPLICA_BATCH * ranks, train_examples=EXAMPLES, seed=seed, strategy="horovod",
                     transport="gloo", replicas=ranks, nodes=max(1, ranks // GPUS_A_NODE))


@dataclass
class Job:
    """So many simulated ranks with a results folder, and what each step has cost them."""

    ranks: int
    store: Store
    meeting: Meeting
    layout: Layout
    found: dict[str, Cost] = field(default_factory=lambda: {name: Cost() for name in STEPS})
    weights: list[Any] = field(default_factory=lambda: [np.ones(WEIGHTS, np.float32)])
    opened: int = 0
    failed: list[BaseException] = field(default_factory=list)

    @classmethod
    def prepared(cls, ranks: int, folder: Path) -> Job:
        """Write the plan of such a job into the folder."""
        configs = [configuration(ranks, seed) for seed in range(RUNS)]
        store = write_store(folder / "scale", [])
        store.prepare(configs, {"name": "scale", "settings": {}, "skipped": [], "text": ""})
        places = tuple(f"node{number:04d}" for number in range(configs[0].nodes))
        return cls(ranks, store, Meeting(ranks), Layout(places, places, ranks // len(places), COLLECTIVES, 20_000))

    def read(self, path: Path) -> Any:
        """Read a file as ranks do, and count it."""
        self.opened += 1
        return json_files.read_json(path)

    def go(self, rank: int) -> None:
        """Let one rank go through all steps, in step with the others."""
        steps = RankSteps(self, rank)
        try:
            for name, step in zip(STEPS, steps.in_order(), strict=True):
                self.meeting.barrier.wait()
                before = self._so_far()
                self.meeting.barrier.wait()
                step()
                own = time.thread_time()
                self.meeting.barrier.wait()
                if rank == 0:
                    self._add(name, before, (own, *self._so_far()[1:]))
        except BaseException as error:
            self.failed.append(error)
            self.meeting.barrier.abort()

    def _so_far(self) -> tuple[float, int, int, int]:
        return time.thread_time(), self.meeting.messages, self.meeting.sent_bytes, self.opened

    def _add(self, name: str, before: tuple[float, int, int, int], after: tuple[float, int, int, int]) -> None:
        """What a step added; some steps have said themselves what they told or wrote."""
        cost = self.found[name]
        cost.seconds = after[0] - before[0]
        cost.messages += after[1] - before[1]
        cost.told_bytes += after[2] - before[2]
        cost.files += after[3] - before[3]


@dataclass
class RankSteps:
    """What one rank of a job does around its steps, by the code that ranks run."""

    job: Job
    rank: int
    gathered: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.strategy = SimulatedRank(self.rank, self.job.meeting)
        self.config = configuration(self.job.ranks, 0)
        self.session = Session(self.strategy, ["GPU:0"], [0], self.job.ranks, lambda: "")

    def in_order(self) -> Sequence[Callable[[], Any]]:
        """Return what to do for each of STEPS."""
        return (self._read_plan, self._be_told, lambda: self.strategy.gather(address()), self._agree,
                lambda: agreement.check_shards(self.strategy, self.config),
                lambda: self.gathered.extend(everyones(self.strategy, self._windows())), self.session.environment,
                lambda: self.strategy.gather(""), self._record)

    def _read_plan(self) -> None:
        store = self.job.store
        worker.pending_runs(store.runs(), store.folder, self.config.shape, "", self.rank)

    def _be_told(self) -> None:
        text = self.job.layout.to_text()
        known = multiworker_variables(from_text(text), {"SLURM_PROCID": str(self.rank)})
        if self.rank == 0:
            cost = self.job.found["is told the layout"]
            cost.told_bytes, cost.messages = len(text) + sum(map(len, known.values())), 1

    def _agree(self) -> None:
        agreement.check_size(self.strategy, self.config)
        agreement.check_described(self.strategy, self.config, {"data": "x" * 64}, {})
        agreement.check_weights(self.strategy, self.job.weights, "in the simulation")

    def _windows(self) -> list[dict[str, Any]]:
        return [{"rank": self.rank, "phase": 0, "start_step": 20 * at, "steps": 20, "seconds": 0.2, "steady": True}
                for at in range(WINDOWS)]

    def _record(self) -> None:
        if self.rank == 0:
            run, cost = self.job.store.run(self.config.run_id), self.job.found["record"]
            attempt = run.claim()
            assert attempt is not None
            run.finish(attempt, {**record_for(self.config), "windows": self.gathered})
            cost.files = sum(path.is_file() for path in run.folder.rglob("*"))
            cost.told_bytes = run.record_path.stat().st_size


def costs(ranks: int, folder: Path) -> dict[str, Cost]:
    """Let so many ranks go through the control path of one run; what each step costs."""
    job = Job.prepared(ranks, folder)
    with mock.patch.object(run_folder, "read_json", job.read):
        threads = [threading.Thread(target=job.go, args=(rank,)) for rank in range(ranks)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if job.failed:
        raise next((error for error in job.failed if not isinstance(error, threading.BrokenBarrierError)),
                   job.failed[0])
    return job.found


def exponents(of: dict[int, dict[str, Cost]]) -> dict[str, dict[str, float]]:
    """By step and what is counted: the power of the number of ranks by which it grows, from the fewest to the most."""
    few, many = min(of), max(of)
    found: dict[str, dict[str, float]] = {}
    for name in STEPS:
        for what in ("seconds", "messages", "told_bytes", "files"):
            low, high = getattr(of[few][name], what), getattr(of[many][name], what)
            if low and high and (what != "seconds" or high > LEAST_SECONDS):
                low = max(low, LEAST_SECONDS / 10) if what == "seconds" else low
                found.setdefault(name, {})[what] = math.log(high / low) / math.log(many / few)
    return found


def main(words: Sequence[str] | None = None) -> int:
    """Print the costs for each number of ranks, and what grows faster than it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("ranks", type=int, nargs="*", default=[64, 128, 256, 512])
    asked = parser.parse_args(words)
    of: dict[int, dict[str, Cost]] = {}
    print(f"{'ranks':>5}  {'step':30} {'seconds':>8} {'messages':>9} {'kB':>9} {'files':>6}")
    for ranks in asked.ranks:
        folder = Path(tempfile.mkdtemp(prefix="ranks-at-scale-"))
        try:
            of[ranks] = costs(ranks, folder)
        finally:
            shutil.rmtree(folder)
        for name, cost in of[ranks].items():
            print(f"{ranks:5}  {name:30} {cost.seconds:8.3f} {cost.messages:9,} {cost.told_bytes / 1e3:9,.1f} "
                  f"{cost.files:6,}", flush=True)
    if len(of) < 2:
        return 0
    grown = {name: powers for name, by_what in exponents(of).items()
             if (powers := {what: power for what, power in by_what.items() if power > MOST_EXPONENT})}
    for name, powers in grown.items():
        print(f"{name}: {', '.join(f'{what} grow as ranks^{power:.2f}' for what, power in powers.items())}")
    print("faster than the number of ranks grows: " + (", ".join(grown) or "nothing"))
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
