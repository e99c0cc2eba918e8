"""The doctor tells what can run here, and why the rest cannot, without importing TensorFlow."""

from __future__ import annotations

from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest

from batchscale.benchmarks.config.strategies import variants
from batchscale.benchmarks.errors import EXIT_ENVIRONMENT, EXIT_OK
from batchscale.launchers import cli
from batchscale.launchers.machine import checks, installed
from batchscale.launchers.machine.checks import Check
from batchscale.launchers.machine.installed import Horovod
from batchscale.launchers.machine.setup_environment import Mpi

GOOD = Horovod("0.28.1", "2.21.0", gloo=True, mpi=True, library="mpi_lib.so")
STRATEGIES = tuple(variants())


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which everything works; each test breaks one thing."""
    set_tensorflow(monkeypatch, ("tensorflow-cpu", "2.21.0"))
    set_horovod(monkeypatch, GOOD)
    set_mpirun(monkeypatch, "4.1.8")
    monkeypatch.setattr(installed, "missing_packages", lambda: [])
    monkeypatch.setattr(installed, "find_spec", lambda name: name)
    monkeypatch.setattr(installed, "linked_libmpi", lambda library: "/env/lib/libmpi.so.40")
    monkeypatch.setattr(checks, "version_of", lambda distribution: "4.1.0")
    answer = "Open MPI v4.1.8\n/env/lib/libmpi.so.40\n"
    monkeypatch.setattr(checks, "printed",
                        lambda *command, seconds=0: answer if "mpi4py" in command[-1] else "")


def set_tensorflow(monkeypatch: pytest.MonkeyPatch, found: tuple[str, str] | None) -> None:
    monkeypatch.setattr(installed, "installed_tensorflow", lambda: found)


def set_horovod(monkeypatch: pytest.MonkeyPatch, horovod: Horovod) -> None:
    monkeypatch.setattr(installed, "installed_horovod", lambda: horovod)


def set_mpirun(monkeypatch: pytest.MonkeyPatch, version: str | None) -> None:
    found = Mpi("Open MPI", version, Path("/env/bin")) if version else None
    monkeypatch.setattr(checks, "find_mpi", lambda programs: found)


def check_named(name: str) -> Check:
    [found] = [check for check in checks.diagnose() if check.name == name]
    return found


def test_where_everything_is_there_every_strategy_can_run(
        capsys: pytest.CaptureFixture[str]) -> None:
    assert checks.strategies_available() == dict.fromkeys(STRATEGIES, "")
    assert cli.main(["doctor"]) == EXIT_OK
    printed = capsys.readouterr().out
    assert "0.28.1 with gloo, mpi" in printed
    assert check_named("one libmpi").ok is True


def test_without_tensorflow_nothing_runs_and_the_exit_says_so(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    set_tensorflow(monkeypatch, None)
    assert set(checks.strategies_available().values()) == {"TensorFlow is not installed"}
    assert cli.main(["doctor"]) == EXIT_ENVIRONMENT
    assert "pip install 'tensorflow-cpu>=2.17,<2.22'" in capsys.readouterr().out


@pytest.mark.parametrize("version, supported", [
    ("2.16.2", False), ("2.17.0+nv25.2", True), ("2.21.3", True), ("2.22.0", False), ("3.0.0", False)])
def test_tensorflow_is_supported_from_2_17_to_2_21(
        version: str, supported: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    set_tensorflow(monkeypatch, ("tensorflow", version))
    assert (checks.strategies_available()["single"] == "") is supported
    assert check_named("TensorFlow").ok is supported


def test_without_horovod_the_reason_of_its_build_is_passed_on(
        monkeypatch: pytest.MonkeyPatch) -> None:
    set_horovod(monkeypatch, Horovod(missing="c++ is not on PATH", fix="install g++", log="/l"))
    reasons = checks.strategies_available()
    assert reasons["single"] == reasons["mirrored"] == ""
    assert reasons["horovod-gloo"] == reasons["horovod-mpi"] == "c++ is not on PATH"
    horovod = check_named("Horovod")
    assert (horovod.ok, horovod.fix) == (None, "install g++")
    assert "/l" in horovod.found
    assert cli.main(["doctor"]) == EXIT_OK


@pytest.mark.parametrize("version, reason", [
    (None, "mpirun is not on PATH"), ("5.0.11", "needs Open MPI 4; mpirun is 5.0.11")])
def test_horovod_over_mpi_needs_open_mpi_4_and_gloo_does_not(
        version: str | None, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_mpirun(monkeypatch, version)
    reasons = checks.strategies_available()
    assert reasons["horovod-mpi"].endswith(reason)
    assert reasons["horovod-gloo"] == ""


def test_a_lost_libmpi_is_found_before_a_run_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "linked_libmpi", lambda library: "not found")
    assert "libmpi" in checks.strategies_available()["horovod-mpi"]


def test_a_horovod_without_mpi_or_gloo_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    set_horovod(monkeypatch, replace(GOOD, gloo=False, mpi=False))
    reasons = checks.strategies_available()
    assert reasons["horovod-gloo"] == "Horovod was built without Gloo"
    assert reasons["horovod-mpi"] == "Horovod was built without MPI"


def test_mpi4py_and_horovod_with_two_libraries_are_a_problem(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "linked_libmpi", lambda library: "/usr/lib/libmpi.so.40")
    both = check_named("one libmpi")
    assert both.ok is False
    assert "/usr/lib/libmpi.so.40" in both.found and "/env/lib/libmpi.so.40" in both.found


def test_a_gpu_beside_the_cpu_package_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "gpu_names", lambda: ["NVIDIA A100"] * 8)
    gpus = check_named("GPUs")
    assert gpus.ok is False and "8 x NVIDIA A100" in gpus.found
    assert "tensorflow[and-cuda]" in gpus.fix
    assert "without NCCL" in check_named("Horovod").found


@pytest.mark.parametrize(("names", "nvml", "ok", "said"), [
    (["A100", "A100"], "13.0", True, "2 x A100"),
    (["T400", "A100"], "13.0", None, "one replica takes the first by bus number, T400"),
    (["A100"], "absent", None, "without readings of energy, power, clocks and free memory")])
def test_what_is_odd_about_the_gpus_is_said(names: list[str], nvml: str, ok: bool | None, said: str,
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    """A display card may be the first by bus number; without NVML's package a run has no readings, and says nothing."""
    monkeypatch.setattr(checks, "gpu_names", lambda: names)
    monkeypatch.setattr(installed, "installed_tensorflow", lambda: ("tensorflow", "2.21.0"))
    monkeypatch.setattr(checks, "version_of", lambda name: nvml)
    found = checks.check_gpus()
    assert found.ok is ok and said in found.found
    assert bool(found.fix) is (ok is None)


