"""Starts the ranks of a multi-worker run on this machine, each told by TF_CONFIG where the others are.

    python -m batchscale.launchers.local.rank_group -np 2 [--output-filename FOLDER] batchscale-rank --results ...

is to multi-worker runs what horovodrun is to Horovod. A rank that dies takes the others with it, after a moment in
which they can say why they end.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from ...benchmarks.errors import EXIT_INCOMPLETE, EXIT_OK

GRACE_SECONDS = 10.0
POLL_SECONDS = 0.1
GOOD = (EXIT_OK, EXIT_INCOMPLETE)
LOWEST_PORT, HIGHEST_PORT = 20_000, 32_000  # below what systems give to outgoing connections


def free_ports(count: int, start: int = 0) -> list[int]:
    """Consecutive ports that nobody listens on here now, looked for from `start` on, wherever that is in the range."""
    span = HIGHEST_PORT - LOWEST_PORT - count
    for offset in range(0, span, count):
        first = LOWEST_PORT + (start + offset) % span
        if all(_free(port) for port in range(first, first + count)):
            return list(range(first, first + count))
    raise OSError(f"no {count} consecutive free ports from {LOWEST_PORT} to {HIGHEST_PORT}")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
        return True


def tf_config(addresses: Sequence[str], rank: int) -> str:
    """Return the value of TF_CONFIG for this rank; `addresses`, host:port by rank, in the order that all ranks share.

    >>> tf_config(["a:1"], 0)
    '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}'
    """
    return json.dumps({"cluster": {"worker": list(addresses)}, "task": {"type": "worker", "index": rank}})


class Group:
    """The processes, by rank, once they are started."""

    def __init__(self) -> None:
        self._files = ExitStack()
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, words: Sequence[str], count: int, logs: Path | None) -> None:
        """Start `count` ranks, each with its output in a folder of `logs` where there is one."""
        addresses = [f"127.0.0.1:{port}" for port in free_ports(count, os.getpid() * count)]
        for rank in range(count):
            self.processes.append(self._start(words, addresses, rank, logs))

    def _start(self, words: Sequence[str], addresses: Sequence[str], rank: int,
               logs: Path | None) -> subprocess.Popen[bytes]:
        place = {"TF_CONFIG": tf_config(addresses, rank), "BATCHSCALE_RANK": str(rank),
                 "BATCHSCALE_LOCAL_RANK": str(rank)}
        out = err = None
        if logs:
            folder = logs / f"rank.{rank}"
            folder.mkdir(parents=True, exist_ok=True)
            out, err = (self._files.enter_context(open(folder / name, "wb")) for name in ("stdout", "stderr"))
        return subprocess.Popen(words, env={**os.environ, **place}, stdin=subprocess.DEVNULL, stdout=out, stderr=err)

    def signal(self, number: int) -> None:
        """Send the signal to every rank that is still running."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(number)

    def wait(self) -> int:
        """Until all have ended. The code of the first that ended badly, else that of the first rank."""
        worst, deadline = 0, float("inf")
        while any(process.poll() is None for process in self.processes):
            bad = [(rank, p.returncode) for rank, p in enumerate(self.processes) if p.poll() not in (None, *GOOD)]
            if bad and not worst:
                rank, worst = bad[0]
                print(f"rank {rank} ended {ending(worst)}; the others are stopped", file=sys.stderr, flush=True)
                deadline = time.monotonic() + GRACE_SECONDS
            if time.monotonic() > deadline:
                self.signal(signal.SIGKILL)
            time.sleep(POLL_SECONDS)
        self._files.close()
        codes = [process.returncode for process in self.processes]
        worst = worst or next((code for code in codes if code not in GOOD), codes[0])
        return worst if worst >= 0 else 128 - worst


def ending(code: int) -> str:
    """Return how a rank ended in words, from the code of its process."""
    return f"by {signal.Signals(-code).name}" if code < 0 else f"with code {code}"


def main(words: Sequence[str] | None = None) -> int:
    """Run the program with these words, or those of the command line, and return its exit code."""
    parser = argparse.ArgumentParser(prog="batchscale.launchers.local.rank_group", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-np", type=int, required=True, metavar="N", help="number of ranks")
    parser.add_argument("--output-filename", type=Path, metavar="FOLDER", help="each rank's output, in rank.N/")
    parser.add_argument("program", nargs=argparse.REMAINDER, help="what every rank runs, with its arguments")
    options = parser.parse_args(words)
    if options.np < 1 or not options.program:
        parser.error(f"-np {options.np} with {len(options.program)} words of a program: give at least one of each, "
                     "such as -np 2 batchscale-rank --results results/mine --shape multiworker-2r-1n-1c")
    group = Group()

    def forward(number: int, frame: FrameType | None) -> None:
        group.signal(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
        signal.signal(number, forward)
    try:
        group.start(options.program, options.np, options.output_filename)
        return group.wait()
    finally:
        group.signal(signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
