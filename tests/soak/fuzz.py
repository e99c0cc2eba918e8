"""Fuzzing of every format that is read from files, for a bounded time.

    PYTHONPATH=tests python -m soak.fuzz --count 10000

Each input is a good file, changed. It must end in a value or in one of the project's own errors: no other exception, no
write outside its folder, no unpickling, no child process, no input that takes longer than SLOW_SECONDS or more than
MORE_BYTES of memory. Exit code 1, with the inputs kept in --keep, when one does.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from soak import fuzz_targets
from soak.fuzz_mutations import mutate
from soak.fuzz_target import Target
from soak.summary_file import machine, write_section

from batchscale.benchmarks.errors import LONGEST_MESSAGE, BatchscaleError

SLOW_SECONDS = 10  # of the processor's time; a busy machine is no fault of the input
STILL_SECONDS = 120  # of the clock, for what waits without working
MORE_BYTES = 2 * 2**30
HUGE_BYTES = 3 * 2**30
MEMORY = "/dev/shm"  # where small files are many times as fast as on a disk
HUGE_EVERY = 500  # inputs; every such one is followed by zeros to more than the memory allowed
WRITES = {"os.rename": (0, 1), "os.link": (0, 1), "os.symlink": (1,), "os.mkdir": (0,), "os.remove": (0,),
          "os.rmdir": (0,), "os.truncate": (0,), "os.chmod": (0,), "shutil.rmtree": (0,)}
FORBIDDEN = ("pickle.find_class", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect")


class TooSlow(BaseException):
    """Not an Exception, so that nothing on the way takes it for a malformed input."""


@dataclass
class Guard:
    """Sees what the interpreter is asked to do while an input is read."""

    folder: str
    active: bool = False
    seen: list[str] = field(default_factory=list)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.active:
            return
        if event == "open" and self._writes(arguments):
            self._path(event, arguments[0])
        elif event in WRITES:
            for index in WRITES[event]:
                self._path(event, arguments[index])
        elif event in FORBIDDEN:
            self.seen.append(f"{event} {str(arguments)[:200]}")

    @staticmethod
    def _writes(arguments: tuple[Any, ...]) -> bool:
        _, mode, flags = arguments
        if isinstance(mode, str):
            return any(letter in mode for letter in "wax+")
        return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))

    def _path(self, event: str, path: Any) -> None:
        if isinstance(path, (str, bytes, os.PathLike)):
            real = os.path.realpath(os.fsdecode(path))
            if not real.startswith(self.folder + os.sep) and real != os.devnull:
                self.seen.append(f"{event} outside the folder: {real[:200]}")


@dataclass
class Outcome:
    """What became of the inputs of one format."""

    name: str
    inputs: int = 0
    refused: int = 0
    seconds: float = 0.0
    failures: Counter[str] = field(default_factory=Counter)

    def line(self, peak_bytes: int) -> str:
        return (f"{self.name}: {self.inputs:,} inputs, {self.inputs - self.refused - self.failures.total():,} taken, "
                f"{self.refused:,} refused, {self.failures.total():,} failed in {len(self.failures)} ways, "
                f"{self.seconds:.0f} s, peak {peak_bytes / 2**20:.0f} MiB")


def fuzz(target: Target, guard: Guard, given: argparse.Namespace) -> Outcome:
    """Inputs until `count` or `seconds` are reached."""
    chance, outcome, began = random.Random(f"{given.seed} {target.name}"), Outcome(target.name), time.monotonic()
    folder = Path(guard.folder) / target.name
    seeds = target.prepare(folder)
    while outcome.inputs < given.count and time.monotonic() - began < given.seconds:
        good = outcome.inputs < len(seeds)
        data = seeds[outcome.inputs] if good else mutate(chance, chance.choice(seeds), target.mutations)
        outcome.inputs += 1
        huge = outcome.inputs % HUGE_EVERY == 0
        refused = outcome.refused
        failure = try_one(target, folder, data, huge, guard, outcome)
        if good and outcome.refused > refused:
            failure = "a good file was refused"
        if failure:
            outcome.failures[failure] += 1
            if outcome.failures[failure] == 1:
                print(f"{target.name}, input {outcome.inputs}{' (huge)' * huge}: {failure}", flush=True)
                if given.keep:
                    given.keep.mkdir(parents=True, exist_ok=True)
                    (given.keep / f"{target.name}-{outcome.inputs}").write_bytes(data)
    outcome.seconds = time.monotonic() - began
    return outcome


def try_one(target: Target, folder: Path, data: bytes, huge: bool, guard: Guard, outcome: Outcome) -> str:
    """Read one input. Returns what went wrong, or ""."""
    path = target.write(folder, data)
    if huge:
        os.truncate(path, HUGE_BYTES)  # sparse
    guard.active = True
    signal.setitimer(signal.ITIMER_PROF, SLOW_SECONDS)
    signal.alarm(STILL_SECONDS)
    try:
        target.read(path)
    except BatchscaleError as error:
        outcome.refused += 1
        if len(str(error)) > LONGEST_MESSAGE:
            return f"a message of {len(str(error)):,} characters: {str(error)[:60]}"
    except TooSlow:
        return f"more than {SLOW_SECONDS} s of work, or {STILL_SECONDS} s of waiting"
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)
        ours = [f for f in frames if "batchscale" in f.filename or str(Path(__file__).parents[2]) in f.filename]
        where = (ours or frames)[-1]
        return f"{type(error).__name__} in {Path(where.filename).name}:{where.lineno}: {str(error)[:200]}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        guard.active = False
    return guard.seen.pop() if guard.seen else ""


def summary(given: argparse.Namespace, lines: Sequence[str]) -> str:
    """The outcome as Markdown."""
    command = (f"    PYTHONPATH=tests python -m soak.fuzz --count {given.count} --seconds {given.seconds:g} "
               f"--seed {given.seed}")
    allowed = ("Each input is a good file, changed; none may end in anything but a value or one of the suite's own "
               "errors, write elsewhere, start a program, or take more than "
               f"{MORE_BYTES // 2**30} GiB of memory or {SLOW_SECONDS} s.")
    return "\n".join([command, "", f"{machine()}. {allowed}", "", *(f"- {line}" for line in lines)])


def _slow(number: int, frame: object) -> None:
    raise TooSlow


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _size_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="at most so long per format")
    parser.add_argument("--count", type=int, default=10_000, help="at most so many inputs per format")
    parser.add_argument("--seed", type=int, default=0, help="of the random changes")
    names = [target.name for target in fuzz_targets.TARGETS]
    parser.add_argument("--format", choices=names, action="append", help="default: all")
    parser.add_argument("--summary", type=Path, help="a Markdown file, whose section on hostile input is written")
    parser.add_argument("--keep", type=Path, help="a folder for the inputs that failed")
    given = parser.parse_args(words)
    given.summary = given.summary and given.summary.resolve()
    sys.dont_write_bytecode = True
    targets = [t for t in fuzz_targets.TARGETS if not given.format or t.name in given.format]
    with tempfile.TemporaryDirectory(dir=MEMORY if os.path.isdir(MEMORY) else None) as folder:
        return run(targets, Guard(os.path.realpath(folder)), given)


def run(targets: Sequence[Target], guard: Guard, given: argparse.Namespace) -> int:
    sys.addaudithook(guard)
    setattr(os, "fsync", lambda descriptor: None)  # thousands of files a minute that nobody keeps
    signal.signal(signal.SIGALRM, _slow)
    signal.signal(signal.SIGPROF, _slow)
    resource.setrlimit(resource.RLIMIT_AS, (_size_bytes() + MORE_BYTES, resource.RLIM_INFINITY))
    before, failed, lines = Path.cwd(), 0, []
    try:
        for target in targets:
            (Path(guard.folder) / target.name).mkdir()
            os.chdir(Path(guard.folder) / target.name)
            outcome = fuzz(target, guard, given)
            failed += outcome.failures.total()
            lines.append(outcome.line(_peak_bytes()))
            print(lines[-1], flush=True)
    finally:
        os.chdir(before)
        guard.active = False
    print(json.dumps({"failed": failed, "seed": given.seed}))
    if given.summary:
        write_section(given.summary, "Hostile input", summary(given, lines))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
