"""A real Slurm cluster on this one machine, for trying and testing: two nodes, g9 and g10, with pretended GPUs.

    python -m batchscale.slurm.local_cluster start      prints the line that points Slurm's commands at it
    python -m batchscale.slurm.local_cluster status
    python -m batchscale.slurm.local_cluster stop

It needs root, Slurm built with MULTIPLE_SLURMD and munge, and PMIx for MPI (Debian, Ubuntu: apt-get install slurm-wlm
munge libpmix-dev). The nodes' names sort badly as text (g10 before g9), which finds mistakes in host order. Everything
is kept in one folder.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

NODES = {"g9": "127.0.0.9", "g10": "127.0.0.10"}  # each its own address, so that a mixed-up one is noticed
CPUS_PER_NODE, GPUS_PER_NODE, MEMORY_MIB = 4, 2, 4000
MARK = ".batchscale-cluster"
DAEMONS = ("munged", "slurmctld", "slurmd")
COMMANDS = ("sbatch", "srun", "sinfo", "scancel")
UP_SECONDS = 30.0
# libpmix-dev holds the name, libpmix.so, under which Slurm looks for PMIx.
INSTALL = "apt-get install -y --no-install-recommends slurm-wlm munge libpmix-dev"


class ClusterError(Exception):
    """The cluster cannot be started here; the message says why and what to do."""


def default_folder() -> Path:
    """Return the folder used when the command line names none."""
    return Path(tempfile.gettempdir()) / "batchscale-slurm"


def missing() -> str:
    """Return why no cluster can be started on this machine; "" when one can."""
    if os.geteuid() != 0:
        return "a Slurm cluster on one machine needs root; run it as root or in a container."
    absent = [name for name in (*DAEMONS, *COMMANDS) if not program(name)]
    return f"{', '.join(absent)} not found; install with: {INSTALL}" if absent else ""


def program(name: str) -> str | None:
    """Return the path of a program, also from sbin (where daemons are), which is not on every PATH; None if absent."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))


def free_ports(count: int) -> list[int]:
    """Return `count` ports that nobody listens on at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


def slurm_conf(folder: Path, host: str, ports: Sequence[int]) -> str:
    """Return the configuration text of the controller and both nodes; Slurm replaces %n by a node's name."""
    nodes = "\n".join(
        f"NodeName={name} NodeHostname={host} NodeAddr={address} Port={port} CPUs={CPUS_PER_NODE} "
        f"RealMemory={MEMORY_MIB} Gres=gpu:{GPUS_PER_NODE} State=UNKNOWN"
        for (name, address), port in zip(NODES.items(), ports[1:]))
    return f"""\
ClusterName=batchscale
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,bf_interval=1,sched_interval=2
GresTypes=gpu
MpiDefault=none
ReturnToService=2
KillWait=30
MinJobAge=600
OverTimeLimit=0
JobRequeue=1
SwitchType=switch/none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
PropagateResourceLimits=NONE
{nodes}
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=debug Nodes={','.join(NODES)} Default=YES MaxTime=60:00 State=UP OverSubscribe=NO
PartitionName=urgent Nodes={','.join(NODES)} PriorityTier=10 MaxTime=60:00 State=UP OverSubscribe=NO
"""


def write_configuration(folder: Path) -> None:
    """Write one configuration folder for the clients and one for each node, whose PMIx files must not meet."""
    text = slurm_conf(folder, socket.gethostname(), free_ports(1 + len(NODES)))
    gpus = [folder / "gpu" / f"gpu{index}" for index in range(GPUS_PER_NODE)]
    for index, path in enumerate(gpus):
        path.parent.mkdir(exist_ok=True)
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))  # a regular file sets no CUDA_VISIBLE_DEVICES
    gres = "".join(f"NodeName={name} Name=gpu File={path}\n" for name in NODES for path in gpus)
    for name in ("", *NODES):
        own = folder / name
        (own / "pmix").mkdir(parents=True, exist_ok=True)
        (own / "spool").mkdir(exist_ok=True)
        (own / "slurm.conf").write_text(text)
        (own / "gres.conf").write_text(gres)
        (own / "mpi.conf").write_text(f"PMIxCliTmpDirBase={own}/pmix\n")
        (own / "cgroup.conf").write_text("CgroupPlugin=autodetect\nIgnoreSystemd=yes\n")
    (folder / "state").mkdir()


def start(folder: Path) -> Path:
    """Start the cluster in `folder`; return the path for SLURM_CONF. Raises ClusterError."""
    if reason := missing():
        raise ClusterError(reason)
    if answers(folder):
        return folder / "slurm.conf"
    stop(folder)
    folder.mkdir(parents=True, mode=0o755)
    (folder / MARK).touch()
    try:
        write_configuration(folder)
        _start_munge(folder / "munge")
        _start_daemon(folder, "slurmctld", "-c", "-f", str(folder / "slurm.conf"))
        for name in NODES:
            _start_daemon(folder / name, "slurmd", "-N", name, "-f", str(folder / name / "slurm.conf"))
        _wait_until_idle(folder)
    except (OSError, ClusterError) as error:
        stop(folder, keep_logs=True)
        raise ClusterError(str(error)) from None
    return folder / "slurm.conf"


