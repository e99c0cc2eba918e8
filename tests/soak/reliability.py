"""Random faults over a sweep on two ranks.

    PYTHONPATH=tests python -m soak.reliability --faults 200 --runs 50 --summary FILE

An undisturbed sweep comes first. Then the same command is started again and again; at random moments a signal goes to a
rank, to the program that started the ranks, to the launcher, to the group of ranks, or to everything at once: killed,
asked to stop, or, for ranks, halted, which is for the watchdog to end. When all faults have been dealt, the command is
repeated until it ends well. A sweep that finishes earlier is followed by a new one.

Every run must then have one record, written once, never changed, and equal to the undisturbed sweep's wherever the
seed fixes it; and no process may be left. Exit code 1 otherwise.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from soak.reliability_sweep import PLAN, Sweep, new_sweep, role, wait
from soak.summary_file import machine, write_section

from batchscale.launchers.commands.results import verify
from batchscale.launchers.machine import checks

VICTIMS = ("rank", "starter", "launcher", "group", "everything")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP)
HALTED = 0.25  # the share of the faults of ranks that halt them
LEFT_SECONDS = 90.0  # ranks whose launcher is gone stop by themselves, at a step's end or after their grace
COMMAND_SECONDS = 1200.0
MOST_REPEATS = 20
AMID_A_RUN = 0.7  # the share of faults that wait for a run to be under way first


@dataclass(frozen=True)
class Fault:
    victim: str
    number: signal.Signals
    after_seconds: float
    working: bool
    """Whether an attempt was under way."""


@dataclass
class Tally:
    """What happened over all sweeps."""

    faults: list[Fault] = field(default_factory=list)
    sweeps: int = 0
    commands: int = 0
    attempts: int = 0
    records: int = 0
    equal: int = 0
    wrong: list[str] = field(default_factory=list)
    longest_left_seconds: float = 0.0


def strike(sweep: Sweep, launcher: int, began: float, chance: random.Random) -> Fault:
    """Send one signal. Without ranks, the launcher is the only one to hit."""
    by_role: dict[str, list[psutil.Process]] = {}
    for process in sweep.processes():
        by_role.setdefault(role(process, launcher), []).append(process)
    possible = [victim for victim in VICTIMS if victim in ("launcher", "everything") or by_role.get(
        victim if victim != "group" else "rank")]
    victim, number = chance.choice(possible), chance.choice((signal.SIGKILL, signal.SIGTERM))
    if victim in ("rank", "group") and chance.random() < HALTED:
        number = signal.SIGSTOP
    group = [*by_role.get("rank", []), *by_role.get("starter", [])]
    if victim in ("group", "everything"):
        chosen = [*(by_role.get("launcher", []) if victim == "everything" else []), *group]
    else:
        chosen = chance.sample(by_role.get(victim, []), min(1, len(by_role.get(victim, []))))
    fault = Fault(victim, number, time.monotonic() - began, sweep.working())
    for process in chosen:
        _send(process, number)
    return fault


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        pass


def disturb(sweep: Sweep, tally: Tally, most: int, chance: random.Random, longest_wait: float) -> None:
    """Commands with faults, until there are `most` faults or the sweep is finished."""
    while len(tally.faults) < most and not sweep.finished():
        process, began = sweep.start(), time.monotonic()
        tally.commands += 1
        while process.poll() is None and len(tally.faults) < most:
            if chance.random() < AMID_A_RUN:
                wait(lambda: process.poll() is not None or sweep.working(), COMMAND_SECONDS)
            if wait(lambda: process.poll() is not None, chance.uniform(0.1, longest_wait)):
                break
            fault = strike(sweep, process.pid, began, chance)
            tally.faults.append(fault)
            print(f"fault {len(tally.faults)}: {fault.number.name} to {fault.victim} after {fault.after_seconds:.1f} s"
                  f"{', amid a run' * fault.working}", flush=True)
            if fault.victim in ("launcher", "everything"):
                break
        ended(sweep, process, tally, at_once=chance.random() < 0.3)
        tally.wrong += sweep.changed()


def ended(sweep: Sweep, process: subprocess.Popen[bytes], tally: Tally, at_once: bool) -> None:
    """Wait for the command, and for what it started; `at_once`: the next command does not wait for the ranks."""
    try:
        process.wait(COMMAND_SECONDS)
    except subprocess.TimeoutExpired:
        tally.wrong.append(f"{sweep.folder.name}: a command did not end within {COMMAND_SECONDS:.0f} s")
        process.kill()
        process.wait()
    began = time.monotonic()
    if at_once:
        return
    if not wait(lambda: not sweep.processes(), LEFT_SECONDS):
        names = Counter(role(left, process.pid) or left.name() for left in sweep.processes())
        tally.wrong.append(f"{sweep.folder.name}: processes left after {LEFT_SECONDS:.0f} s: {dict(names)}")
    tally.longest_left_seconds = max(tally.longest_left_seconds, time.monotonic() - began)


def settle(sweep: Sweep, tally: Tally) -> None:
    """The same command, left alone, until it ends well."""
    for _ in range(MOST_REPEATS):
        process = sweep.start()
        tally.commands += 1
        ended(sweep, process, tally, at_once=False)
        tally.wrong += sweep.changed()
        if process.returncode == 0:
            return
    tally.wrong.append(f"{sweep.folder.name}: {MOST_REPEATS} repeats of the command did not end well")


def fixed(record: dict[str, Any]) -> str:
    """What the configuration and its seed determine: everything but times, memory, host and attempt."""
    kept = {name: record[name] for name in ("run_id", "status", "config", "derived", "workload", "agreement",
                                            "gradient_norms")}
    curves = [{k: v for k, v in row.items() if k != "train_seconds"} for row in record["evaluations"]]
    return json.dumps({**kept, "evaluations": curves}, sort_keys=True)


def compare(sweep: Sweep, expected: dict[str, str], tally: Tally) -> None:
    """One believable record per run, with the undisturbed sweep's numbers."""
    found = verify.examine(sweep.store)
    tally.wrong += [f"{sweep.folder.name}: {path.name}: {reason}" for path, reason in found.corrupt]
    for run in sweep.store.runs():
        record = run.record()
        tally.attempts += len(run.attempts())
        if record is None:
            tally.wrong.append(f"{sweep.folder.name}: {run.run_id} has no record: {run.status()}")
            continue
        tally.records += 1
        if fixed(record) == expected[run.run_id]:
            tally.equal += 1
        else:
            tally.wrong.append(f"{sweep.folder.name}: {run.run_id} differs from the undisturbed run")


