"""One command line per launcher: how the ranks of a shape are started on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...benchmarks.config.strategies import STRATEGIES
from ...benchmarks.data.cache import cache_folder
from ...benchmarks.errors import one_of, PlanError
from ...benchmarks.runs.run_config import RunConfig
from ..machine.gpus import gpu_names

LAUNCHERS = ("auto", "horovodrun", "mpirun")
# Open MPI's way over libfabric, which ranks on one machine never use, takes a whole second to be closed.
WITHOUT_FABRIC = "^ofi"
KERNELS = "cuda-kernels"  # in the cache folder: what the driver compiled


@dataclass(frozen=True)
class Start:
    """Command that starts a worker: its words, and what is added to the environment."""

    words: tuple[str, ...]
    environment: Mapping[str, str]


def rank_program() -> list[str]:
    """Return the words that start one rank with this Python."""
    beside = Path(sys.executable).with_name("batchscale-rank")
    return [str(beside)] if beside.exists() else [sys.executable, "-m", "batchscale.benchmarks.rank.worker"]


def start(config: RunConfig, worker: Sequence[str], logs: Path, launcher: str = "auto") -> Start:
    """Return the command for a worker of this run's shape. `worker`: arguments of `batchscale-rank`. Raises PlanError
    for a launcher that is not known or cannot start such ranks.

    auto: mpirun where ranks talk by MPI, since horovodrun imports TensorFlow before it starts the same mpirun.
    """
    if launcher not in LAUNCHERS:
        raise PlanError(one_of("--launcher", launcher, LAUNCHERS))
    words = [*rank_program(), *worker]
    if launcher == "auto":
        launcher = "mpirun" if config.transport == "mpi" else "horovodrun"
    way = STRATEGIES[config.strategy].start
    if way == "cluster":
        return Start((*_group(config, logs), *words), _environment("group"))
    if way == "process" or config.ranks == 1 and config.transport == "gloo":  # of one rank horovodrun makes an error
        return Start(tuple(words), _environment("plain process"))
    if launcher == "mpirun" and config.transport == "mpi":
        return Start((*_mpirun(config.replicas), *words), _environment("mpirun"))
    if launcher == "mpirun":
        raise PlanError("--launcher mpirun cannot start ranks that talk by Gloo; use --launcher horovodrun.")
    return Start((*_horovodrun(config, logs), *words), _environment("horovodrun"))


def _mpirun(ranks: int) -> list[str]:
    return ["mpirun", *mpirun_as_root(), "--oversubscribe", "--bind-to", "none", "-np", str(ranks)]


def _horovodrun(config: RunConfig, logs: Path) -> list[str]:
    """Ranks bind themselves to cores, so that a rank's cores do not depend on the launcher."""
    words = ["horovodrun", "-np", str(config.replicas), f"--{config.transport}", "--output-filename", str(logs)]
    if config.transport == "mpi":
        words.append("--mpi-args=" + " ".join([*mpirun_as_root(), "--oversubscribe"]))
    return words


def _group(config: RunConfig, logs: Path) -> list[str]:
    return [sys.executable, "-m", "batchscale.launchers.local.rank_group", "-np", str(config.ranks),
            "--output-filename", str(logs)]


def mpirun_as_root() -> list[str]:
    """Return the option without which Open MPI refuses the root user; containers often have no other user."""
    return ["--allow-run-as-root"] if os.geteuid() == 0 else []


def _environment(launcher: str) -> dict[str, str]:
    """Programs of this Python's environment (mpirun, horovodrun) come before others of the same name."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {"PATH": path, "BATCHSCALE_LAUNCHER": launcher, "PYTHONUNBUFFERED": "1",
            "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
            "OMPI_MCA_btl": os.environ.get("OMPI_MCA_btl", WITHOUT_FABRIC), **gpu_environment()}


def gpu_environment() -> dict[str, str]:
    """Return what ranks beside GPUs are told: that TensorFlow must see them, and to keep the kernels that the driver
    compiles at their first use, more than its default of 1 GiB; nothing without a GPU."""
    return for_gpus() if gpu_names() else {}


def for_gpus() -> dict[str, str]:
    """Return the same where ranks are to have GPUs. Where BATCHSCALE_CACHE names a folder, which nodes then share, the
    driver's kernels are kept there too: those of one run serve all nodes of the next."""
    found = {"BATCHSCALE_DEVICE": "gpu", "CUDA_CACHE_MAXSIZE": str(4 * 2**30 - 1)}
    if os.environ.get("BATCHSCALE_CACHE"):
        found["CUDA_CACHE_PATH"] = str(cache_folder().absolute() / KERNELS)
    return {name: os.environ.get(name, value) if name.startswith("CUDA_") else value for name, value in found.items()}


def some_gpus(words: Sequence[str]) -> dict[str, str]:
    """Return what lets ranks see these GPUs alone, numbered as the driver numbers them and not by their speed."""
    return {"CUDA_VISIBLE_DEVICES": ",".join(words), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"} if words else {}
