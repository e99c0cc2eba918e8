"""Builds Horovod for the TensorFlow and MPI of this environment, once, and installs it.

    python -m batchscale.launchers.machine.horovod_build

No wheels of Horovod are published. A built one is kept in $BATCHSCALE_CACHE (else
$XDG_CACHE_HOME/batchscale, else ~/.cache/batchscale), by all that it depends on: minutes the
first time, seconds after that. Needs a C++17 compiler, make and this environment's cmake.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from ...benchmarks.data.cache import cache_folder
from ...benchmarks.errors import EXIT_ENVIRONMENT, EXIT_OK, EnvironmentUnusable
from . import installed
from .cores import usable_cores
from .horovod_target import HOROVOD, Target, this_target
from .setup_environment import BUILD_REQUIREMENTS

# The versions whose headers Horovod 0.28.1 is known to compile with.
SUPPORTED_TENSORFLOW = ("2.18.1", "2.21.0")
MEMORY_PER_COMPILER_BYTES = 1.5 * 2**30
ERROR_LINE = re.compile(r"\b(?:error|Error|ERROR)\b|No space left|Killed|not found")
# pip's remarks about a failure, compiler commands, and CMake's search results.
NO_ERROR_LINE = re.compile(r"^(?:#|note:|error: subprocess|-- )|subprocess-exited| -c ")

# TensorFlow 2.21 moved this header, says absl::StatusOr where Horovod's GPU code says
# xla::StatusOr, and no longer exports the stream accessor, which is therefore defined here: one
# source file of Horovod includes this header, so there is one definition.
FORWARDING_HEADER = """\
#pragma once
#include "xla/hlo/builder/xla_builder.h"
namespace xla { template <typename T> using StatusOr = absl::StatusOr<T>; }
#if HAVE_CUDA
#include <cuda_runtime.h>
#include "xla/stream_executor/stream.h"
namespace stream_executor::gpu {
cudaStream_t AsGpuStreamValue(Stream* stream) {
  return static_cast<cudaStream_t>(stream->platform_specific_handle().stream);
}
}
#endif
"""

# Read by CMake before Horovod's project. The run path is relative, because the wheel is used in
# other environments than the one it was built in. No -g: a tenth of the size. Horovod compiles
# Gloo twice and links the C++17 copy only. Sources compiled together read the same headers once,
# which halves the time; allreduce.cc has a name that another file of Gloo has too, and mpi_ops.cc
# takes as long as all others, so it stays apart beside them. The operations inside XLA programs
# serve HOROVOD_ENABLE_XLA_OPS alone, which no run sets; with CUDA they hold what others link to.
TOOLCHAIN = """\
set(CMAKE_BUILD_WITH_INSTALL_RPATH ON)
set(CMAKE_INSTALL_RPATH "{run_path}")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -DNDEBUG" CACHE STRING "")
function(compile_less)
  set(own "${{PROJECT_SOURCE_DIR}}/horovod/tensorflow")
  set(gloo "${{PROJECT_SOURCE_DIR}}/third_party/compatible17_gloo/gloo")
  if(TARGET compatible17_gloo)
    set_target_properties(gloo PROPERTIES EXCLUDE_FROM_ALL ON)
    set_target_properties(compatible17_gloo PROPERTIES UNITY_BUILD {together} UNITY_BUILD_BATCH_SIZE 10)
    set_source_files_properties("${{gloo}}/allreduce.cc" TARGET_DIRECTORY compatible17_gloo
                                PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  endif()
  if(TARGET tensorflow)
    set_target_properties(tensorflow PROPERTIES UNITY_BUILD {together} UNITY_BUILD_BATCH_SIZE 8)
    set_source_files_properties("${{own}}/mpi_ops.cc" "${{own}}/xla_mpi_ops.cc" TARGET_DIRECTORY tensorflow
                                PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    if(NOT HAVE_CUDA)
      set_source_files_properties("${{own}}/xla_mpi_ops.cc" TARGET_DIRECTORY tensorflow PROPERTIES HEADER_FILE_ONLY ON)
    endif()
  endif()
endfunction()
cmake_language(DEFER DIRECTORY "${{CMAKE_SOURCE_DIR}}" CALL compile_less)
"""


class HorovodNotBuilt(EnvironmentUnusable):
    """Horovod cannot be built or used here: the reason, what mends it, and the log if any."""

    def __init__(self, reason: str, fix: str, log: str = "") -> None:
        super().__init__(f"{reason}\nTo mend it: {fix}" + (f"\nLog: {log}" if log else ""))
        self.reason, self.fix, self.log = reason, fix, log


def obtain_wheel(target: Target, rebuild: bool = False) -> Path:
    """Return the wheel for this environment, from the cache or built into it."""
    folder = cache_folder() / "wheels" / target.key
    cached = sorted(folder.glob("horovod-*.whl"))
    if cached and not rebuild:
        print(f"Horovod {HOROVOD}: from the cache, {cached[0]}", flush=True)
        return cached[0]
    check_prerequisites(target)
    print(f"Horovod {HOROVOD}: compiling for {target.key} (some minutes)", flush=True)
    with tempfile.TemporaryDirectory(prefix="batchscale-horovod-") as scratch:
        wheel = build_wheel(target, Path(scratch))
        return keep(wheel, folder)


def keep(wheel: Path, folder: Path) -> Path:
    """Put the wheel into the cache by rename, so that no reader sees half of one."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f"draft-{os.getpid()}"
    shutil.copyfile(wheel, draft)
    return draft.rename(folder / wheel.name)


def check_prerequisites(target: Target) -> None:
    """Raise HorovodNotBuilt for what can be known before the compiler runs for minutes."""
    if target.tensorflow not in SUPPORTED_TENSORFLOW:
        raise HorovodNotBuilt(
            f"Horovod {HOROVOD} is not known to compile with TensorFlow {target.tensorflow}; it "
            f"does with {' and '.join(SUPPORTED_TENSORFLOW)}",
            f"install one of these (make setup TENSORFLOW={SUPPORTED_TENSORFLOW[0]}), or go on "
            "without Horovod")
    compiler = os.environ.get("CXX") or "c++"
    for program, package in ((compiler.split()[0], "g++"), ("make", "make")):
        if not shutil.which(program):
            raise HorovodNotBuilt(f"{program} is not on PATH", "install a C++17 compiler and make: "
                                  f"apt-get install {package}, or module load gcc on a cluster")
    missing = [name for name in BUILD_REQUIREMENTS if not has_distribution(name)]
    if missing:
        listed = " ".join(f"'{name}'" for name in missing)
        raise HorovodNotBuilt(f"the build needs {', '.join(missing)}",
                              f"{sys.executable} -m pip install {listed}")


def has_distribution(requirement: str) -> bool:
    """Return whether some version of the required distribution is installed."""
    try:
        metadata.version(re.split(r"[<>=]", requirement)[0])
    except metadata.PackageNotFoundError:
        return False
    return True


def build_wheel(target: Target, scratch: Path) -> Path:
    """Compile in `scratch`, each source apart where a compiler cannot take them together; the log goes to the cache,
    where it stays if this fails."""
    log = cache_folder() / "logs" / f"{target.key}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    for together in (True, False):
        if wheel := _compiled(build_environment(target, scratch, together), scratch, log):
            print(f"Horovod {HOROVOD}: compiled in {time.monotonic() - started:.0f} s", flush=True)
            return wheel
        if together:
            print(f"Horovod {HOROVOD}: its sources do not compile together here; once more, each apart", flush=True)
    raise HorovodNotBuilt("Horovod did not compile:\n" + first_errors(log.read_text()),
                          f"see the log, then {installed.BUILD_COMMAND}", str(log))


def _compiled(environment: dict[str, str], scratch: Path, log: Path) -> Path | None:
    """Return the wheel that pip builds into `scratch`, None where it fails; what is said goes to `log`."""
    command = [sys.executable, "-m", "pip", "wheel", "--disable-pip-version-check", "-v",
               "--no-build-isolation", "--no-deps", "--no-binary", "horovod",
               # pip's own cache knows nothing of TensorFlow and MPI versions.
               "--no-cache-dir", "--wheel-dir", str(scratch), f"horovod=={HOROVOD}"]
    with log.open("w") as output:
        done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, env=environment, check=False)
    return None if done.returncode else next(iter(sorted(scratch.glob("horovod-*.whl"))), None)


def build_environment(target: Target, scratch: Path, together: bool = True) -> dict[str, str]:
    """Return the environment variables of the build; write the files they name into `scratch`.

    together: many sources go to the compiler as one, which reads the headers they share once.
    """
    toolchain = scratch / "toolchain.cmake"
    toolchain.write_text(TOOLCHAIN.format(run_path=target.run_path, together="ON" if together else "OFF"))
    programs = [Path(sys.executable).parent] + ([target.mpi.folder] if target.mpi else [])
    variables = {
        "PATH": os.pathsep.join([*map(str, programs), os.environ.get("PATH", "")]),
        "MAKEFLAGS": f"-j{compiler_count()}",
        "CMAKE_TOOLCHAIN_FILE": str(toolchain),
        # Gloo's CMakeLists.txt states a minimum that CMake 4 no longer accepts.
        "CMAKE_POLICY_VERSION_MINIMUM": "3.5",
        "CPLUS_INCLUDE_PATH": os.pathsep.join(include_folders(target, scratch)),
        "HOROVOD_WITH_TENSORFLOW": "1",
        "HOROVOD_WITHOUT_PYTORCH": "1",
        "HOROVOD_WITHOUT_MXNET": "1",
        "HOROVOD_WITH_GLOO": "1",
        "HOROVOD_WITH_MPI" if target.mpi else "HOROVOD_WITHOUT_MPI": "1",
    }
    if target.nccl:
        variables.update(target.nccl.build_variables(scratch))
    return {**os.environ, **variables}


def include_folders(target: Target, scratch: Path) -> list[str]:
    """Header folders that TensorFlow's own compile flags leave out (from 2.21 on)."""
    before = os.environ.get("CPLUS_INCLUDE_PATH")
    folders = [before] if before else []
    if target.tensorflow == "2.21.0":
        header = scratch / "include" / "tensorflow/compiler/xla/client/xla_builder.h"
        header.parent.mkdir(parents=True, exist_ok=True)
        header.write_text(FORWARDING_HEADER)
        external = target.tensorflow_include / "external"
        folders += [str(external / "highwayhash"), str(external / "farmhash_archive" / "src"),
                    str(scratch / "include")]
    return folders


def compiler_count() -> int:
    """Return how many compilers run at once: one per core of this process, as memory allows, 16 at most."""
    import psutil

    allowed = int(psutil.virtual_memory().available / MEMORY_PER_COMPILER_BYTES)
    return max(1, min(len(usable_cores()), allowed, 16))


def first_errors(log: str, count: int = 6) -> str:
    """Return the first error lines of a log (later ones follow from them), else its last lines."""
    lines = [line.strip()[:300] for line in log.splitlines() if line.strip()]
    telling = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if ERROR_LINE.search(line) and not NO_ERROR_LINE.search(line):
            # CMake names the place and tells the reason in the line below.
            telling += [line, following] if line.startswith("CMake Error") else [line]
    return "\n".join("  " + line for line in (telling[:count] or lines[-count:]))


def install(wheel: Path) -> None:
    """Install the wheel (its version number never tells two builds apart, so always anew)."""
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "-qq"]
    for options in (["--no-deps", "--force-reinstall"], []):
        done = subprocess.run([*pip, *options, str(wheel)], check=False)
        if done.returncode:
            raise HorovodNotBuilt(f"pip could not install {wheel}", "see pip's message above")


