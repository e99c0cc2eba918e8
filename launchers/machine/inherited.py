"""What a shell hands on that is not for the ranks of this machine: another job's places, proxies, another backend.

A notebook, an interactive Slurm job or a container often has variables of the job that it runs in. A rank that reads
them takes itself for one of that job's, or looks for its peers on the other side of a proxy.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping

import psutil

from ...benchmarks.rank.imports import CHOICE_OF_KERAS

# Set by whatever starts a rank, for that rank alone. Settings that a user makes, such as HOROVOD_CYCLE_TIME or
# OMPI_MCA_btl, are none of them.
ANOTHER_JOBS = re.compile(
    r"TF_CONFIG|BATCHSCALE_(RANK|LOCAL_RANK|LAYOUT)"
    r"|HOROVOD_(RANK|SIZE|LOCAL_RANK|LOCAL_SIZE|CROSS_RANK|CROSS_SIZE|HOSTNAME|CONTROLLER|CPU_OPERATIONS|GLOO_IFACE"
    r"|GLOO_RENDEZVOUS_(ADDR|PORT)|ELASTIC|SECRET_KEY)"
    r"|OMPI_(COMM_WORLD_\w+|UNIVERSE_SIZE|APP_CTX_NUM_PROCS|FIRST_RANKS|NUM_APP_CTX|ARGV|COMMAND|FILE_LOCATION)"
    r"|OMPI_MCA_(ess|orte|pmix|schizo|plm|ras)\w*|PMIX_(RANK|NAMESPACE|ID|SERVER_\w+|HOSTNAME|DSTORE_\w+)"
    r"|PMI_\w+|PRTE_\w+"
    r"|SLURM_(?!CONF$)\w+|SLURMD_\w+|SRUN_\w+")
PROXIES = re.compile(r"(grpc|http|https|all)_proxy", re.IGNORECASE)
DIRECT = ("no_proxy", "NO_PROXY", "no_grpc_proxy")  # gRPC reads the last one instead of the others where it is there


def shielded(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for what is started on this machine: without places in another job, and with every
    address of this machine reached directly, past any proxy."""
    kept = {name: value for name, value in variables.items() if not ANOTHER_JOBS.fullmatch(name)}
    if proxies(variables):
        own = own_addresses()
        for name in DIRECT:
            kept[name] = ",".join(dict.fromkeys([*filter(None, variables.get(name, "").split(",")), *own]))
    return kept


def another_jobs(variables: Mapping[str, str]) -> list[str]:
    """Return the names of the variables that say where a rank of another job is."""
    return sorted(name for name in variables if ANOTHER_JOBS.fullmatch(name))


def proxies(variables: Mapping[str, str]) -> list[str]:
    """Return the names of the variables that name a proxy."""
    return sorted(name for name, value in variables.items() if value and PROXIES.fullmatch(name))


def other_keras(variables: Mapping[str, str]) -> list[str]:
    """Return the variables that choose another Keras than the one that ranks train with, as NAME=value."""
    return [f"{name}={variables[name]}" for name, own in CHOICE_OF_KERAS.items() if variables.get(name, own) != own]


def own_addresses() -> list[str]:
    """Return the names and addresses by which this machine reaches itself."""
    found = ["localhost", "127.0.0.1", "::1", socket.gethostname()]
    return [*found, *(address.address for addresses in psutil.net_if_addrs().values() for address in addresses
                      if address.family is socket.AF_INET and not address.address.startswith("127."))]


def sentences(variables: Mapping[str, str]) -> list[str]:
    """Return what was found and what becomes of it, a sentence each; none where nothing is inherited."""
    found = []
    if names := another_jobs(variables):
        more = f" and {len(names) - 4} more" if len(names) > 4 else ""
        found.append(f"{', '.join(names[:4])}{more}: of another job, hidden from ranks that start here")
    if names := proxies(variables):
        found.append(f"{', '.join(names)}: ranks of this machine reach each other past the proxy")
    if names := other_keras(variables):
        found.append(f"{', '.join(names)}: not followed, since ranks train with Keras 3 on TensorFlow")
    return found


def name_problem() -> str:
    """Return why this machine cannot find itself by its own name; "" when it can."""
    name = socket.gethostname()
    try:
        socket.getaddrinfo(name, None)
    except (OSError, UnicodeError):
        return f"this machine cannot resolve its own name, {name!r}"
    return ""
