"""What the runs themselves went through: time, failures, drift, machine, checks, and how to repeat them."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator

import numpy as np
import pandas as pd

from .....benchmarks.schedules.rules import TUNED_RULE
from .....benchmarks.text import counted, duration, listed, number
from ....figures.bars import draw_stack
from ....figures.drawing import Figure
from ....figures.theme import OTHERS, RULES, STRATEGIES, Role
from ....formatting import Table, table
from ....tables.results import Results
from ....tables.selections import DRIFT_GUARD
from ...blocks import Section

DRIFT_LIMIT = 0.10
PARTS: tuple[tuple[str, str, Role], ...] = (
    ("start", "start_seconds", Role("#8d99a6", "#6f7c89")), ("data", "data_seconds", OTHERS[1]),
    ("build", "build_seconds", STRATEGIES["single"]),
    ("trace", "trace_seconds", RULES["tuned"]), ("train", "train_seconds", OTHERS[0]),
    ("evaluate", "evaluate_seconds", OTHERS[2]), ("probe", "probe_seconds", OTHERS[3]))
FINISHED = ("completed", "diverged", "out_of_memory")
CHECKS = ("size_expected", "size", "equal_after_broadcast", "shards_disjoint_and_complete", "equal_at_evaluations")
MOST_BARS = 16


def by_run(results: Results) -> pd.DataFrame:
    """One row per run: training seconds summed over the phases that it trained, and `spent_seconds`, all of its time
    with the start of its process."""
    runs = results.all_runs
    elsewhere = (runs["continues"] != "") & (runs["phase"] == 0)
    trained = runs["train_seconds"].mask(elsewhere, 0.0).groupby(runs["run_id"]).transform("sum")
    start = runs[["launch_seconds", "import_seconds"]].fillna(0).sum(axis=1)
    return runs.assign(train_seconds=trained, start_seconds=start,
                       spent_seconds=runs["total_seconds"] + start).drop_duplicates("run_id")


def time_spent(results: Results) -> Section:
    """Seconds by what they went into, per experiment."""
    title = "Where time went"
    runs = by_run(results)
    runs = runs[runs["total_seconds"] > 0]
    if runs.empty:
        return Section("time", title, ("No run has finished, so nothing is known about time.",))
    columns = [column for _, column, _ in PARTS]
    sums = runs.groupby("experiment", sort=False)[[*columns, "spent_seconds"]].sum()
    sums["runs"] = runs.groupby("experiment", sort=False).size()
    other = (sums["spent_seconds"] - sums[columns].sum(axis=1)).clip(lower=0)
    shown = sums.head(MOST_BARS)
    parts = [(name, role, shown[column].fillna(0).tolist()) for name, column, role in PARTS]
    parts.append(("other", Role("#c3cad2", "#48525c"), other.head(MOST_BARS).tolist()))
    figure = Figure("time-spent", "Seconds of all runs by what they went into", draw_stack(
        "time-spent", "Seconds of all runs by what they went into", "seconds, summed over runs",
        [str(name) for name in shown.index], parts),
        f"Sums over {counted(len(runs), 'run')}: each run's own clock from claim to record, and start, the launching "
        "and importing of its process, which only the first run of a process pays.")
    rows = [(name, int(row["runs"]), *(duration(row[column]) for column in columns), duration(other[name]),
             duration(row["spent_seconds"])) for name, row in sums.iterrows()]
    return Section("time", title, tuple(_wall(runs)), (figure,), table(
        ("experiment", "runs", *(name for name, _, _ in PARTS), "other", "total"), rows,
        "Per run, these are columns of results.csv.", range(1, 11), "Numbers"))


def _wall(runs: pd.DataFrame) -> Iterator[str]:
    ended = pd.to_datetime(runs["finished"], errors="coerce", utc=True)
    began = ended - pd.to_timedelta(runs["spent_seconds"], unit="s")
    wall = (ended.max() - began.min()).total_seconds() if ended.notna().any() else math.nan
    total, start = float(runs["spent_seconds"].sum()), float(runs["start_seconds"].sum())
    if not wall > 0:
        return
    yield (f"{counted(len(runs), 'run')} took {duration(total)} of their processes' time, {duration(start)} of it to "
           f"start them, within {duration(wall)} from the first start to the last end: {number(total / wall, 2)} at a "
           f"time on average. For {duration(_idle(began, ended))} of it nothing ran.")


def _idle(began: pd.Series, ended: pd.Series) -> float:
    """Seconds between the first start and the last end in which no run was in progress."""
    spans = pd.DataFrame({"began": began, "ended": ended}).dropna().sort_values("began")
    until = spans["ended"].cummax().shift()
    return float((spans["began"] - until).dt.total_seconds().clip(lower=0).sum())


def failures(results: Results) -> Section:
    """Every run that is not a completed result, with its message."""
    title = "What failed, and what is missing"
    bad = results.statuses[results.statuses["status"] != "completed"]
    text = [*results.notes]
    if bad.empty:
        return Section("failures", title, ("Every run of the plan ended as a completed result.", *text))
    counts = bad["status"].value_counts()
    text.insert(0, "; ".join(f"{count:,} {_words(str(status))}" for status, count in counts.items()) + ".")
    order = {"invalid": 0, "failed": 1, "unreadable": 2, "lost": 3}
    listed_rows = bad.assign(order=bad["status"].map(order).fillna(9)).sort_values("order", kind="stable")
    rows = [(row.run_id, _words(str(row.status)), str(row.message or ""))
            for row in listed_rows.itertuples() if row.status != "pending"]
    return Section("failures", title, tuple(text), (), table(
        ("run", "status", "first message"), rows, "Diverged and out-of-memory runs are results; invalid ones (ranks "
        "disagreed) are never averaged into anything."))


def _words(status: str) -> str:
    return {"pending": "not done yet", "running": "running now"}.get(status, status.replace("_", " "))


def drift_ratio(results: Results) -> float:
    """Throughput of the reference run at the end over that at the start; NaN unless both are there."""
    guard = results.runs[results.runs["experiment"] == DRIFT_GUARD].sort_values("launch")
    rates = guard["examples_per_second"].to_numpy(dtype=np.float64)
    return float(rates[-1] / rates[0]) if len(rates) > 1 and np.all(np.isfinite(rates)) else math.nan


def drift(results: Results) -> Section:
    """The same short timing run at the start and at the end of the plan."""
    title = "Drift of the machine"
    ratio = drift_ratio(results)
    if not math.isfinite(ratio):
        return Section("drift", title, ("The reference run was not measured both at the start and at the end, so drift "
                                        "is not known.",))
    guard = results.runs[results.runs["experiment"] == DRIFT_GUARD].sort_values("launch")
    rates = " and ".join(number(rate) for rate in guard["examples_per_second"])
    text = (f"The reference run did {rates} examples per second at the start and at the end: a ratio of {ratio:.3f} "
            f"(n = {len(guard)} launches, so without an interval).",)
    warnings = (f"The machine's speed changed by {abs(ratio - 1):.0%} between start and end (limit "
                f"{DRIFT_LIMIT:.0%}): compare times across the plan with care, or repeat it on a quiet machine.",)
    return Section("drift", title, text, warnings=warnings if abs(ratio - 1) > DRIFT_LIMIT else ())


def agreement(results: Results) -> Section:
    """How many times replicas were proved to hold the same weights."""
    title = "Agreement between replicas"
    runs = by_run(results)
    if any(name not in runs for name in CHECKS) or runs.empty:
        return Section("agreement", title, ("The tables read from these records hold no agreement checks, so they are "
                                            "not added up here; each record has its own.",))
    several = runs[runs["replicas"] > 1]
    proved = int(several["equal_at_evaluations"].sum())
    invalid = int((results.statuses["status"] == "invalid").sum())
    if several.empty:
        return Section("agreement", title, ("No run with more than one replica has finished, so there was nothing to "
                                            "compare.",))
    text = (f"{counted(len(several), 'run')} with several replicas: ranks as many as the launcher asked for in "
            f"{int((several['size'] == several['size_expected']).sum()):,}, weights bit for bit equal after the "
            f"broadcast in {int((several['equal_after_broadcast'] == 1).sum()):,}, shards disjoint and complete in "
            f"{int((several['shards_disjoint_and_complete'] == 1).sum()):,}. {proved:,} times, at evaluations and at "
            f"the end, all replicas' weights were bit for bit equal. {counted(invalid, 'run')} ended invalid because "
            "ranks disagreed.",)
    return Section("agreement", title, text)


def provenance(results: Results) -> Section:
    """Machine and software of the runs, one column of facts per environment."""
    title = "Provenance"
    if results.environments.empty:
        return Section("provenance", title, ("No record has been written, so nothing is known about the machine.",))
    found = results.environments
    same: list[tuple[str, list[str]]] = []
    differing: list[tuple[str, list[str]]] = []
    for name in found.columns:
        values = [_fact(value) for value in found[name]]
        if name != "runs" and any(values):
            (same if len(set(values)) == 1 else differing).append((name.replace("_", " "), values))
    tables = table(("fact", "all runs"), ((name, values[0]) for name, values in same))
    shown = min(len(found), 6)
    tables += table(("fact", *(counted(int(n), "run") for n in found["runs"][:shown])),
                    ((name, *values[:shown]) for name, values in differing),
                    "Facts that differ between runs." + (f" {len(found) - shown} more environments are not shown."
                                                         if len(found) > shown else ""))
    dirty = found["dirty"].astype(str).str.lower().isin(["true", "1", "1.0"]) if "dirty" in found else pd.Series()
    warnings = ("Some runs come from a checkout with uncommitted changes; the commit does not identify them.",
                ) if bool(dirty.any()) else ()
    return Section("provenance", title, (), (), (*tables, *_slots(results)), warnings)


def _fact(value: object) -> str:
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else str(value)


def _slots(results: Results) -> tuple[Table, ...]:
    """Affinity and slot of the runs, where the tables hold them."""
    runs = by_run(results)
    names = [name for name in ("slot", "affinity") if name in runs]
    if not names:
        return ()
    rows = [(*(_fact(value) for value in (key if isinstance(key, tuple) else (key,))), count)
            for key, count in runs.groupby(names, dropna=False).size().items()]
    return table((*names, "runs"), rows, "Slots: runs packed side by side, each on its own cores.",
                 (len(names),))


def repeat(results: Results) -> Section:
    """The commands that do all of it again."""
    plan = results.plan
    source = plan.source or plan.name or "plan.toml"
    text = [f"The plan \"{plan.name}\" as it was run is below; save it and run the first command. The "
            "others go on with what is missing, do one run again from its record, and write this report again."]
    commands = (f"batchscale study {shlex.quote(source)}",
                f"batchscale run {shlex.quote(source)} --retry",
                "batchscale run RESULTS/PLAN/RUN/record.json", "batchscale report RESULTS/PLAN")
    return Section("repeat", "How to repeat it", tuple(text), commands=commands,
                   listing=plan.text, listing_title="The plan")


def missing_text(results: Results) -> list[str]:
    """What a reader of the first screen must know is not there, in sentences."""
    counts = results.statuses["status"].value_counts()
    waiting = int(sum(counts.get(name, 0) for name in ("pending", "running", "lost", "preempted", "timed_out")))
    sentences = []
    if waiting:
        sentences.append(f"This report is partial: {waiting:,} of {len(results.statuses):,} runs have no result yet.")
    for status in ("failed", "invalid", "unreadable", "diverged", "out_of_memory"):
        own = results.statuses[results.statuses["status"] == status]
        names, tried = own["run_id"], int((own["rule"] == TUNED_RULE).sum())
        tuning = f", {tried:,} of them at rates that a tuned arm tried" if tried else ""
        if len(names):
            sentences.append(f"{counted(len(names), 'run')} {_words(status)}{tuning}: {listed(names, 3)}.")
    sentences += [f"Skipped: {item.experiment}, {item.what}: {item.reason}." for item in results.plan.skipped]
    left_out = results.settings.get("leaves_out") or ()
    return sentences + [f"Left out by the plan: {item}." for item in left_out]
