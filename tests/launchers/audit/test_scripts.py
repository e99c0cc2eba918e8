"""Seeded faults are found and named, and sound scripts pass without an alarm: the audit on real processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.launching import batchscale, environment, PROGRAMS, require_strategy

from batchscale.benchmarks.errors import EXIT_OK, EXIT_RUNS_FAILED
from batchscale.benchmarks.rank.audit.facts import ALONE, read, TOGETHER
from batchscale.launchers.audit import alone, together
from batchscale.launchers.audit.finding import FAULT, Finding, Seen

pytestmark = [pytest.mark.launched, pytest.mark.slow]
SCRIPTS = PROGRAMS.parent / "audit"
FAULTS, SOUND = (sorted((SCRIPTS / name).glob("*.py")) for name in ("faults", "sound"))
OTHER_NAMES = {"same_order_under_a_seed": "same-order-every-epoch"}


def strategy(script: Path) -> str:
    return script.read_text().splitlines()[0].removeprefix("# STRATEGY ")


IN_ONE_PROCESS = [script for script in (*FAULTS, *SOUND) if strategy(script) != "horovod"]
BY_HOROVOD = [script for script in (*FAULTS, *SOUND) if strategy(script) == "horovod"]


def expected(script: Path) -> list[str]:
    """The faults that stand in a script."""
    return [] if script in SOUND else [OTHER_NAMES.get(script.stem, script.stem.replace("_", "-"))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What all scripts without Horovod left, from one import of TensorFlow."""
    made = tmp_path_factory.mktemp("audited")
    subprocess.run([sys.executable, str(PROGRAMS / "audited_scripts.py"), str(made), *map(str, IN_ONE_PROCESS)],
                   check=True, env=environment(), timeout=900)
    return made


def faults(folder: Path) -> list[Finding]:
    names = [name for name in (TOGETHER,) if (folder / f"{name}.json").exists()]
    seen = Seen(*read(folder, ALONE), tuple(read(folder, name) for name in names))
    return [one for one in (*alone.findings(seen), *together.findings(seen)) if one.kind == FAULT]


@pytest.mark.parametrize("script", IN_ONE_PROCESS, ids=lambda script: script.stem)
def test_what_is_wrong_is_named_and_nothing_else(script: Path, folder: Path) -> None:
    assert [one.name for one in faults(folder / script.stem)] == expected(script)
    if script in SOUND:
        assert read(folder / script.stem, ALONE)[0].skipped == ()


@pytest.mark.parametrize("script", BY_HOROVOD, ids=lambda script: script.stem)
def test_what_is_wrong_under_horovod_is_named_and_nothing_else(script: Path, tmp_path: Path) -> None:
    require_strategy("horovod-gloo")
    done = batchscale("audit", str(script), cwd=tmp_path, timeout=400)
    named = [line.rpartition("[")[2].rstrip("]") for line in done.stdout.splitlines() if line.startswith("fault: ")]
    assert named == expected(script), done.stdout + done.stderr
    assert done.returncode == (EXIT_RUNS_FAILED if named else EXIT_OK)
    assert "2 replicas by horovod: global batch 64, of each replica 32" in done.stdout


def test_there_are_fifteen_faults_and_ten_sound_scripts() -> None:
    assert len(FAULTS) >= 15 and len(SOUND) >= 10
