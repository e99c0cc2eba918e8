"""What this machine can run, what is missing, and the command that mends it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...benchmarks.config.strategies import variants
from ...benchmarks.errors import DataError
from ...benchmarks.text import counted
from . import inherited, installed
from .cores import cpu_quota, usable_cores
from .gpus import gpu_names
from .installed import version_of
from .setup_environment import NEWEST_PYTHON, OLDEST_PYTHON, OPEN_MPI, find_mpi, Mpi, printed

INSTALL_TENSORFLOW = "python -m pip install 'tensorflow-cpu>=2.17,<2.22'"
INSTALL_TENSORFLOW_GPU = "python -m pip install 'tensorflow[and-cuda]>=2.17,<2.22'"
INSTALL_MPI = f"python -m pip install {OPEN_MPI} mpi4py"
# Without these no study can run at all.
NEEDED = ("Python", "packages", "TensorFlow")
ASK_MPI4PY = """
import mpi4py
mpi4py.rc.initialize = False
from mpi4py import MPI
print(MPI.Get_library_version().split(",")[0].strip())
with open("/proc/self/maps") as maps:
    print(*sorted({line.split()[-1] for line in maps if "/libmpi." in line}))
"""
# Which library it could not load TensorFlow says at no level that is shown unasked.
ASK_TENSORFLOW = """
import os
os.environ.update(TF_CPP_MIN_LOG_LEVEL="0", TF_CPP_VMODULE="dso_loader=1", TF_CPP_MAX_VLOG_LEVEL="1")
from batchscale.benchmarks.rank.imports import tensorflow_and_keras
tensorflow_and_keras()
import tensorflow as tf
kinds = [device.device_type for device in tf.config.list_physical_devices()]
print("imports;", ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds))))
"""


@dataclass(frozen=True)
class Check:
    """One finding: `ok` is None where it is optional and absent; `fix` is a command or advice."""

    name: str
    ok: bool | None
    found: str
    fix: str = ""


def strategies_available() -> dict[str, str]:
    """Return for each strategy "" when it can run here, else the reason why not; TensorFlow is not imported."""
    tensorflow = installed.tensorflow_problem()
    if tensorflow:
        return dict.fromkeys(variants(), tensorflow)
    horovod = installed.installed_horovod()
    problems = {"": lambda _: "", "gloo": gloo_problem, "mpi": mpi_problem}
    return {name: problems[transport](horovod) for name, (_, transport) in variants().items()}


def gloo_problem(horovod: installed.Horovod) -> str:
    """Return why ranks cannot be started with Horovod and Gloo; "" when they can."""
    if horovod.missing or not horovod.gloo:
        return horovod.missing or "Horovod was built without Gloo"
    if problem := inherited.name_problem():
        return f"{problem}, by which ranks that talk by Gloo look for each other; add it to /etc/hosts"
    return ""


def mpi_problem(horovod: installed.Horovod) -> str:
    """Return why ranks cannot be started with Horovod and MPI; "" when they can."""
    if horovod.missing or not horovod.mpi:
        return horovod.missing or "Horovod was built without MPI"
    if installed.linked_libmpi(horovod.library) == "not found":
        return "the libmpi that Horovod was built with is not found"
    launcher = find_mpi(programs=("mpirun",))
    if launcher is None:
        return "mpirun is not on PATH"
    if launcher.name == "Open MPI" and not launcher.is_open_mpi_4:
        return f"horovodrun --mpi needs Open MPI 4; mpirun is {launcher.version}"
    return ""


def diagnose(deep: bool = False) -> list[Check]:
    """Return all checks in the order they are printed; `deep` imports TensorFlow in a child process."""
    if (packages := check_packages()).ok is False:  # what the other checks need is among them
        return [check_python(), packages]
    horovod = installed.installed_horovod()
    launcher = find_mpi(programs=("mpirun",))
    checks = [check_python(), packages, check_tensorflow()]
    if deep:
        checks.append(check_tensorflow_import())
    checks += [check_horovod(horovod), check_mpi(launcher), *check_mpi4py(horovod), check_gpus(),
               check_cores(), *check_inherited(), check_memory(), check_slurm(), check_data(), check_cache()]
    return checks + [Check(f"strategy {name}", not reason, reason or "can run")
                     for name, reason in strategies_available().items()]


def check_python() -> Check:
    """Check that Python's version is supported."""
    ok = OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON
    return Check("Python", ok, f"{platform.python_version()} in {sys.prefix}",
                 "" if ok else "make clean setup PYTHON=python3.12")