def verify(target: Target) -> installed.Horovod:
    """Import what was installed in a child process and compare it with what was asked for."""
    library = installed.horovod_library()
    if library is None:
        raise HorovodNotBuilt("the wheel holds no TensorFlow extension",
                              f"{installed.BUILD_COMMAND} --rebuild")
    horovod = installed.ask_horovod(library, installed.stamp_of(library))
    wanted = {"gloo": True, "mpi": target.mpi is not None, "nccl": target.nccl is not None}
    lacking = [name for name, asked in wanted.items() if asked and not getattr(horovod, name)]
    if horovod.missing or lacking:
        raise HorovodNotBuilt(horovod.missing or f"Horovod was built without {', '.join(lacking)}",
                              f"{installed.BUILD_COMMAND} --rebuild")
    return horovod


def run(options: argparse.Namespace) -> None:
    """Obtain, install, verify; raises HorovodNotBuilt."""
    target = this_target()
    for line in target.remarks:
        print(f"Horovod {HOROVOD}: {line}", flush=True)
    wheel = obtain_wheel(target, options.rebuild)
    if options.wheel_only:
        return
    install(wheel)
    horovod = replace(verify(target), remarks="; ".join(target.remarks))
    installed.write_note(horovod)
    kinds = [kind for kind in ("gloo", "mpi", "nccl") if getattr(horovod, kind)]
    print(f"Horovod {HOROVOD}: installed and imported, with {', '.join(kinds)}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Build or find Horovod; return 0 when it is usable, else 3 with the reason printed, or 0 under --optional."""
    parser = argparse.ArgumentParser(prog="batchscale.launchers.machine.horovod_build",
                                     description=__doc__.splitlines()[0])
    parser.add_argument("--optional", action="store_true", help="exit 0 even when it fails")
    parser.add_argument("--wheel-only", action="store_true", help="do not install the wheel")
    parser.add_argument("--rebuild", action="store_true", help="ignore the cached wheel")
    options = parser.parse_args(arguments)
    try:
        run(options)
    except EnvironmentUnusable as error:
        print(f"Horovod {HOROVOD} is not available: {error}", file=sys.stderr)
        if isinstance(error, HorovodNotBuilt):
            installed.write_note(installed.Horovod(missing=error.reason, fix=error.fix,
                                                   log=error.log))
        return EXIT_OK if options.optional else EXIT_ENVIRONMENT
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
