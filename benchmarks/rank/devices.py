"""The core budget and the devices of one rank. Affinity is set before TensorFlow starts its threads.

A replica on a CPU owns `cores_per_replica` cores: intra-op threads = that, inter-op threads = local replicas.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ..config.strategies import has_process_per_replica
from ..errors import EnvironmentUnusable
from ..records.failures import cause, sign_of_no_memory
from ..runs.run_config import RunConfig
from .gpus import arithmetic, near_cores

NO_BUFFER = "no memory for a buffer of Horovod's (which calls that \"Unknown error.\")"
FIRST_BYTES = 2**20  # the first region that is grown from
DRIVERS = ("/dev/nvidiactl", "/dev/dxg")
RANK_VARIABLES = ("BATCHSCALE_RANK", "HOROVOD_RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID", "PMIX_RANK")
LOCAL_RANK_VARIABLES = ("BATCHSCALE_LOCAL_RANK", "HOROVOD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID",
                        "PMIX_LOCAL_RANK")


def launched_rank(variables: Mapping[str, str]) -> int:
    """Return the rank that the launcher gave this process, whatever it has learnt since; 0 for a plain process."""
    return next((int(variables[name]) for name in RANK_VARIABLES if variables.get(name, "").isdigit()), 0)


def local_rank(variables: Mapping[str, str]) -> int:
    """Return this process' number on its host, by whichever launcher started it; 0 for a plain process."""
    return next((int(variables[name]) for name in LOCAL_RANK_VARIABLES if variables.get(name, "").isdigit()), 0)


def pin(config: RunConfig, cores: Sequence[int], variables: Mapping[str, str], gpus: bool | None = None) -> list[int]:
    """Bind this process to its share of `cores`, which all local ranks divide among them; return the share.

    With GPUs (by default, where NVIDIA's driver is) cores_per_replica is the least of it: the processes of a host share
    all of its cores evenly, since they launch kernels, decode images and drive the network beside them, each
    near its own GPU where NVML tells; all have all where GPUs outnumber cores.
    """
    per_process = config.cores_per_replica * (config.replicas // config.ranks)
    shared = has_process_per_replica(config.strategy) and not bound_by_slurm(variables)
    gpus = beside_gpus() if gpus is None else gpus
    if gpus:
        per_process = max(per_process, len(cores) // max(1, config.ranks // max(1, config.nodes) if shared else 1))
    start = local_rank(variables) * per_process if shared else 0
    own = list(cores)[start:start + per_process]
    if gpus and shared and config.ranks > 1 and config.cores_per_replica == 1:
        if near := near_cores.of_this_host(cores, config.ranks // max(1, config.nodes), local_rank(variables),
                                           variables.get("CUDA_VISIBLE_DEVICES")):
            own, per_process = near, len(near)
    if gpus and config.cores_per_replica == 1 and len(own) < per_process:
        own = list(cores)
    elif len(own) < per_process:
        raise EnvironmentUnusable(
            f"{config.strategy} needs {start + per_process} cores on this host ({config.cores_per_replica} for each "
            f"replica) and has {len(cores)}; lower replicas or cores_per_replica, or give it more cores.")
    for thread in os.listdir("/proc/self/task"):  # TensorFlow has one from when it is imported
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread), own)
    return own


def beside_gpus() -> bool:
    """Return whether this process is told to train on GPUs, or NVIDIA's driver is here (WSL has it at another place).
    """
    return os.environ.get("BATCHSCALE_DEVICE") == "gpu" or any(Path(path).exists() for path in DRIVERS)


def bound_by_slurm(variables: Mapping[str, str]) -> bool:
    """Return whether srun has already bound each task to its cores, so that there is nothing to divide."""
    return (variables.get("SLURM_CPU_BIND_TYPE", "").startswith(("mask_", "map_"))
            and variables.get("BATCHSCALE_LAUNCHER", "").startswith("srun"))


def prepare(config: RunConfig) -> list[str]:
    """Set up threads, logical CPUs, memory growth and this rank's GPU; return the local replicas' devices."""
    import tensorflow as tf
    local = config.replicas // config.ranks
    gpus = tf.config.list_physical_devices("GPU")
    own = len(os.sched_getaffinity(0)) // local
    tf.config.threading.set_intra_op_parallelism_threads(max(own, 1) if gpus else config.cores_per_replica)
    tf.config.threading.set_inter_op_parallelism_threads(local)
    if not gpus and os.environ.get("BATCHSCALE_DEVICE") == "gpu":
        raise EnvironmentUnusable(
            f"GPUs were asked for and TensorFlow sees none here (CUDA_VISIBLE_DEVICES="
            f"{os.environ.get('CUDA_VISIBLE_DEVICES', '')!r}); `batchscale doctor --deep` on such a machine tells why. "
            "To train on its CPU instead, set CUDA_VISIBLE_DEVICES to nothing, or under Slurm gpus = \"none\" in the "
            "site profile.")
    if gpus:
        found = _prepare_gpus(tf, gpus, config, local)
        arithmetic.prepare(config)
        return found
    arithmetic.prepare(config)
    if local > 1:
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0],
                                                   [tf.config.LogicalDeviceConfiguration()] * local)
    if config.memory_limit_bytes:
        limit_memory(config.memory_limit_bytes)
    return [f"CPU:{index}" for index in range(local)]