def check_packages() -> Check:
    """Check that what this project needs beside TensorFlow, Horovod and MPI is installed."""
    absent = installed.missing_packages()
    return Check("packages", not absent, f"not installed: {', '.join(absent)}" if absent else "all installed",
                 f"python -m pip install {' '.join(absent)}" if absent else "")


def check_tensorflow() -> Check:
    """Which TensorFlow is installed, and whether its version is supported."""
    found, problem = installed.installed_tensorflow(), installed.tensorflow_problem()
    if problem or found is None:
        return Check("TensorFlow", False, problem,
                     INSTALL_TENSORFLOW_GPU if gpu_names() else INSTALL_TENSORFLOW)
    wanted = installed.numpy_of_tensorflow()
    other = f", numpy {version_of('numpy')}: it takes {wanted}" if wanted else ""
    return Check("TensorFlow", not wanted, f"{found[0]} {found[1]}, keras {version_of('keras')}{other}",
                 f"python -m pip install '{wanted}'" if wanted else "")


def check_tensorflow_import() -> Check:
    """Import TensorFlow in a child process and list its devices (seconds); too few GPUs are a problem, with the reason
    that TensorFlow gives."""
    lines = printed(sys.executable, "-c", ASK_TENSORFLOW, seconds=180).splitlines()
    answer = next((line for line in lines if line.startswith("imports;")), "")
    if not answer:
        return Check("TensorFlow import", False, "fails", "python -c 'import tensorflow'  (shows the reason)")
    seen, present = re.search(r"(\d+) GPU", answer), len(gpu_names())
    if present <= (int(seen[1]) if seen else 0):
        return Check("TensorFlow import", True, answer)
    found = f"{answer}, of {counted(present, 'GPU')} that the driver shows"
    return Check("TensorFlow import", False, found, unusable_gpu(lines))


def unusable_gpu(lines: Sequence[str]) -> str:
    """Return what TensorFlow said of a GPU that it cannot use, and what mends the commonest causes."""
    said = [line.split("] ", 1)[-1].partition("; LD_LIBRARY_PATH")[0] for sign in (
        "Could not load", "dlopen", "driver version") for line in lines if sign in line and "nvinfer" not in line]
    reason = f"TensorFlow says: {said[0]}; " if said else ""
    return (f"{reason}{INSTALL_TENSORFLOW_GPU}; in a container give NVIDIA_DRIVER_CAPABILITIES=compute,utility, for "
            "TensorFlow 2.21 needs libnvidia-ml.so.1")


def check_horovod(horovod: installed.Horovod) -> Check:
    """Find Horovod's version and what it was built with; optional."""
    if horovod.missing:
        log = f"; log: {horovod.log}" if horovod.log else ""
        return Check("Horovod", None, horovod.missing + log, horovod.fix)
    kinds = [kind for kind in ("gloo", "mpi", "nccl") if getattr(horovod, kind)]
    if gpu_names() and not horovod.nccl:
        return Check("Horovod", False, f"{horovod.version} without NCCL, beside GPUs",
                     f"install the CUDA toolkit 12 (nvcc), then {installed.BUILD_COMMAND}")
    return Check("Horovod", True, f"{horovod.version} with {', '.join(kinds)}")


def check_mpi(launcher: Mpi | None) -> Check:
    """Find the mpirun that would be used; optional."""
    if launcher is None:
        return Check("MPI", None, "no mpirun on PATH", INSTALL_MPI)
    found = f"{launcher.name} {launcher.version} in {launcher.folder}"
    good = launcher.name != "Open MPI" or launcher.is_open_mpi_4
    return Check("MPI", good, found, "" if good else f"{INSTALL_MPI}  (horovodrun needs version 4)")


def check_mpi4py(horovod: installed.Horovod) -> list[Check]:
    """Find the library that mpi4py loads, and whether Horovod loads the same one."""
    if version_of("mpi4py") == "absent":
        return [Check("mpi4py", None, "not installed", INSTALL_MPI)]
    answer = printed(sys.executable, "-c", ASK_MPI4PY).splitlines()
    if len(answer) < 2:
        return [Check("mpi4py", False, "finds no MPI library", INSTALL_MPI)]
    checks = [Check("mpi4py", True, f"{version_of('mpi4py')} with {answer[0]}")]
    theirs = installed.linked_libmpi(horovod.library) if horovod.mpi else ""
    if theirs:
        same = Path(theirs).resolve() == Path(answer[1]).resolve()
        checks.append(Check("one libmpi", same, answer[1] if same else
                            f"mpi4py: {answer[1]}, Horovod: {theirs}",
                            "" if same else f"{installed.BUILD_COMMAND} --rebuild"))
    return checks