def _start_munge(folder: Path) -> None:
    """Start a private munge: key, socket and log are in the folder, so that the system's munge is not touched."""
    folder.mkdir(mode=0o700)
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o600)
    folder.chmod(0o711)
    # --force: the folder's parents (a world-writable /tmp, say) do not satisfy munge's checks.
    _start_daemon(folder, "munged", "--force", "--num-threads=2", f"--key-file={key}",
                  f"--socket={folder}/munge.socket", f"--pid-file={folder}/munged.pid",
                  f"--log-file={folder}/munged.log", f"--seed-file={folder}/munge.seed")


def _start_daemon(folder: Path, name: str, *words: str) -> None:
    found = program(name)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "SBATCH"))}
    with open(folder / f"{name}.start.log", "wb") as log:
        done = subprocess.run([str(found), *words], stdout=log, stderr=subprocess.STDOUT, env=environment)
    if done.returncode:
        lines = (folder / f"{name}.start.log").read_text(errors="replace").strip().splitlines()
        raise ClusterError(f"{name} does not start: {lines[-1] if lines else f'exit code {done.returncode}'}")


def _wait_until_idle(folder: Path) -> None:
    deadline = time.monotonic() + UP_SECONDS
    while time.monotonic() < deadline:
        if answers(folder).count("idle") == len(NODES):
            return
        time.sleep(0.3)
    raise ClusterError(f"the nodes did not come up in {UP_SECONDS:.0f} s: {answers(folder) or 'no answer'}; "
                       f"see {folder}/slurmctld.log and {folder}/*/slurmd.log.")


def check_own(folder: Path) -> None:
    """Raise ClusterError unless the folder is absent, or was made here and by this user.

    Its configuration may make Slurm load code, and `stop` removes it.
    """
    try:
        state = folder.lstat()
    except FileNotFoundError:
        return
    made_here = stat.S_ISDIR(state.st_mode) and (folder / MARK).exists()
    if not made_here or state.st_uid != os.geteuid() or state.st_mode & 0o022:
        raise ClusterError(f"{folder} is there and is no cluster of yours, made by this command; name another "
                           "--folder, or remove it yourself.")


def answers(folder: Path) -> list[str]:
    """Return the nodes' states, [] when there is no cluster. Raises ClusterError for a folder that is not a cluster's.
    """
    check_own(folder)
    if not (folder / "slurm.conf").exists():
        return []
    done = subprocess.run(["sinfo", "--noheader", "--Node", "--format=%T", "--partition=debug"], capture_output=True,
                          text=True, env={**os.environ, "SLURM_CONF": str(folder / "slurm.conf")})
    return done.stdout.split()


def processes(folder: Path) -> list[int]:
    """Return the ids of this cluster's daemons, known by command line, and of their children, known by environment."""
    marks = {f"SLURM_CONF={folder / name / 'slurm.conf'}".encode() for name in NODES}
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            daemon = os.path.basename(words[0]).decode(errors="replace") in DAEMONS
            own = daemon and any(f"{folder}/".encode() in word for word in words)
            if own or marks & set((path / "environ").read_bytes().split(b"\0")):
                found.append(int(path.name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]


def stop(folder: Path, keep_logs: bool = False) -> None:
    """Cancel all jobs, end the daemons and remove the folder."""
    if answers(folder):
        subprocess.run(["scancel", "--user=root"], env={**os.environ, "SLURM_CONF": str(folder / "slurm.conf")},
                       capture_output=True)
        time.sleep(1.0)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in processes(folder):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + 5.0
        while processes(folder) and time.monotonic() < deadline:
            time.sleep(0.1)
    if not keep_logs:
        shutil.rmtree(folder, ignore_errors=True)


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, or 3 when the cluster is absent or cannot be started."""
    parser = argparse.ArgumentParser(prog="python -m batchscale.slurm.local_cluster", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("start", "stop", "status"))
    parser.add_argument("--folder", type=Path, default=default_folder(), help="default: %(default)s")
    given = parser.parse_args(words)
    try:
        if given.action == "start":
            print(f"export SLURM_CONF={start(given.folder.absolute())}")
        elif given.action == "stop":
            stop(given.folder.absolute())
        else:
            states = answers(given.folder)
            print(f"{given.folder}: {', '.join(states)}" if states else f"{given.folder}: no cluster")
            return 0 if states else 3
    except ClusterError as error:
        print(f"local_cluster: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