def limit_memory(limit_bytes: int) -> None:
    """Limit the data that this process may have from now on; allocations beyond it fail. Raises EnvironmentUnusable."""
    taken = status_bytes("VmData") or 0
    if taken >= limit_bytes:
        raise EnvironmentUnusable(f"memory limit {limit_bytes:,} bytes: this process has {taken:,} bytes of data "
                                  "before it has a model; raise the limit.")
    resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def lift_memory_limit() -> None:
    """Lift the memory limit: after an allocation has failed, reporting it needs some memory too."""
    most = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def is_out_of_memory(error: BaseException, limited: bool) -> bool:
    """Return whether an error means that an allocation failed, by its type or by the text of the layers below
    TensorFlow."""
    import tensorflow as tf
    by_text = isinstance(error, (OSError, RuntimeError, tf.errors.OpError)) and bool(
        sign_of_no_memory(str(error), limited))
    return by_text or isinstance(error, (MemoryError, tf.errors.ResourceExhaustedError)) or lacked_horovod_buffer(error)


def lacked_horovod_buffer(error: BaseException) -> bool:
    """Return whether one of Horovod's own buffers could not be allocated.

    Horovod asks TensorFlow's allocator for nothing else, and makes "Unknown error." of its ResourceExhausted
    (ConvertStatus in horovod/tensorflow/mpi_ops.cc, 0.28.1). Errors of other kinds keep their own text.
    """
    import tensorflow as tf
    return (isinstance(error, tf.errors.UnknownError) and cause(str(error)) == "Unknown error."
            and "Horovod" in str(error))


def visible_gpus() -> list[str]:
    """Return the names of the physical GPUs that this process uses, after `prepare`."""
    import tensorflow as tf
    return [gpu.name for gpu in tf.config.get_visible_devices("GPU")]


def _prepare_gpus(tf: Any, gpus: Sequence[Any], config: RunConfig, local: int) -> list[str]:
    """A rank with one replica takes the GPU of its local rank, or the only one that it is shown."""
    if has_process_per_replica(config.strategy):
        index = 0 if len(gpus) == 1 else local_rank(os.environ)
        chosen = list(gpus[index:index + 1])
    else:
        chosen = list(gpus[:local])
    if len(chosen) < local:
        raise EnvironmentUnusable(f"{config.strategy} with {config.replicas} replicas needs {local} GPUs in this "
                                  f"process and sees {len(gpus)}; lower replicas or ask for more GPUs.")
    tf.config.set_visible_devices(chosen, "GPU")
    for gpu in chosen:
        if config.memory_limit_bytes:  # the allocator takes all of it at once, and no more
            limit = tf.config.LogicalDeviceConfiguration(memory_limit=config.memory_limit_bytes // 2**20)
            tf.config.set_logical_device_configuration(gpu, [limit])
        else:
            tf.config.experimental.set_memory_growth(gpu, True)
    return [f"GPU:{index}" for index in range(local)]


def ask_for_memory_first(local: Sequence[str]) -> None:
    """Let the allocator of each GPU ask the driver first for a piece of some size, once strategies are made. Raises
    EnvironmentUnusable where there is none left: others have it, which says nothing of any run.

    Where the driver has nothing left at a request of 2,304 bytes or less, TensorFlow asks for the same again, without
    end and with Python's lock held, so that nothing in the process could say so (`BFCAllocator::Extend`, to 2.21 at
    least). From a first piece that it has, it serves what is as small.
    """
    import tensorflow as tf
    for device in local:
        if device.startswith("GPU:"):
            try:
                with tf.device(device):
                    tf.constant(np.zeros(FIRST_BYTES, np.int8))
            except tf.errors.OpError as error:
                if sign_of_no_memory(str(error)):
                    raise EnvironmentUnusable(
                        f"{device} has not a MiB of memory left: other processes hold it (nvidia-smi says which). Wait "
                        "until they end, or let CUDA_VISIBLE_DEVICES name another GPU.") from None


def status_bytes(field: str) -> int | None:
    """Return a size in /proc/self/status, such as VmRSS, in bytes; None where there is none."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None
