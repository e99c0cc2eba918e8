"""Real ranks that are killed, halted, hung or broken in every phase: nothing is lost, and the culprit is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.launching import require_strategy
from support.faulty_study import Fault, Study

from batchscale.benchmarks.errors import EXIT_OK, EXIT_RUNS_FAILED
from batchscale.benchmarks.records.failures import ending, Ending
from batchscale.launchers.commands.results import verify

pytestmark = [pytest.mark.faults, pytest.mark.launched]

PHASES = ("build", "trace", "window", "evaluation")
KILLS: dict[int, Fault] = {seed: (phase, rank, "kill") for seed, (phase, rank) in enumerate(
    [*((phase, rank) for phase in PHASES for rank in (0, 1)), ("writing", 0)])}
STOPS: dict[int, Fault] = {0: ("evaluation", 1, "halt"), 1: ("build", 1, "sleep"), 2: ("window", 0, "halt"),
                           3: ("trace", 1, "raise"), 4: ("evaluation", 1, "ask")}
HOPELESS = """[[experiment]]
name = "hopeless"
dataset = "faulty:make"
model = "mlp_128"
learning_rate = 1e15
global_batches = [32]
seeds = 1
epochs = 1
"""


def first(study: Study, seed: int) -> Ending:
    """How the first attempt of this run ended."""
    return ending(study.of_seed(seed).attempts()[0])


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """One run for each phase and rank, whose rank is killed there, and one that nobody touches."""
    require_strategy("horovod-mpi")
    study = Study(tmp_path_factory.mktemp("killed"), KILLS, "horovod-mpi", seeds=len(KILLS) + 1)
    done = study.run()
    assert done.returncode == EXIT_OK, done.stdout + done.stderr
    return study


@pytest.mark.parametrize("seed", KILLS, ids=lambda seed: f"rank {KILLS[seed][1]} at {KILLS[seed][0]}")
def test_a_killed_rank_costs_its_run_one_attempt_and_is_named(killed: Study, seed: int) -> None:
    assert killed.struck(seed)
    run, found = killed.of_seed(seed), first(killed, seed)
    assert run.status() == "completed" and [a.name for a in run.attempts()] == ["attempt-01", "attempt-02"]
    assert found.status == "lost" and found.where.startswith(f"rank {KILLS[seed][1]} on ")
    assert found.message == "ended by signal 9 (Killed)" and Path(killed.folder, found.logs).is_dir()


def test_kills_harm_no_other_run_and_leave_no_process(killed: Study) -> None:
    assert len(killed.of_seed(len(KILLS)).attempts()) == 1
    assert not verify.examine(killed.store).corrupt
    assert killed.nobody_left()
    status = killed.status()
    assert status.returncode == EXIT_OK and f"{len(KILLS) + 1} completed" in status.stdout
    assert "begun again: " in status.stdout and "lost, rank 0 on " in status.stdout


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Ranks that hang, are halted, raise or are asked to stop; and a run whose loss is not finite."""
    require_strategy("horovod-mpi")
    study = Study(tmp_path_factory.mktemp("stopped"), STOPS, "horovod-mpi", seeds=len(STOPS) + 1,
                  watchdog_seconds=20, more=HOPELESS)
    done = study.run()
    assert done.returncode == EXIT_RUNS_FAILED, done.stdout + done.stderr
    return study


@pytest.mark.parametrize("seed, rank, said", [(0, 1, "rank 1 does not answer, and rank 0 waits for it in evaluate"),
                                              (1, 1, "rank 1 is behind, in build, and rank 0 waits for it in build"),
                                              (2, 0, "rank 0 does not answer, and rank 1 waits for it in train")])
def test_a_hang_ends_with_the_stacks_of_all_ranks_and_the_run_is_done_again(
        stopped: Study, seed: int, rank: int, said: str) -> None:
    run, found = stopped.of_seed(seed), first(stopped, seed)
    assert found.status == "timed_out" and found.where.startswith(f"rank {rank} on ")
    assert "no progress for 20 s (watchdog_seconds): " in found.message and said in found.message
    assert run.status() == "completed" and len(run.attempts()) == 2
    stacks = {path.stem for path in run.attempts()[0].glob("logs/*.stacks")}
    halted = STOPS[seed][2] == "halt"  # woken, it wrote its stacks to the worker's log
    assert stacks == {f"rank-{r}" for r in range(2) if not (halted and r == rank)}
    worker = (stopped.folder / found.logs / "worker.log").read_text()
    assert not halted or 'in strike\n' in worker or "most recent call first" in worker
    if STOPS[seed][2] == "sleep":
        assert "in strike" in (run.attempts()[0] / "logs" / "rank-1.stacks").read_text()


def test_a_rank_that_raises_is_named_with_its_first_line_and_not_tried_again(stopped: Study) -> None:
    run, found = stopped.of_seed(3), first(stopped, 3)
    assert run.status() == "failed" and len(run.attempts()) == 1
    assert found.where.startswith("rank 1 on ") and found.message == "RuntimeError: rank 1 raised in trace"
    status = stopped.status()
    assert status.returncode == EXIT_RUNS_FAILED
    assert f"first failed run: {run.run_id}: failed, rank 1 on " in status.stdout
    assert "RuntimeError: rank 1 raised in trace" in status.stdout and "--retry" in status.stdout


def test_one_rank_that_is_asked_to_stop_stops_all_of_them_at_a_step(stopped: Study) -> None:
    assert first(stopped, 4).status == "preempted" and stopped.of_seed(4).status() == "completed"


def test_divergence_is_a_result_and_the_sweep_goes_on(stopped: Study) -> None:
    hopeless = next(run for run in stopped.store.runs() if run.config.experiment == "hopeless")
    assert hopeless.status() == "diverged" and len(hopeless.attempts()) == 1
    assert stopped.of_seed(len(STOPS)).status() == "completed" and len(stopped.of_seed(len(STOPS)).attempts()) == 1
    assert stopped.nobody_left()
