"""Where a job's ranks are: hosts in Slurm's own order, addresses, tasks per node. The batch script tells each rank.

Host names are never sorted here: as text g10 comes before g9, and ranks would get each other's address.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from ...benchmarks.config.strategies import STRATEGIES
from ...benchmarks.errors import EnvironmentUnusable
from ...benchmarks.runs.run_config import RunConfig

VARIABLE = "BATCHSCALE_LAYOUT"
COLLECTIVES = "collectives"


@dataclass(frozen=True)
class Layout:
    """`nodes[i]` is the node of SLURM_NODEID i and can be reached at `addresses[i]`.

    `transport`: gloo or mpi of Horovod, COLLECTIVES of multiworker, "" where there is one rank. `rendezvous_port`:
    where Gloo's ranks meet; of multiworker the port of rank 0, and the others have the ones after it.
    """

    nodes: tuple[str, ...]
    addresses: tuple[str, ...]
    tasks_per_node: int
    transport: str = ""
    rendezvous_port: int = 0
    interface: str = ""
    logs: str = ""

    @property
    def tasks(self) -> int:
        """Number of tasks on all nodes."""
        return len(self.nodes) * self.tasks_per_node

    def to_text(self) -> str:
        """Return the layout as JSON."""
        return json.dumps(asdict(self))

    def interface_of(self, node: int) -> str:
        """Return the network interface by which node `node`, where this is called, reaches the others."""
        if self.interface or len(self.nodes) == 1:
            return self.interface or "lo"
        return interface_towards(self.addresses[1 if node == 0 else 0])


def from_text(text: str) -> Layout:
    """Return the layout that `to_text` wrote."""
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in json.loads(text).items()}
    return Layout(**values)


def of_job(config: RunConfig, variables: Mapping[str, str]) -> Layout:
    """Return the layout of this allocation, checked against what the shape needs. Raises EnvironmentUnusable."""
    if "SLURM_JOB_ID" not in variables:
        raise EnvironmentUnusable("this is no Slurm job; submit with `batchscale run PLAN --on slurm`, or sbatch one "
                                  "of the scripts in slurm/.")
    nodes = host_names(variables.get("SLURM_JOB_NODELIST", ""))
    per_node = tasks_per_node(config)
    granted = granted_tasks(variables)
    if len(nodes) != config.nodes or set(granted) != {per_node}:
        received = f"--nodes={len(nodes)} --ntasks-per-node={max(granted, default=0)}"
        raise EnvironmentUnusable(f"shape {config.shape} needs sbatch --nodes={config.nodes} "
                                  f"--ntasks-per-node={per_node}; this job has {received}.")
    return Layout(nodes, addresses(nodes), per_node, transport(config))


def transport(config: RunConfig) -> str:
    """Return what the shape's ranks talk by: gloo, mpi, COLLECTIVES, or "" where there is one rank."""
    return COLLECTIVES if STRATEGIES[config.strategy].start == "cluster" else config.transport


def tasks_per_node(config: RunConfig) -> int:
    """Return the tasks of a node: one per replica for horovod and multiworker; one with all the devices of its node for
    the others."""
    return config.ranks // config.nodes


def granted_tasks(variables: Mapping[str, str]) -> list[int]:
    """Tasks on each node, from SLURM_TASKS_PER_NODE: 4(x2),1 is 4, 4, 1.

    >>> granted_tasks({"SLURM_NTASKS_PER_NODE": "2", "SLURM_TASKS_PER_NODE": "4"})
    [2]
    >>> granted_tasks({"SLURM_TASKS_PER_NODE": "4(x2),1"})
    [4, 4, 1]
    """
    if variables.get("SLURM_NTASKS_PER_NODE", "").isdigit():  # sbatch's request; an exclusive node may show more
        return [int(variables["SLURM_NTASKS_PER_NODE"])]
    found = re.findall(r"(\d+)(?:\(x(\d+)\))?", variables.get("SLURM_TASKS_PER_NODE", "1"))
    return [int(tasks) for tasks, times in found for _ in range(int(times or 1))]


def host_names(node_list: str) -> tuple[str, ...]:
    """Return g9, g10 for g[9-10], in the order in which Slurm numbers the nodes. Raises EnvironmentUnusable."""
    return tuple(asked("scontrol", "show", "hostnames", node_list).split())


def addresses(nodes: tuple[str, ...]) -> tuple[str, ...]:
    """Return each node's address as Slurm itself uses it, in one query; the name where Slurm gives no address."""
    found = {}
    for line in asked("scontrol", "--oneliner", "show", "node", ",".join(nodes)).splitlines():
        values = dict(part.partition("=")[::2] for part in line.split() if "=" in part)
        found[values.get("NodeName", "")] = values.get("NodeAddr", "")
    return tuple(found.get(node) or node for node in nodes)


def asked(*words: str) -> str:
    """Return what a Slurm command prints. Raises EnvironmentUnusable with the command's own message."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentUnusable(f"{words[0]} cannot be run: {error}.") from None
    if done.returncode:
        raise EnvironmentUnusable(f"{' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def interface_towards(host: str) -> str:
    """Return the interface whose address this machine would use to reach `host`. Raises EnvironmentUnusable."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((host, 9))  # chooses the route; nothing is sent
            own = probe.getsockname()[0]
    except OSError as error:
        raise EnvironmentUnusable(f"{socket.gethostname()} cannot reach {host}: {error}; set interface in the site "
                                  "profile.") from None
    for name, entries in psutil.net_if_addrs().items():
        if any(entry.address == own for entry in entries):
            return str(name)
    raise EnvironmentUnusable(f"no interface of {socket.gethostname()} has address {own}, by which it reaches {host}; "
                              "set interface in the site profile.")
