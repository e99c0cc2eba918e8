"""A command that is stopped ends with the exit code that shells give its signal, and says that nothing is lost."""

from __future__ import annotations

import argparse

import pytest

from batchscale.launchers import cli
from batchscale.launchers.commands.results import status
from batchscale.launchers.local.study import Terminated


@pytest.mark.parametrize(("stop", "code"), [(KeyboardInterrupt, 130), (Terminated, 143)])
def test_a_stopped_command_ends_with_its_signals_exit_code(monkeypatch: pytest.MonkeyPatch,
                                                           capsys: pytest.CaptureFixture[str],
                                                           stop: type[KeyboardInterrupt], code: int) -> None:
    """Python raises KeyboardInterrupt at SIGINT; a study raises Terminated at SIGTERM."""
    def stopped(arguments: argparse.Namespace) -> int:
        raise stop

    monkeypatch.setattr(status, "run", stopped)
    assert cli.main(["status", "results/mine"]) == code
    assert "finished runs are kept, the same command goes on" in capsys.readouterr().err
