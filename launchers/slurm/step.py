"""One step of an allocation: the ranks of a shape, started by srun with a Gloo rendezvous, srun with MPI, or mpirun."""

from __future__ import annotations

import ipaddress
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, ExitStack
from dataclasses import replace
from pathlib import Path

from ...benchmarks.config.strategies import STRATEGIES
from ...benchmarks.errors import EnvironmentUnusable
from ...benchmarks.runs.run_config import RunConfig
from ..local.rank_commands import for_gpus, mpirun_as_root
from ..local.rank_group import free_ports
from .layout import COLLECTIVES, VARIABLE, Layout
from .rendezvous import served
from .site import Site

LOG = "step.log"
SRUN_TASK = re.compile(r"srun: error: (\S+): tasks? (\d+)")


def rank_words(site: Site, worker: Sequence[str]) -> list[str]:
    """Return the words that start one rank: the container's, then Python's; inside a container its own python3, since
    this one's path means nothing there."""
    python = shlex.split(os.path.expandvars(site.python)) or (["python3"] if site.container else [sys.executable])
    inside = shlex.split(os.path.expandvars(site.container))
    return [*inside, *python, "-P", "-m", "batchscale.launchers.slurm.rank", *worker]


def launcher_of(config: RunConfig, site: Site) -> str:
    """Return how this shape's ranks are started here. Raises EnvironmentUnusable when nothing starts the MPI it needs.
    """
    if STRATEGIES[config.strategy].start != "launcher":
        return "srun"
    if config.transport == "gloo":
        return "srun-gloo"
    if site.launcher in ("srun-mpi", "mpirun"):
        return site.launcher
    if site.mpi in mpi_types():
        return "srun-mpi"
    if shutil.which("mpirun"):
        return "mpirun"
    raise EnvironmentUnusable(f"{config.shape} talks by MPI, which nothing here starts: srun has no --mpi={site.mpi} "
                              f"(it has {', '.join(mpi_types())}) and mpirun is not on PATH; use horovod-gloo, or set "
                              "mpi in the site profile.")


def mpi_types() -> list[str]:
    """Return what `srun --mpi=` takes on this cluster; srun lists it on either stream."""
    done = subprocess.run(["srun", "--mpi=list"], capture_output=True, text=True)
    return [word.strip(",") for word in (done.stdout + done.stderr).split() if word.strip(",").isidentifier()]


def srun_words(cores: int, layout: Layout, logs: Path, mpi: str) -> list[str]:
    """Return the srun command of a step, whose tasks have so many cores each: srun does not take --cpus-per-task from
    the job, and waits for a dead rank's peers without --kill-on-bad-exit."""
    return ["srun", f"--nodes={len(layout.nodes)}", f"--ntasks={layout.tasks}",
            f"--ntasks-per-node={layout.tasks_per_node}", f"--cpus-per-task={cores}", "--distribution=block",
            f"--mpi={mpi}", "--kill-on-bad-exit=1", "--export=ALL", f"--output={logs}/rank-%t.log"]


def mpirun_words(layout: Layout, logs: Path) -> list[str]:
    """Return the mpirun command of a step, with the variables that ranks on other nodes need."""
    exported = [word for name in (VARIABLE, "BATCHSCALE_LAUNCHER", "PATH", "PYTHONPATH", "LD_LIBRARY_PATH")
                if name in os.environ or name in (VARIABLE, "BATCHSCALE_LAUNCHER") for word in ("-x", name)]
    return ["mpirun", *mpirun_as_root(), "-np", str(layout.tasks), "--map-by", f"ppr:{layout.tasks_per_node}:node",
            "--bind-to", "none", *exported, "--output-filename", f"{logs}/ranks"]


def command(config: RunConfig, site: Site, layout: Layout, logs: Path, worker: Sequence[str]) -> list[str]:
    """Return the whole command line of a step."""
    launcher = launcher_of(config, site)
    start = mpirun_words(layout, logs) if launcher == "mpirun" else srun_words(
        site.cores_per_task(config), layout, logs, site.mpi if launcher == "srun-mpi" else "none")
    return [*start, *rank_words(site, worker)]