def run(folder: Path, given: argparse.Namespace) -> Tally:
    """The undisturbed sweep, then disturbed ones until all faults are dealt."""
    chance, tally, started = random.Random(given.seed), Tally(), time.monotonic()
    plan = PLAN.format(strategy=given.strategy, seeds=given.runs // 2, epochs=given.epochs)
    quiet, began = new_sweep(folder / "undisturbed", plan), time.monotonic()
    settle(quiet, tally)
    expected = {record["run_id"]: fixed(record) for record in quiet.store.records()}
    seconds = time.monotonic() - began
    print(f"undisturbed: {len(expected)} runs in {seconds:.0f} s", flush=True)
    if len(expected) < given.runs:
        tally.wrong.append(f"the undisturbed sweep has {len(expected)} records of {given.runs} runs")
        return tally
    while len(tally.faults) < given.faults:
        tally.sweeps += 1
        sweep = new_sweep(folder / f"sweep-{tally.sweeps:02d}", plan)
        disturb(sweep, tally, given.faults, chance, given.longest_wait)
        settle(sweep, tally)
        compare(sweep, expected, tally)
        if given.summary:
            write_section(given.summary, "Faults", summary(tally, given, time.monotonic() - started))
    return tally


def summary(tally: Tally, given: argparse.Namespace, seconds: float) -> str:
    """The outcome as Markdown."""
    counts = Counter((fault.victim, fault.number.name) for fault in tally.faults)
    rows = "\n".join(f"| {victim} | " + " | ".join(str(counts[victim, n.name]) for n in SIGNALS) + " |"
                     for victim in VICTIMS)
    wrong = "\n".join(f"- {sentence}" for sentence in tally.wrong) or "Nothing went wrong."
    return f"""    PYTHONPATH=tests python -m soak.reliability --faults {given.faults} --runs {given.runs} \\
        --epochs {given.epochs} --longest-wait {given.longest_wait:g} --strategy {given.strategy} --seed {given.seed}

{len(tally.faults)} random faults over {tally.sweeps} sweep{'s' * (tally.sweeps > 1)} of {given.runs} runs on 2 \
ranks ({given.strategy}), \
{sum(f.working for f in tally.faults)} of them amid a run; {machine()}, \
{seconds / 60:.0f} minutes.

| signal to | {' | '.join(n.name for n in SIGNALS)} |
|---|{'---:|' * len(SIGNALS)}
{rows}

- {tally.commands} commands and {tally.attempts} attempts; {tally.records} of {tally.sweeps * given.runs} runs have \
their one record.
- {tally.equal} of {tally.records} records are equal to the undisturbed sweep's in all that the seed fixes, bit for bit.
- The last process was gone at most {tally.longest_left_seconds:.0f} s after the command had ended.

{wrong}
"""


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=10)
    parser.add_argument("--runs", type=int, default=50, help="in a sweep: seeds at two batches, so an even number")
    parser.add_argument("--epochs", type=int, default=5, help="length of a run")
    parser.add_argument("--seed", type=int, default=0, help="of victims, signals and moments")
    parser.add_argument("--longest-wait", type=float, default=20.0, help="seconds to the next fault: from 0.1 to this")
    available = [name for name, reason in checks.strategies_available().items() if not reason and name != "single"]
    parser.add_argument("--strategy", default="horovod-mpi" if "horovod-mpi" in available else available[-1],
                        choices=available, help="how the two ranks talk")
    parser.add_argument("--folder", type=Path, help="where the sweeps stay (default: nowhere)")
    parser.add_argument("--summary", type=Path, help="a Markdown file to write")
    given = parser.parse_args(words)
    given.runs -= given.runs % 2
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        tally = run((given.folder or Path(temporary)).resolve(), given)
    text = summary(tally, given, time.monotonic() - began)
    print(text)
    if given.summary:
        write_section(given.summary, "Faults", text)
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
