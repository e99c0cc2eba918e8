"""Workers of runs that are timed start in pairs, and none does a run beside another one's."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from batchscale.benchmarks.errors import EXIT_OK, EXIT_RUNS_FAILED
from batchscale.benchmarks.records import leases
from batchscale.benchmarks.records.store import Store
from batchscale.benchmarks.runs.run_config import RunConfig
from batchscale.launchers.local import study, worker
from batchscale.launchers.local.display.progress import Progress
from batchscale.launchers.local.rank_commands import Start
from batchscale.launchers.local.schedule import expected_wall_seconds, in_turns, may_stand_by, stages
from batchscale.launchers.local.supervisor import StandBy
from batchscale.launchers.local.worker import Limits

Make = Callable[..., RunConfig]

# A rank as far as it matters here. It writes when it started, when its turn came and when it was done.
RANK = """
import sys, time
from pathlib import Path
from batchscale.benchmarks.rank.worker import arguments
from batchscale.benchmarks.records import leases
from batchscale.benchmarks.records.store import Store
book, options = Path(sys.argv[1]), arguments(sys.argv[2:])
shape = options.shape

def note(what):
    with open(book, "a") as lines:
        lines.write(f"{what} {shape}\\n")

note("started")
if options.turn:
    if DIES and not (book.parent / "died").exists():
        (book.parent / "died").touch()
        sys.exit(9)
    leases.wait_for_turn(options.turn, lambda: "")
note("begins")
time.sleep(0.5)
store = Store(options.results)
for run in [run for run in store.runs() if run.config.shape == shape]:
    run, attempt = store.claim_next([run], 0.0)
    run.fail(attempt, "failed", 0, "by itself")
note("ends")
"""

# A rank that does the runs there are, and stands by where it is told to.
STANDS_BY = """
import sys
from pathlib import Path
from batchscale.benchmarks.rank.worker import arguments
from batchscale.benchmarks.records import leases
from batchscale.benchmarks.records.store import Store
book, options = Path(sys.argv[1]), arguments(sys.argv[2:])
asked = []

def note(what):
    with open(book, "a") as lines:
        lines.write(f"{what}\\n")

def interrupted():
    asked.append(book)
    return "late" if len(asked) > 300 or (book.parent / "leave").exists() else ""

note("started")
store = Store(options.results)
while True:
    while claimed := store.claim_next([run for run in store.runs() if run.config.shape == options.shape], 0.0):
        note("does")
        claimed[0].fail(claimed[1], "failed", 0, "by itself")
    if not options.stand_by:
        break
    leases.stand_by(options.stand_by, interrupted)
    if interrupted():
        note("left")
        break