@contextmanager
def rendezvous(layout: Layout) -> Iterator[Layout]:
    """Serve the place on this host where Gloo's ranks find each other; the layout says how to reach it.

    It listens at the address by which the ranks come, and nowhere else: whoever reaches it could send ranks astray. The
    ranks of multiworker are servers themselves: their ports are free on this host, and likely on the others.
    """
    if layout.transport == COLLECTIVES:
        yield replace(layout, rendezvous_port=free_ports(layout.tasks, layout.tasks * os.getpid())[0])
        return
    if layout.transport != "gloo":
        yield layout
        return
    with ExitStack() as stack:
        try:
            port = stack.enter_context(served(listening_address(layout)))
        except OSError as error:
            raise EnvironmentUnusable(f"cannot listen at {layout.addresses[0]}, the address of {layout.nodes[0]}, for "
                                      f"the ranks to find each other: {error}; set launcher = \"srun-mpi\" in the site "
                                      "profile, or start the job on its first node.") from None
        yield replace(layout, rendezvous_port=port)


def listening_address(layout: Layout) -> str:
    """Return where the rendezvous listens: at the first node's address; "", everywhere, where only other nodes know it.

    A host's own name often leads to its loopback, by which other nodes cannot come.
    """
    address = layout.addresses[0]
    try:
        ipaddress.ip_address(address)
        return address
    except ValueError:
        found = socket.gethostbyname(address)
        return "" if len(layout.nodes) > 1 and ipaddress.ip_address(found).is_loopback else found


def run(config: RunConfig, site: Site, layout: Layout, logs: Path, worker: Sequence[str]) -> int:
    """Start the ranks and wait for all of them. Returns the launcher's exit code."""
    with rendezvous(replace(layout, interface=site.interface, logs=str(logs))) as known:
        words = command(config, site, known, logs, worker)
        gpus = site.gpus != "none"
        environment = {**os.environ, VARIABLE: known.to_text(), "BATCHSCALE_LAUNCHER": launcher_of(config, site),
                       "BATCHSCALE_DEVICE": "", "PYTHONUNBUFFERED": "1",
                       "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
                       **(for_gpus() if gpus else {})}
        with open(logs / LOG, "ab") as log:
            log.write((shlex.join(words) + "\n").encode())
            log.flush()
            return subprocess.run(words, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                  env=environment).returncode


def first_error(logs: Path) -> str:
    """Return the line that says best why a step failed: a rank's own word, a killed rank, an exception, the launcher.
    """
    lines = [line.strip() for path in sorted(logs.rglob("*")) if path.is_file()
             for line in path.read_text(errors="replace").splitlines()]
    ended = next((line for line in lines if SRUN_TASK.match(line)), "")
    first = [] if "Exited with exit code" in ended else [ended]
    for mark in ("batchscale-rank: ", "MPI_Init", "Invalid MPI type", "task", "Error: ", "error: "):
        for line in first if mark == "task" else lines:
            if mark in line:
                return line.partition("batchscale-rank: ")[2] or line
    return f"the ranks ended without a word; see {logs}"


def dead_rank(logs: Path) -> tuple[int, str, str] | None:
    """Rank, node and srun's line of the first task that was killed; None where none was, or srun did not say.

    >>> SRUN_TASK.match("srun: error: g10: task 1: Killed").groups()
    ('g10', '1')
    """
    text = (logs / LOG).read_text(errors="replace") if (logs / LOG).exists() else ""
    for line in text.splitlines():
        if (found := SRUN_TASK.match(line)) and "Exited with exit code" not in line:
            return int(found[2]), found[1], line
    return None


def advice(config: RunConfig, site: Site, error: str) -> str:
    """Return the fix for the commonest cause, an MPI that srun cannot start; "" for any other."""
    if config.transport != "mpi" or not any(word in error for word in ("MPI_Init", "MPI type", "answered")):
        return ""
    return (f" Fix: in the site profile set launcher = \"srun-gloo\" (no MPI needed), or mpi to the type that this MPI "
            f"was built for (now {site.mpi!r}; srun --mpi=list has {', '.join(mpi_types())}), or launcher = "
            "\"mpirun\".")
