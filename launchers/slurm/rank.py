"""One rank of a Slurm step: checks that it is where it was sent, tells Horovod or TensorFlow, is `batchscale-rank`.

`python -m batchscale.launchers.slurm.rank <arguments of batchscale-rank>`, started by srun or mpirun.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...benchmarks.errors import EXIT_INCOMPLETE, EXIT_OK, BatchscaleError, EnvironmentUnusable
from ..local.rank_group import tf_config
from .layout import COLLECTIVES, VARIABLE, from_text, Layout

INTERRUPTED = "interrupted"


def number(variables: Mapping[str, str], *names: str) -> int:
    """Return the first of these variables that holds a number, else 0."""
    return next((int(variables[name]) for name in names if variables.get(name, "").isdigit()), 0)


def rank_of(variables: Mapping[str, str]) -> int:
    """Return this task's rank among all."""
    return number(variables, "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID")


def check_place(layout: Layout, variables: Mapping[str, str]) -> None:
    """Raise EnvironmentUnusable unless this srun task is one of as many, and on the node, as the layout says."""
    rank, tasks = number(variables, "SLURM_PROCID"), number(variables, "SLURM_NTASKS", "SLURM_NPROCS")
    node, name = number(variables, "SLURM_NODEID"), variables.get("SLURMD_NODENAME", "")
    if tasks != layout.tasks:
        raise EnvironmentUnusable(f"{layout.tasks} ranks were asked for and srun started {tasks}; give sbatch "
                                  f"--nodes={len(layout.nodes)} --ntasks-per-node={layout.tasks_per_node}.")
    expected = layout.nodes[rank // layout.tasks_per_node]
    if name != expected or node != rank // layout.tasks_per_node:
        raise EnvironmentUnusable(f"rank {rank} belongs on {expected} and is on {name} (node {node} of "
                                  f"{', '.join(layout.nodes)}); remove --distribution and SLURM_DISTRIBUTION.")


def gloo_variables(layout: Layout, variables: Mapping[str, str]) -> dict[str, str]:
    """Return Horovod's variables for this rank, from srun's numbers."""
    rank, local = number(variables, "SLURM_PROCID"), number(variables, "SLURM_LOCALID")
    node = number(variables, "SLURM_NODEID")
    interface = layout.interface_of(node)
    return {
        "HOROVOD_CONTROLLER": "gloo", "HOROVOD_CPU_OPERATIONS": "gloo",
        "HOROVOD_GLOO_RENDEZVOUS_ADDR": layout.addresses[0],
        "HOROVOD_GLOO_RENDEZVOUS_PORT": str(layout.rendezvous_port),
        "HOROVOD_GLOO_IFACE": interface, "NCCL_SOCKET_IFNAME": variables.get("NCCL_SOCKET_IFNAME", interface),
        "HOROVOD_GLOO_TIMEOUT_SECONDS": variables.get("HOROVOD_GLOO_TIMEOUT_SECONDS", "120"),
        "HOROVOD_HOSTNAME": layout.nodes[node], "HOROVOD_RANK": str(rank), "HOROVOD_SIZE": str(layout.tasks),
        "HOROVOD_LOCAL_RANK": str(local), "HOROVOD_LOCAL_SIZE": str(layout.tasks_per_node),
        "HOROVOD_CROSS_RANK": str(node), "HOROVOD_CROSS_SIZE": str(len(layout.nodes)),
    }


def multiworker_variables(layout: Layout, variables: Mapping[str, str]) -> dict[str, str]:
    """Return TF_CONFIG in Slurm's own order of hosts, which TensorFlow's resolver would sort as text, and variables
    that lead past any proxy."""
    hosts = [layout.addresses[rank // layout.tasks_per_node] for rank in range(layout.tasks)]
    addresses = [f"{host}:{layout.rendezvous_port + rank}" for rank, host in enumerate(hosts)]
    direct = [word for word in (variables.get("no_proxy", ""), *layout.addresses) if word]
    return {"TF_CONFIG": tf_config(addresses, number(variables, "SLURM_PROCID")), "no_proxy": ",".join(direct)}


def nccl_variables(layout: Layout, variables: Mapping[str, str]) -> dict[str, str]:
    """Return by which interface NCCL's ranks meet: the site's, else that by which this node reaches the others; nothing
    without GPUs, on one node, where the user has said it, or where mpirun does not tell this node's number."""
    if "NCCL_SOCKET_IFNAME" in variables or len(layout.nodes) == 1 or variables.get("BATCHSCALE_DEVICE") != "gpu":
        return {}
    if variables.get("BATCHSCALE_LAUNCHER") == "mpirun" and not layout.interface:  # which says no node's number
        return {}
    return {"NCCL_SOCKET_IFNAME": layout.interface_of(number(variables, "SLURM_NODEID"))}


def prepare(layout: Layout, variables: Mapping[str, str]) -> dict[str, str]:
    """Return what is added to this rank's environment before Horovod or TensorFlow is imported. Raises
    EnvironmentUnusable."""
    if variables.get("BATCHSCALE_LAUNCHER") != "mpirun":
        check_place(layout, variables)
    if layout.transport == "gloo":
        return gloo_variables(layout, variables)
    if layout.transport == COLLECTIVES:
        return {**multiworker_variables(layout, variables), **nccl_variables(layout, variables)}
    if layout.transport == "mpi":
        return {"HOROVOD_CONTROLLER": "mpi", "HOROVOD_CPU_OPERATIONS": "mpi", **nccl_variables(layout, variables)}
    return {}


def main(words: Sequence[str] | None = None) -> int:
    """Run the rank; return its exit code, but 0 when it was asked to stop, since srun kills the others for anything
    else."""
    from ...benchmarks.rank import worker
    layout = from_text(os.environ[VARIABLE])
    try:
        os.environ.update(prepare(layout, os.environ))
    except BatchscaleError as error:
        print(f"batchscale-rank: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    rank = rank_of(os.environ)
    print(f"rank {rank} of {layout.tasks} on {os.environ.get('SLURMD_NODENAME', socket.gethostname())}", flush=True)
    code = worker.main(words)
    if code == EXIT_INCOMPLETE:
        if rank == 0:
            Path(layout.logs, INTERRUPTED).touch()
        return EXIT_OK
    return code


if __name__ == "__main__":
    sys.exit(main())
