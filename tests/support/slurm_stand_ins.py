"""Stand-ins for Slurm's commands, first on PATH; what they were asked."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from support.launching import PROGRAMS

COMMANDS = ("sbatch", "srun", "scontrol", "squeue", "scancel", "sacct")


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the stand-ins into `folder`, which becomes the working directory; returns it."""
    programs = folder / "bin"
    programs.mkdir()
    for name in COMMANDS:
        script = programs / name
        script.write_text(f"#!{sys.executable}\n" + (PROGRAMS / "fake_slurm.py").read_text())
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SLURM", str(folder))
    monkeypatch.chdir(folder)
    for name in [name for name in os.environ if name.startswith(("SLURM_", "SBATCH_"))]:
        monkeypatch.delenv(name)
    return folder


def calls(folder: Path, program: str) -> list[list[str]]:
    if not (folder / "calls").exists():
        return []
    lines = [json.loads(line) for line in (folder / "calls").read_text().splitlines()]
    return [line[1:] for line in lines if line[0] == program]
