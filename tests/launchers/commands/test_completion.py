"""The shell completes commands, options, choices and bundled plans, where argcomplete is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.launching import environment


@pytest.mark.parametrize(("line", "some"), [
    ("batchscale stu", {"study"}), ("batchscale pl", {"plan", "plans"}), ("batchscale study qu", {"quick"}),
    ("batchscale study my", {"mypla.toml"}), ("batchscale study quick --bud", {"--budget"}),
    ("batchscale run quick --on s", {"slurm"}),
])
def test_a_line_that_is_begun_is_completed(tmp_path: Path, line: str, some: set[str]) -> None:
    pytest.importorskip("argcomplete")
    (tmp_path / "mypla.toml").touch()
    done = subprocess.run([sys.executable, "-m", "batchscale.launchers.cli"], cwd=tmp_path, timeout=120,
                          capture_output=True, env=environment(
                              _ARGCOMPLETE="1", _ARGCOMPLETE_STDOUT_FILENAME=str(tmp_path / "said"), COMP_LINE=line,
                              COMP_POINT=str(len(line)), _ARGCOMPLETE_IFS="\n", _ARGCOMPLETE_SUPPRESS_SPACE="1"))
    assert done.returncode == 0, done.stderr
    assert set((tmp_path / "said").read_text().split("\n")) == some
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mypla.toml", "said"]


def test_without_argcomplete_the_shell_is_told_nothing(tmp_path: Path) -> None:
    (tmp_path / "argcomplete.py").write_text("raise ImportError")
    without = environment(_ARGCOMPLETE="1", COMP_LINE="batchscale ", PYTHONPATH=str(tmp_path))
    done = subprocess.run([sys.executable, "-m", "batchscale.launchers.cli"], timeout=120, text=True,
                          capture_output=True, env=without)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