@pytest.mark.parametrize(("devices", "ok", "found"), [
    ("imports; 1 CPU, 2 GPU", True, "2 GPU"), ("imports; 1 CPU", False, "of 2 GPUs that the driver shows"),
    ("imports; 1 CPU, 1 GPU", False, "of 2 GPUs that the driver shows"), ("", False, "fails")])
def test_a_gpu_that_tensorflow_cannot_use_is_a_problem_with_tensorflow_s_own_reason(
        devices: str, ok: bool, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    warning = "W0000 gpu.cc:1] Cannot dlopen some GPU libraries. Skipping registering GPU devices..."
    monkeypatch.setattr(checks, "printed", lambda *words, **options: f"{warning}\n{devices}\n")
    monkeypatch.setattr(checks, "gpu_names", lambda: ["NVIDIA A100"] * 2)
    check = checks.check_tensorflow_import()
    assert check.ok is ok and found in check.found
    assert ok or "Cannot dlopen some GPU libraries" in check.fix or not devices


def test_a_builder_s_part_of_tensorflow_s_version_is_not_compared_with_horovod(
        monkeypatch: pytest.MonkeyPatch) -> None:
    set_tensorflow(monkeypatch, ("tensorflow", "2.17.0+nv25.2"))
    same = installed.with_tensorflow_compared(replace(GOOD, tensorflow="2.17.0"))
    assert not same.missing
    assert "not for 2.17.0+nv25.2" in installed.with_tensorflow_compared(replace(GOOD, tensorflow="2.18.0")).missing


def test_every_problem_comes_with_what_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    set_tensorflow(monkeypatch, None)
    set_horovod(monkeypatch, Horovod(missing="Horovod is not installed", fix="build it"))
    set_mpirun(monkeypatch, "5.0.11")
    problems = [check for check in checks.diagnose()
                if check.ok is False and not check.name.startswith("strategy")]
    assert {"TensorFlow", "MPI"} <= {check.name for check in problems}
    assert all(check.fix for check in problems)


def test_the_note_is_believed_only_while_the_library_is_the_same(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    library = tmp_path / "mpi_lib.so"
    library.write_text("first")
    asked: list[str] = []

    def ask(path: Path, stamp: str) -> Horovod:
        asked.append(stamp)
        return replace(GOOD, library=str(path), library_stamp=stamp)

    monkeypatch.setattr(installed, "note_file", lambda: tmp_path / "share" / "note.json")
    monkeypatch.setattr(installed, "horovod_library", lambda: library)
    monkeypatch.setattr(installed, "ask_horovod", ask)
    set_tensorflow(monkeypatch, ("tensorflow-cpu", "2.21.0"))
    assert installed.installed_horovod() == installed.installed_horovod()
    assert len(asked) == 1
    library.write_text("second, longer")
    assert installed.installed_horovod().mpi
    assert len(asked) == 2
    set_tensorflow(monkeypatch, ("tensorflow-cpu", "2.18.1"))
    assert "compiled for TensorFlow 2.21.0, not for 2.18.1" in installed.installed_horovod().missing


@pytest.mark.parametrize("version, wanted", [("1.26.4", ""), ("2.4.6", "numpy<2.0.0,>=1.23.5")])
def test_a_numpy_that_tensorflow_does_not_take_is_named(monkeypatch: pytest.MonkeyPatch, version: str,
                                                        wanted: str) -> None:
    monkeypatch.setattr(installed, "installed_tensorflow", lambda: ("tensorflow-cpu", "2.17.1"))
    monkeypatch.setattr(metadata, "requires", lambda name: [
        'numpy<2.0.0,>=1.23.5; python_version <= "3.13"', 'numpy<1.1; python_version < "3.0"', "wheel<1,>=0.3"])
    monkeypatch.setattr(metadata, "version", lambda name: version)
    assert installed.numpy_of_tensorflow() == wanted
    assert checks.check_tensorflow().ok is (not wanted)


def test_a_package_that_is_missing_is_named_before_anything_needs_it(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def version(name: str) -> str:
        if name in ("psutil", "scipy", "pytest"):  # the last one is for tests alone
            raise metadata.PackageNotFoundError(name)
        return "1.0"
    wanted = ["numpy>=1.26", "psutil>=5.9", "scipy>=1.13", 'pytest>=8; extra == "test"']
    monkeypatch.undo()
    monkeypatch.setattr(metadata, "requires", lambda name: wanted)
    monkeypatch.setattr(metadata, "version", version)
    assert cli.main(["doctor"]) == EXIT_ENVIRONMENT
    printed = capsys.readouterr().out
    assert "not installed: psutil, scipy" in printed and "pip install psutil scipy" in printed
    assert "memory" not in printed


def test_the_command_line_asks_the_doctor_to_look_deeper(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def diagnose(deep: bool) -> list[Check]:
        asked.append(deep)
        return [Check("Python", True, "")]
    monkeypatch.setattr(checks, "diagnose", diagnose)
    assert cli.main(["doctor"]) == cli.main(["doctor", "--deep"]) == EXIT_OK
    assert asked == [False, True]
