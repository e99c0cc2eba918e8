"""The decision on imported runs: what they tell about the batch, and what they cannot decide."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from ...benchmarks.text import counted, duration, number, percent
from ..formatting import estimated
from ..importers.registry import CONVERGENCE, TIMING, TRAINING
from ..study.groups import mean_of
from ..study.convergence import Convergence
from ..study.timing.scaling import scalings
from ..tables.results import Results
from ..tables.selections import timing_runs
from .decision import WORTHWHILE, Decision
from .headline import scaling_headlines

# What a study of one's own would decide, and the kinds of imported run that say something about it.
CANNOT_DECIDE = (
    ("Which batch is fastest: no step time or throughput was recorded", ("throughput",)),
    ("How many GPUs are worth having: no run was timed on several numbers of replicas", ("throughput",)),
    ("What a batch costs: there is neither time nor price nor energy", (TRAINING,)),
    ("Whether a batch fits: no memory was recorded", ()),
    ("What a batch does to the final accuracy or the generalization gap: training stopped at the "
     "target", ("throughput", TRAINING, TIMING)),
    ("What a batch does to the final accuracy or the generalization gap: there are no runs that differ in batch and "
     "seed alone", (CONVERGENCE,)),
    ("Whether another learning-rate rule would do better: each batch has the settings that its creator chose", ()))
MOST_SENTENCES = 6
# What a training ends with, in the order in which it is said, and how many of them are.
ENDS = {"test_accuracy": "test accuracy", "validation_accuracy": "validation accuracy", "test_loss": "test loss",
        "validation_loss": "validation loss", "train_accuracy": "train accuracy", "train_loss": "train loss"}
MOST_ENDS = 3


def decide_imported(results: Results, found: Sequence[Convergence], deadline_seconds: float | None = None) -> Decision:
    """Return what imported records answer, without a recommendation: a batch with the fewest steps need not be the
    fastest.

    A deadline (in seconds) is not judged either: where one is given, an answer says why not.
    """
    scaled, kinds = scalings(results), set(results.runs["kind"])
    answers = [sentence for one in found for sentence in _answers(one)]
    answers += [*_times(results), *_ends(results), *_throughputs(results), *scaling_headlines(scaled)]
    answers += _rounds(results)
    answers.append(_recommends_nothing(kinds))
    if deadline_seconds is not None:
        timed = results.runs["seconds_to_target"].notna().any()
        why = "the runs were done on hardware and settings of their own" if timed else "no time was recorded"
        answers.append(f"What meets the deadline of {duration(deadline_seconds)} is not known: {why}.")
    warnings = tuple(warning for one in found for warning in one.warnings)
    undecided = tuple(question for question, told in CANNOT_DECIDE if not kinds & set(told))
    return Decision(answers=tuple(answers), sentences=tuple(answers), recommendations=(), options=(), critical=(),
                    scaling=scaled, memory=(), deadlines=(), verdicts=(), open_questions=undecided, warnings=warnings,
                    next_plan="", worthwhile=WORTHWHILE)


def _recommends_nothing(kinds: set[str]) -> str:
    if kinds == {CONVERGENCE}:
        return ("No batch, number of GPUs or learning rate is recommended: these records hold how much training the "
                "target took and nothing about throughput, memory, final accuracy or cost. A study of your own "
                "model decides that: batchscale study PLAN.")
    return ("No batch, number of GPUs or learning rate is recommended: these records do not hold both the speed "
            "and the accuracy of one model at several batches. A study of your own model decides that: "
            "batchscale study PLAN.")


def _times(results: Results) -> list[str]:
    """The fastest run to each target."""
    runs = results.runs[results.runs["seconds_to_target"].notna()]
    sentences = []
    for experiment, own in runs.groupby("experiment", sort=False):
        best = own.loc[own["seconds_to_target"].idxmin()]
        price = float(best["price_per_hour"]) * float(best["seconds_to_target"]) / 3600
        cost = f", for {price:.2f} at its price per hour" if math.isfinite(price) else ""
        everyone = results.runs[results.runs["experiment"] == experiment]
        sentences.append(f"{experiment}: {counted(len(own), 'run')} of {len(everyone):,} reached the target, the "
                         f"fastest in {duration(float(best['seconds_to_target']))}{cost} ({best['run_id']}).")
    return sentences[:MOST_SENTENCES]


def _ends(results: Results) -> list[str]:
    """Where each training ends, and where it was best."""
    runs = results.runs[(results.runs["kind"] == TRAINING) & results.runs["seconds_to_target"].isna()]
    sentences = []
    for _, run in runs.iterrows():
        own = results.evaluations[results.evaluations["run_id"] == run["run_id"]]
        parts = [_end(run, own, column) for column in ENDS if math.isfinite(run[column])]
        batch = f" at batch {int(run['global_batch']):,}" if run["global_batch"] > 0 else ""
        if parts:
            sentences.append(f"{run['run_id']}{batch} ends with {' and '.join(parts[:MOST_ENDS])}.")
    more = len(sentences) - MOST_SENTENCES
    return sentences[:MOST_SENTENCES] + ([f"{counted(more, 'more training')} in the table."] if more > 0 else [])


def _end(run: pd.Series, own: pd.DataFrame, column: str) -> str:
    """The last value, and the best one where that is another."""
    accuracy = column.endswith("accuracy")
    values = own[column].dropna()
    shown = f"{ENDS[column]} {_metric(float(run[column]), accuracy)}"
    if len(values) < 2:
        return shown
    at = values.idxmax() if accuracy else values.idxmin()
    place = next((f"{own.loc[at, name]:,.4g} {unit}" for name, unit in (("epoch", "epochs"), ("step", "steps"))
                  if math.isfinite(own.loc[at, name])), "")
    best = float(values.loc[at])
    return f"{shown} (best: {_metric(best, accuracy)} after {place})" if best != float(run[column]) and place else shown


def _metric(value: float, accuracy: bool) -> str:
    return percent(value, 2) if accuracy else number(value)


def _throughputs(results: Results) -> list[str]:
    """Per model, strategy and batch held fixed, the throughput at the most replicas."""
    sentences = []
    keys = ["experiment", "strategy", "transport", "scaling"]
    runs = timing_runs(results)
    several = runs.groupby("experiment")["strategy"].nunique()
    for (experiment, strategy, _, _), own in runs.groupby(keys, sort=False, dropna=False):
        who = f"{experiment}, {strategy}" if several[experiment] > 1 else str(experiment)
        fixed, each = ("global_batch", "in all") if _strong(own) else ("replica_batch", "each")
        for batch, alike in own.groupby(fixed, sort=False):
            most = alike[alike["replicas"] == alike["replicas"].max()]
            rate = mean_of(most, "examples_per_second")
            sentences.append(f"{who}: {estimated(rate)} examples per second on "
                             f"{counted(int(most['replicas'].iloc[0]), 'replica')} at batch {int(batch):,} {each}.")
    return sentences[:MOST_SENTENCES]


def _strong(rows: pd.DataFrame) -> bool:
    """Whether the global batch was held fixed: by the table's word, or where it is seen at more replica counts than
    a replica's batch is."""
    if (rows["scaling"] != "").any():
        return bool((rows["scaling"] == "strong").any())
    counts = [int(rows.groupby(name)["replicas"].nunique().max()) for name in ("global_batch", "replica_batch")]
    return counts[0] > counts[1]


