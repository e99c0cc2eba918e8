"""One rank group for each strategy and test session, which runs the tests' programs one after another."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import IO

import psutil
import pytest
from support.launching import environment, PROGRAMS, rank_words, ranks_of_two_replicas, require_strategy

PATIENCE_SECONDS = 900  # ResNet50 on two processes that share the cores with the unit tests
POLL_SECONDS = 0.05
STARTED: dict[str, RankServer] = {}


class RankServer:
    """The two ranks of one strategy, or its one process, which stay until the session ends or a program fails."""

    def __init__(self, strategy: str) -> None:
        self.strategy = strategy
        self.ranks = ranks_of_two_replicas(strategy)
        self.requests = Path(tempfile.mkdtemp(prefix=f"ranks-{strategy}-"))
        self.numbers = itertools.count()
        self.log: IO[str] = tempfile.TemporaryFile("w+")
        words = [sys.executable, str(PROGRAMS / "rank_server.py"), strategy, str(self.requests), str(os.getpid())]
        self.process = subprocess.Popen(rank_words(strategy, 2, words), stdout=self.log, stderr=self.log,
                                        cwd=PROGRAMS, start_new_session=True,
                                        env=environment(HOROVOD_GLOO_TIMEOUT_SECONDS=str(PATIENCE_SECONDS)))

    def run(self, program: str, folder: Path, *arguments: str) -> str:
        """Run a program on all ranks; return the traceback of the first that failed, or nothing."""
        self.signal_ranks(signal.SIGCONT)
        try:
            return self.answer(next(self.numbers), program, folder, *arguments)
        finally:
            self.signal_ranks(signal.SIGSTOP)

    def signal_ranks(self, signal_number: int) -> None:
        """Halt or wake Horovod's ranks, whose threads ask each other for work a thousand times a second.

        Gloo takes a rank that was halted for its timeout to be lost, so that is as long as a program may take.
        """
        if self.strategy.startswith("horovod"):
            for process in psutil.Process(self.process.pid).children(recursive=True):
                if process.cmdline()[1:2] == [str(PROGRAMS / "rank_server.py")]:
                    process.send_signal(signal_number)

    def answer(self, number: int, program: str, folder: Path, *arguments: str) -> str:
        """Make a request and wait until all ranks have answered it."""
        written = self.requests / f"{number}.part"
        written.write_text(json.dumps([program, str(folder), *arguments]))
        written.rename(self.requests / f"{number}.json")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(list(self.requests.glob(f"{number}-*.done"))) < self.ranks:
            for failed in self.requests.glob(f"{number}-*.failed"):
                return failed.read_text()
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.log.seek(0)
                return f"ended, or took more than {PATIENCE_SECONDS} s: {self.log.read()}"
            time.sleep(POLL_SECONDS)
        return ""

    def end(self) -> None:
        """Take the folder of requests away, at which the ranks end by themselves; kill those that do not."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self.signal_ranks(signal.SIGCONT)
        shutil.rmtree(self.requests, ignore_errors=True)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()


def run_on_ranks(strategy: str, program: str, folder: Path, *arguments: str) -> str:
    """Run a program of tests/support/programs on the ranks of a strategy; return what failed, or nothing.

    Ranks in which a program failed may wait for each other, so the next program gets new ones.
    """
    if strategy not in STARTED:
        STARTED[strategy] = RankServer(strategy)
    if failure := STARTED[strategy].run(program, folder, *arguments):
        STARTED.pop(strategy).end()
    return failure


def end_all() -> None:
    """End the rank groups of this test session."""
    while STARTED:
        STARTED.popitem()[1].end()


def launched_once(folders: pytest.TempPathFactory, program: str, *arguments: str) -> Callable[..., Path]:
    """Return (strategy, *more) -> folder, named as the strategy, that the program wrote on two replicas, given
    `arguments` and then `more`. It runs once for each strategy and `more`, also when it fails. `program` is a module of
    tests/support/programs with a function `run`."""
    @lru_cache
    def launch(strategy: str, *more: str) -> tuple[Path, str]:
        folder = folders.mktemp("launched") / strategy
        folder.mkdir()
        return folder, run_on_ranks(strategy, program, folder, *arguments, *more)

    def folder_of(strategy: str, *more: str) -> Path:
        require_strategy(strategy)
        folder, failure = launch(strategy, *more)
        assert not failure, failure[-3000:]
        return folder
    return folder_of
