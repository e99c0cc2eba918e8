"""What an audit cannot begin with is said before a process starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from batchscale.benchmarks.errors import EXIT_USAGE, PlanError
from batchscale.launchers import cli
from batchscale.launchers.audit import processes


@pytest.mark.parametrize(("text", "strategy"), [
    ("import horovod.keras as hvd", "horovod"), ("tf.distribute.MirroredStrategy()", "mirrored"), ("fit", "single")])
def test_the_strategy_is_what_the_text_names(text: str, strategy: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(text)
    assert processes.strategy_of(tmp_path / "train.py") == strategy


@pytest.mark.parametrize(("strategy", "replicas", "said"), [
    ("miror", 2, "--strategy='miror' is not known.*Did you mean 'mirrored'"), ("mirrored", 0, "-np 0 must be 1 to 8"),
    ("mirrored", 9, "-np 9 must be 1 to 8")])
def test_what_an_audit_does_not_start_is_refused(strategy: str, replicas: int, said: str) -> None:
    with pytest.raises(PlanError, match=said):
        processes.check(strategy, replicas)


def test_a_script_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["audit", str(tmp_path / "none.py")]) == EXIT_USAGE
    assert "cannot read script" in capsys.readouterr().err