def _rounds(results: Results) -> list[str]:
    runs = results.runs[results.runs["kind"] == TIMING]
    if runs.empty:
        return []
    slowest = runs.loc[runs["step_seconds"].idxmax()]
    return [f"{counted(len(runs), 'benchmark')} timed; the slowest, {slowest['run_id']}, takes "
            f"{duration(float(slowest['step_seconds']))} a round."]


def _answers(one: Convergence) -> list[str]:
    return [_critical(one), *_useful(one)]


def _critical(one: Convergence) -> str:
    batch, note = one.critical_batch, one.law.note
    if note or not math.isfinite(batch.value):
        fitted = f" The fit's own value, {estimated(batch)}, is an extrapolation." if math.isfinite(batch.value) else ""
        return f"{one.experiment}: the critical batch is not known: {note or 'no finite fit'}.{fitted}"
    steps = f", {estimated(one.minimum_steps)}," if math.isfinite(one.minimum_steps.value) else ""
    exact = "" if batch.has_interval else " Two points fit any such law exactly, so nothing is known about its error."
    return (f"{one.experiment}: the critical batch is {estimated(batch)} {one.example}, from "
            f"{counted(batch.n, 'reference point')}. There the target takes twice the fewest steps that any batch "
            f"needs{steps} and twice the fewest {one.unit}, {estimated(one.minimum_amount)}: well below it, doubling "
            f"the batch nearly halves the steps; well above it, it saves hardly any.{exact}")


def _useful(one: Convergence) -> list[str]:
    useful = one.useful
    if useful.perfect_scaling_end is None or useful.largest_useful is None:
        return []
    note = f"; {useful.note}" if useful.note else ""
    return [f"{one.experiment}: batches up to {useful.perfect_scaling_end:,} need at most 20 % more {one.unit} than "
            f"the best one measured; from {useful.largest_useful:,} on, steps are within 20 % of the fewest "
            f"measured{note}."]
