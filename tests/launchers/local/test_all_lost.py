"""A study whose every accuracy run was lost is no success."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from batchscale.benchmarks.errors import EXIT_OK, EXIT_RUNS_FAILED
from batchscale.benchmarks.planning.expansion import Expansion
from batchscale.benchmarks.records.store import Store
from batchscale.benchmarks.runs.run_config import RunConfig
from batchscale.launchers.local import study
from batchscale.launchers.local.supervisor import StandBy
from support.synthetic_records import record_for, write_store


@pytest.mark.parametrize(("statuses", "code", "said"), [
    (("diverged", "diverged"), EXIT_RUNS_FAILED, "came through: of 2 runs 2 diverged; lower learning_rate, and"),
    (("diverged", "out_of_memory"), EXIT_RUNS_FAILED, "lower learning_rate and lower the batches, and start again."),
    (("completed", "diverged"), EXIT_OK, ""),
])
def test_all_accuracy_runs_lost_end_the_command_with_a_sentence_and_the_code_of_failed_runs(
        statuses: tuple[str, ...], code: int, said: str, tmp_path: Path, config: Callable[..., RunConfig],
        capsys: pytest.CaptureFixture[str]) -> None:
    made = [record_for(config(seed=seed)) | {"status": status} for seed, status in enumerate(statuses)]
    store: Store = write_store(tmp_path / "plan", made)
    with StandBy(rounds=False) as none:
        assert study.do(store, Expansion([run.config for run in store.runs()]), study.Options(), none) == code
    text = capsys.readouterr().out
    assert said in text and bool(said) == ("no accuracy run came through" in text)
