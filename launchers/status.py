"""`batchscale status RESULTS`: what is done, running, failed or lost, the first error, and the command to go on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ..benchmarks.errors import EXIT_INCOMPLETE, EXIT_OK, EXIT_RUNS_FAILED
from ..benchmarks.store import FINAL, Run, Store, open_store

ORDER = ("completed", "diverged", "out_of_memory", "running", "pending", "invalid", "failed", "lost", "preempted",
         "timed_out")


def show(results: Path) -> int:
    store = open_store(results)
    runs = store.runs()
    statuses = {run.run_id: run.status() for run in runs}
    counts = Counter(statuses.values())
    print(f"{store.folder}: {len(runs)} runs: "
          + ", ".join(f"{counts[name]} {name}" for name in ORDER if counts[name]))
    bad = [run for run in runs if statuses[run.run_id] in ("invalid", "failed", "lost", "preempted", "timed_out")]
    for run in bad[:1]:
        print("\n".join(_first_error(run, statuses[run.run_id])))
    for run in runs:
        for path in run.corrupt():
            print(f"set aside, not believed: {path}")
    return _advice(store, counts)


def _first_error(run: Run, status: str) -> list[str]:
    failure = run.failure() or {"rank": "?", "host": "?", "message": "nothing was written", "error": ""}
    return [f"first: {run.run_id}: {status}, rank {failure.get('rank')} on {failure.get('host')}",
            f"  {failure.get('error')}: {failure.get('message')}".replace("  : ", "  "),
            f"  logs: {run.folder.parent / 'logs'}"]


def _advice(store: Store, counts: Counter[str]) -> int:
    source = store.manifest.get("source") or store.manifest.get("name")
    command = f"batchscale run {source} --results {store.folder.parent}"
    if any(counts[name] for name in counts if name not in FINAL):
        print(f"to go on: {command}")
        return EXIT_INCOMPLETE
    if counts["invalid"] or counts["failed"]:
        print(f"to do just those again: {command} --retry")
        return EXIT_RUNS_FAILED
    return EXIT_OK