"""


def timed(config: Make, launches: int) -> list[RunConfig]:
    return [config(kind="throughput", scaling="weak", launch=launch) for launch in range(launches)]


def happened(folder: Path, configs: list[RunConfig], monkeypatch: pytest.MonkeyPatch, dies: bool = False) -> list[str]:
    """What the workers of a plan wrote, in order, once all is done."""
    store = Store(folder / "plan")
    store.prepare(configs, {"name": "plan"})
    runs, limits = store.runs(), Limits(folder / "plan")
    program = RANK.replace("DIES", str(dies))
    monkeypatch.setattr(worker, "start", lambda config, words, *_: Start(
        (sys.executable, "-c", program, str(folder / "book"), *words), {}))
    with StandBy(rounds=False) as none, Progress(runs, lambda run: worker.unfinished(run, limits), {}) as progress:
        assert study.passes(runs, limits, progress, none)
    assert study.exit_code(runs) == EXIT_RUNS_FAILED != EXIT_OK and {run.status() for run in runs} == {"failed"}
    return (folder / "book").read_text().splitlines()


def test_two_start_together_and_begin_one_after_another(
        tmp_path: Path, config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    configs = timed(config, 3)
    one, two, three = (run.shape for run in configs)
    lines = happened(tmp_path, configs, monkeypatch)
    assert set(lines[:2]) == {f"started {one}", f"started {two}"}
    assert lines[2:] == [f"begins {one}", f"ends {one}", f"begins {two}", f"ends {two}",
                         f"started {three}", f"begins {three}", f"ends {three}"]


def test_one_that_dies_before_its_turn_is_started_again(
        tmp_path: Path, config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    configs = timed(config, 2)
    lines = happened(tmp_path, configs, monkeypatch, dies=True)
    assert len([line for line in lines if line.startswith("started")]) == 3
    assert len([line for line in lines if line.startswith("ends")]) == 2


def test_waiting_ends_with_the_turn_and_with_an_interruption(tmp_path: Path) -> None:
    asked = iter(["", "", "preempted"])
    assert leases.wait_for_turn(tmp_path, lambda: next(asked)) >= 2 * leases.TURN_POLL_SECONDS
    assert leases.ready_ranks(tmp_path) == 1
    leases.give_turn(tmp_path)
    assert leases.wait_for_turn(tmp_path, lambda: pytest.fail("asked though the turn has come")) < 1


def test_only_what_has_the_machine_to_itself_starts_in_pairs(config: Make) -> None:
    """And a start that is shared counts half in the time that is expected."""
    runs = [*timed(config, 3), *(config(seed=seed) for seed in range(2)),
            config(kind="memory", global_batch=64), config(kind="memory", global_batch=128)]
    groups = in_turns(stages(runs, range(2)))
    assert [[stage.config.kind for stage in group] for group in groups] == [
        ["throughput", "throughput"], ["throughput"], ["accuracy"], ["memory", "memory"]]
    expected = expected_wall_seconds(runs, range(2))
    first, _, third = (expected[run.digest] for run in runs[:3])
    assert third > first + 2


def rounds(folder: Path, configs: list[RunConfig], monkeypatch: pytest.MonkeyPatch, leave: bool = False) -> list[str]:
    """What workers wrote over as many rounds as there are configurations, each of which asks for one run more."""
    store, limits = Store(folder / "plan"), Limits(folder / "plan")
    monkeypatch.setattr(worker, "start", lambda config, words, *_: Start(
        (sys.executable, "-c", STANDS_BY, str(folder / "book"), *words), {}))
    with StandBy(rounds=True) as stand_by:
        for count in range(1, len(configs) + 1):
            store.prepare(configs[:count], {"name": "plan"})
            runs = store.runs()
            with Progress(runs, lambda run: worker.unfinished(run, limits), {}) as progress:
                assert study.passes(runs, limits, progress, stand_by)
            assert {run.status() for run in runs} == {"failed"}
            if leave:
                (folder / "leave").touch()
                wait_until(lambda: "left" in (folder / "book").read_text())
    return (folder / "book").read_text().splitlines()


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)  # for the process to end


def test_a_worker_stands_by_from_round_to_round_and_ends_with_the_last(
        tmp_path: Path, config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = rounds(tmp_path, [config(seed=seed) for seed in range(3)], monkeypatch)
    assert lines == ["started", "does", "does", "does"]
    assert not [one for one in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(one.info["cmdline"] or ())]


def test_a_worker_that_ended_while_it_stood_by_is_started_again(
        tmp_path: Path, config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = rounds(tmp_path, [config(seed=seed) for seed in range(2)], monkeypatch, leave=True)
    assert lines == ["started", "does", "left", "started", "does", "left"]


def test_only_a_single_rank_without_a_gpu_may_stand_by(config: Make) -> None:
    """Ranks would wait for each other with busy cores, and a process keeps its GPU's memory until it ends."""
    ranks = config(strategy="horovod", transport="mpi", replicas=2)
    assert [may_stand_by(one, ()) for one in (config(), ranks, config(kind="memory"))] == [True, False, False]
    assert not may_stand_by(config(), ["0"])