def check_gpus() -> Check:
    """Find NVIDIA GPUs by name; optional."""
    names = gpu_names()
    if not names:
        return Check("GPUs", None, "no NVIDIA GPU: replicas are CPU cores")
    found = installed.installed_tensorflow()
    fit = found is None or found[0] != "tensorflow-cpu"
    listed = ", ".join(f"{names.count(name)} x {name}" for name in sorted(set(names)))
    if not fit:
        return Check("GPUs", False, f"{listed}, which tensorflow-cpu cannot use",
                     f"python -m pip uninstall tensorflow-cpu; {INSTALL_TENSORFLOW_GPU}")
    if len(set(names)) > 1:
        return Check("GPUs", None, f"{listed}: one replica takes the first by bus number, {names[0]}",
                     "CUDA_VISIBLE_DEVICES=N  (to take another, or equal ones)")
    if version_of("nvidia-ml-py") == "absent":
        return Check("GPUs", None, f"{listed}, without readings of energy, power, clocks and free memory",
                     "python -m pip install nvidia-ml-py")
    return Check("GPUs", True, listed)


def check_cores() -> Check:
    """Cores of the machine, and those this process may use."""
    usable, present, quota = len(usable_cores()), os.cpu_count() or 1, cpu_quota()
    limit = f" (the control group's quota is {quota:g} CPU{'s' * (quota != 1)})" \
        if quota is not None and quota < present else ""
    few = usable < 2
    return Check("cores", not few, f"{usable} usable of {present}{limit}",
                 "two replicas would share one core: scaling means nothing; widen taskset, "
                 "--cpus-per-task or the container's --cpus" if few else "")


def check_inherited() -> list[Check]:
    """Find whether this machine knows its own name, and what of the environment is not for ranks that start here."""
    problem = inherited.name_problem()
    named = Check("host name", not problem, problem or f"{socket.gethostname()} can be resolved",
                  "add it to /etc/hosts: 127.0.0.1 and the name" if problem else "")
    found = inherited.sentences(os.environ)
    return [named, *([Check("environment", True, "; ".join(found))] if found else [])]


def check_memory() -> Check:
    """Memory that a new process can get; TensorFlow takes about 0.5 GiB per rank."""
    import psutil

    memory = psutil.virtual_memory()
    available_gib = memory.available / 2**30
    return Check("memory", available_gib >= 2,
                 f"{available_gib:.1f} GiB available of {memory.total / 2**30:.1f} GiB",
                 "" if available_gib >= 2 else "free some, or ask Slurm for --mem=4G")


def check_slurm() -> Check:
    """Find whether jobs can be submitted from here; optional."""
    if not shutil.which("sbatch"):
        return Check("Slurm", None, "no sbatch on PATH: runs start on this machine only")
    nodes = printed("sinfo", "--noheader", "--format=%D %P").splitlines()
    if not nodes:
        return Check("Slurm", False, "sbatch is there, but sinfo gets no answer",
                     "sinfo  (shows the reason; SLURM_CONF names another cluster's slurm.conf)")
    return Check("Slurm", True, ", ".join(f"{line.split()[1]} ({line.split()[0]} nodes)"
                                          for line in nodes if len(line.split()) == 2))


def check_data() -> Check:
    """Which of the built-in data sets can be loaded; `batchscale fetch` brings the others."""
    from ...benchmarks.data import describe_size
    from ...benchmarks.data.registry import BUILT_IN

    absent = []
    for name in BUILT_IN:
        try:
            describe_size(name)
        except DataError:
            absent.append(name)
    present = [name for name in BUILT_IN if name not in absent]
    if not absent:
        return Check("data sets", True, ", ".join(present))
    return Check("data sets", True, f"{', '.join(present)}; not here: {', '.join(absent)}",
                 "; ".join(f"batchscale fetch {name}" for name in absent))


def check_cache() -> Check:
    """Check that built wheels and drawn data sets can be kept."""
    from ...benchmarks.data.cache import cache_folder

    folder = cache_folder().absolute()
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    ok = existing.is_dir() and os.access(existing, os.W_OK)
    return Check("cache folder", ok, f"{folder}{'' if ok else ' cannot be written'}",
                 "" if ok else "export BATCHSCALE_CACHE=<a folder you can write>")


def table(checks: list[Check]) -> str:
    """Plain lines: state, name, finding, and below it what mends it."""
    states = {True: "ok", False: "PROBLEM", None: "absent"}
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        lines.append(f"{states[check.ok]:8}{check.name:{width}}  {check.found}")
        if check.fix:
            lines.append(f"{'':8}{'':{width}}  -> {check.fix}")
    return "\n".join(lines)
