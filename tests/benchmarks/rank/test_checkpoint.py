"""Reading and writing the state of a long run: only what is whole and fits is believed. TensorFlow is imported here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from batchscale.benchmarks.errors import RecordError
from batchscale.benchmarks.records.run_folder import Run
from batchscale.benchmarks.records.store import Store
from batchscale.benchmarks.runs.run_config import RunConfig

if TYPE_CHECKING:
    from batchscale.benchmarks.rank import checkpoint

pytestmark = pytest.mark.launched
SHAPE = (3,)


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """TensorFlow is imported when the first test of this file runs, not when any test is collected."""
    global checkpoint
    from batchscale.benchmarks.rank import checkpoint


class Variable:
    """What a checkpoint asks of a variable."""

    def __init__(self, value: float) -> None:
        self.value = np.full(SHAPE, value)

    def numpy(self) -> Any:
        return self.value


def save(attempt: Path, step: int) -> None:
    checkpoint.save(attempt, checkpoint.Checkpoint(attempt.name, 0, step, 1.0), [Variable(float(step))])


@pytest.fixture
def run(tmp_path: Path, config: Callable[..., RunConfig]) -> Run:
    """A run with a state at step 10 in its first attempt and one at step 20 in its second; a third goes on."""
    store = Store(tmp_path / "plan")
    store.prepare([config()], {})
    one = store.runs()[0]
    for number in (1, 2, 3):
        (one.folder / f"attempt-{number:02d}").mkdir(parents=True)
    save(one.folder / "attempt-01", 10)
    save(one.folder / "attempt-02", 20)
    return one


def found(run: Run) -> tuple[int, float] | None:
    state = checkpoint.find(run, run.folder / "attempt-03", [SHAPE])
    return (state.step, float(state.arrays[0][0])) if state else None


def test_the_furthest_state_is_gone_on_from(run: Run) -> None:
    assert found(run) == (20, 20.0)


def flip_a_bit(attempt: Path) -> None:
    data = bytearray((attempt / "checkpoint.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (attempt / "checkpoint.npz").write_bytes(data)


def cut_the_state(attempt: Path) -> None:
    text = (attempt / "checkpoint.json").read_text()
    (attempt / "checkpoint.json").write_text(text[:len(text) // 2])


def of_other_shapes(attempt: Path) -> None:
    np.savez(attempt / "checkpoint.npz", np.zeros(SHAPE[0] + 1))
    told = json.loads((attempt / "checkpoint.json").read_text())
    told["sha256"] = checkpoint.sha256(attempt / "checkpoint.npz")
    (attempt / "checkpoint.json").write_text(json.dumps(told))


@pytest.mark.parametrize("damage", [flip_a_bit, cut_the_state, of_other_shapes])
def test_a_state_that_is_not_whole_or_does_not_fit_is_not_believed(run: Run, damage: Callable[[Path], None]) -> None:
    damage(run.folder / "attempt-02")
    assert found(run) == (10, 10.0), "the one before it"
    damage(run.folder / "attempt-01")
    assert found(run) is None, "the run begins anew"


def test_states_that_cannot_be_written_leave_the_last_good_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, 10)
    for step, refused in ((20, "write_json"), (30, "save_arrays"), (40, "write_json")):
        with monkeypatch.context() as patch, pytest.raises(RecordError):
            patch.setattr(checkpoint, refused, refuse)
            save(tmp_path, step)
        assert reached(tmp_path) == (10, 10.0)
    save(tmp_path, 50)
    assert reached(tmp_path) == (50, 50.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.json", "checkpoint.npz"]


def refuse(*given: object) -> None:
    raise RecordError("no space")


def reached(attempt: Path) -> tuple[int, float]:
    state = checkpoint.read(attempt)
    assert state
    return state.step, float(state.arrays[0][0])


def test_a_run_that_is_asked_to_stop_when_it_is_done_is_recorded() -> None:
    from batchscale.benchmarks.rank.execution import Execution
    from batchscale.benchmarks.rank.recorder import Interrupted
    from batchscale.benchmarks.rank.strategies.base import Strategy
    saved: list[int] = []
    execution: Any = SimpleNamespace(
        recorder=SimpleNamespace(windows=[{"seconds": 1.0, "steps": 1}]),
        checkpoints=SimpleNamespace(due=lambda: False),
        session=SimpleNamespace(interrupted=lambda: "preempted", strategy=Strategy()),
        save=lambda phase, step, seconds: saved.append(step))
    phase: Any = SimpleNamespace(end=10)
    Execution.agree_to_go_on(execution, phase, 10, 1.0, at_epoch_end=True)
    assert saved == []
    with pytest.raises(Interrupted) as stop:
        Execution.agree_to_go_on(execution, phase, 5, 1.0, at_epoch_end=True)
    assert (stop.value.status, saved) == ("preempted", [5])


def test_a_rank_that_is_given_nothing_of_a_checkpoint_goes_on_with_what_it_has() -> None:
    """Rank 0 reads the file; what was measured is its alone."""
    from batchscale.benchmarks.rank.recorder import Recorder
    first, other = Recorder(), Recorder()
    kept = {"evaluations": [{"step": 1}], "windows": [{"rank": 0}], "equal_evaluations": 3}
    first.take_over(kept)
    other.take_over({})
    assert (first.evaluations, first.windows, first.equal_evaluations) == tuple(kept.values())
    assert (other.evaluations, other.windows, other.equal_evaluations) == ([], [], 0)
