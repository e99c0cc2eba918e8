"""`batchscale status RESULTS`: what is done, running, failed or lost, the first error, and the command to go on.

The results folder is asked first; Slurm only what it thinks of the jobs, and what it does not know is unknown.
"""

from __future__ import annotations

import shlex
import time
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ....benchmarks.errors import EXIT_INCOMPLETE, EXIT_OK, EXIT_RUNS_FAILED
from ....benchmarks.planning.derived_keys import AUTO
from ....benchmarks.planning.tuning import HALVE_AFTER
from ....benchmarks.planning.variants.set_keys import set_words
from ....benchmarks.records.failures import ending
from ....benchmarks.records.manifest import working_directory
from ....benchmarks.records.run_folder import FINAL, Run
from ....benchmarks.records.store import open_store, Store
from ....benchmarks.text import counted, plain
from ...local.display.by_experiment import table
from ...slurm import queue
from ..options import add_results

ORDER = ("completed", "diverged", "out_of_memory", "running", "pending", "invalid", "failed", "lost", "preempted",
         "timed_out", "unreadable")
BAD = ("invalid", "failed", "lost", "preempted", "timed_out")
ASKED = {"preempted": "stopped on request"}  # where no scheduler can have been the one who asked
POLL_SECONDS = 30.0
MOST_REPEATED = 5


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's own arguments to its parser."""
    add_results(parser)
    parser.add_argument("--watch", action="store_true", help="again and again until all is done")


def run(arguments: Namespace) -> int:
    """Print the status once, or with `--watch` until nothing changes any more; return the exit code."""
    return watch(arguments.results) if arguments.watch else show(arguments.results)


def show(results: Path) -> int:
    """Print what is known of the results now and return the exit code."""
    return _poll(results)[0]


def watch(results: Path, wait: Callable[[float], None] = time.sleep) -> int:
    """Show the status every 30 s, until nothing is left that could change by itself."""
    while True:
        print(time.strftime("%H:%M:%S"))
        code, may_change = _poll(results)
        if code != EXIT_INCOMPLETE or not may_change:
            return code
        wait(POLL_SECONDS)


def _poll(results: Path) -> tuple[int, bool]:
    """Print all that is known now. The exit code, and whether anything may still change by itself."""
    store = open_store(results)
    runs = store.runs()
    statuses = {run.run_id: run.status() for run in runs}
    counts, called = Counter(statuses.values()), ASKED if not queue.submissions(store.folder) else {}
    print(f"{store.folder}: {counted(len(runs), 'run')}: "
          + ", ".join(f"{counts[name]} {called.get(name, name)}" for name in ORDER if counts[name]))
    print("\n".join(map(plain, table([run for run in runs if statuses[run.run_id] != "unreadable"], statuses))))
    if by_looks(store):
        from ...local.looks import asked  # tables take a while to import
        print("".join(f"{plain(line)}\n" for line in asked.lines(store)), end="")
    active = jobs(store)
    bad = sorted((run for run in runs if statuses[run.run_id] in BAD), key=lambda run: run.last_began())
    for run in bad[:1]:
        print("\n".join(map(plain, _first_error(run, statuses[run.run_id], called))))
    _print_repeated([run for run in runs if statuses[run.run_id] not in BAD])
    for run in runs:
        for path in run.corrupt():
            print(plain(f"set aside, not believed: {path}"))
    return _advice(store, counts, active), active or counts["running"] > 0


def by_looks(store: Store) -> bool:
    """Return whether the plan says that looks decide the number of seeds, or which rates go on; reading the tables is
    left out otherwise."""
    return any(word in store.manifest.text for word in (AUTO, HALVE_AFTER))


def _is_open(store: Store) -> bool:
    from ...local.looks import asked  # as above
    return asked.is_open(store)


def jobs(store: Store) -> bool:
    """Print what Slurm says of the plan's jobs, all in one question. Whether any may still do something."""
    submitted = queue.submissions(store.folder)
    found = queue.tasks([job for facts in submitted for job in facts["jobs"]]) if submitted else {}
    for number, facts in enumerate(submitted, 1):
        active = any(task.active for job in facts["jobs"] for task in found[str(job["id"])])
        if active or number == len(submitted):
            for job in facts["jobs"]:
                tasks = found[str(job["id"])]
                print(f"  {queue.summary(job, tasks)}")
                if last := queue.last_word(facts["folder"], job, tasks):
                    print(f"    said: {plain(last)}")
    return any(task.active for tasks in found.values() for task in tasks)


def _first_error(run: Run, status: str, called: Mapping[str, str]) -> list[str]:
    found = ending(run.attempts()[-1])
    kind = "failed" if status in ("invalid", "failed") else "interrupted"
    return [f"first {kind} run: {run.run_id}: {called.get(status, status)}, {found.where}", f"  {found.message}",
            f"  logs: {found.logs or run.folder.parent / 'logs'}"]


def _print_repeated(runs: Sequence[Run]) -> None:
    """Attempts that ended without a result and were made again: a flaky node shows here, though all is done."""
    ended = [(run, attempt) for run in runs for attempt in run.attempts()[:-1]]
    for run, attempt in ended[:MOST_REPEATED]:
        found = ending(attempt)
        print(plain(f"begun again: {run.run_id} after {attempt.name}: {found.status}, {found.where}: {found.message}"))
    if len(ended) > MOST_REPEATED:
        print(f"  and {counted(len(ended) - MOST_REPEATED, 'more attempt')}")


def _advice(store: Store, counts: Counter[str], active: bool) -> int:
    command = _command(store)
    held_back = store.manifest.held_back
    if held_back:
        print(f"{counted(held_back, 'more run')} of the plan lie beyond the budget that it was run with")
    unfinished = held_back or any(counts[name] for name in counts if name not in FINAL)
    if unfinished or by_looks(store) and _is_open(store):
        print("the jobs above go on by themselves" if active else f"to go on: {command}")
        return EXIT_INCOMPLETE
    if counts["invalid"] or counts["failed"]:
        print(f"to do just those again: {command} --retry")
        return EXIT_RUNS_FAILED
    return EXIT_OK


def _command(store: Store) -> str:
    """The command that goes on with the plan. Its paths begin in the folder in which the plan was run: from another
    one it goes there first."""
    manifest, submitted = store.manifest, queue.submissions(store.folder)
    place, results, source = manifest.folder, store.folder.parent, manifest.source or manifest.name
    here = place in ("", working_directory())
    if not here:
        results = results.absolute()
        results = results.relative_to(place) if results.is_relative_to(place) else results
    command = str(submitted[-1]["command"]) if submitted else \
        shlex.join(["batchscale", "run", *(manifest.words or (source,)), *set_words(manifest.sets), "--results",
                    str(results)])
    return command if here else f"cd {shlex.quote(place)} && {command}"
