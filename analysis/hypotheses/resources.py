"""Claims 1, 8 and 9: gradient noise, memory and throughput against the batch."""

from __future__ import annotations

import pandas as pd

from ..laws.critical_batch import ThroughputKnee
from ..laws.memory import DISTINCT_SIZES, MemoryLaw
from ..laws.noise_scale import covariance_slopes, SLOPE_BATCHES
from ..statistics.estimate import Estimate, mean_estimate
from ..study.arm_runs import reference_norms
from ..study.memory_laws import memory_laws
from ..study.timing.throughput import growth, knee, throughput_groups
from ..tables.results import experiments, Results
from .verdict import CLAIMS, CONTRADICTED, NOT_DECIDED, SUPPORTED, Answer, Detail, undecided, Verdict

EXPECTED_SLOPE = (-1.2, -0.8)
SAME_WEIGHTS = "same weights"
ONE_STEP = "one step, one replica"
FRESH_PROCESS = "a few steps in a fresh process"
# Less than this share of growth in proportion to the batch is none worth the name.
NO_GROWTH = 0.1


def noisier_gradients(results: Results) -> list[Verdict]:
    """Claim 1: slope of log tr Cov(g_B) on log B within [-1.2, -0.8], a slope per seed."""
    found = []
    each = (reference_norms(results, experiment) for experiment in experiments(results))
    for (experiment, rule), rows in (group for norms in each
                                     for group in norms.groupby(["experiment", "rule"], sort=False)):
        known = covariance_slopes(rows)
        if known.size:
            found.append(_slope_verdict(str(experiment), str(rule), mean_estimate(known)))
        else:
            found.append(undecided(
                1, f"{experiment} probed {rows['batch'].nunique()} batches; the slope needs "
                f"{SLOPE_BATCHES} at the same weights. Give more noise_batches.",
                str(experiment), str(rule), SAME_WEIGHTS))
    return found or [undecided(1, "No gradient norms were recorded. Give noise_batches, such as "
                               "[1, 8, 32, 128].", budget=SAME_WEIGHTS)]


def _slope_verdict(experiment: str, rule: str, slope: Estimate) -> Verdict:
    low, high = EXPECTED_SLOPE
    answer: Answer = NOT_DECIDED
    if slope.has_interval and low <= slope.low and slope.high <= high:
        answer = SUPPORTED
    elif slope.has_interval and (slope.high < low or slope.low > high):
        answer = CONTRADICTED
    name = "slope of log tr Cov(g) on log B"
    more = "" if answer != NOT_DECIDED else " Run more seeds or probe more batches."
    reason = f"{name}: {slope}; independent examples give -1, accepted is {low} to {high}.{more}"
    return Verdict(1, CLAIMS[1], answer, slope, name, experiment, rule, SAME_WEIGHTS, reason,
                   (Detail(name, None, slope, float("nan"), answer),))


def more_memory(results: Results) -> list[Verdict]:
    """Claim 8: bytes per example of the memory law above 0, one law per model and optimizer."""
    found = [_memory_verdict(group.experiment, group.law) for group in memory_laws(results)]
    return found or [undecided(8, "No memory runs. Measure at least "
                               f"{DISTINCT_SIZES} batches with kind = \"memory\".",
                               budget=FRESH_PROCESS)]


def _memory_verdict(experiment: str, law: MemoryLaw) -> Verdict:
    slope, name = law.bytes_per_example, "bytes per example of the replica batch"
    answer: Answer = NOT_DECIDED
    if slope.has_interval and slope.low > 0:
        answer = SUPPORTED
    elif slope.has_interval and slope.high < 0:
        answer = CONTRADICTED
    absent = f" {law.absent} readings are absent." if law.absent else ""
    more = f" {law.note[:1].upper()}{law.note[1:]}." if law.note else ""
    return Verdict(8, CLAIMS[8], answer, slope, name, experiment, "constant", FRESH_PROCESS,
                   f"{name}: {slope}.{more}{absent}",
                   (Detail(name, None, slope, float("nan"), answer, law.note),))


def throughput_limit(results: Results) -> list[Verdict]:
    """Claim 9: throughput grows at the smallest batches, and the knee lies among those measured."""
    found = [_knee_verdict(str(keys[0]), rows) for keys, rows in throughput_groups(results)]
    return found or [undecided(9, "No timing runs of at least 3 batches per replica on the same "
                               "replicas. Measure them with kind = \"throughput\" and 3 launches.",
                               budget=ONE_STEP)]


def _knee_verdict(experiment: str, rows: pd.DataFrame) -> Verdict:
    sizes = sorted(int(n) for n in rows["replica_batch"].unique())
    at_first, at_last = growth(rows, sizes[:2]), growth(rows, sizes[-2:])
    found = knee(rows)
    batch = found.knee_batch if isinstance(found, ThroughputKnee) else Estimate(
        float("nan"), float("nan"), float("nan"), len(rows))
    answer: Answer = NOT_DECIDED
    if at_first.has_interval and at_first.high < NO_GROWTH:
        answer = CONTRADICTED
    elif (at_first.low > 0 and batch.has_interval and sizes[0] < batch.value
          and batch.high < sizes[-1] and at_last.value < at_first.value):
        answer = SUPPORTED
    name = "knee of throughput, examples per replica"
    note = found.note if isinstance(found, ThroughputKnee) else found
    placement = str(rows["placement"].iloc[0])
    reason = (f"On {placement}, {name}: {batch}; growth of throughput with the batch (1: in "
              f"proportion) {at_first} from {sizes[0]:,} to {sizes[1]:,} and {at_last} from "
              f"{sizes[-2]:,} to {sizes[-1]:,}."
              + (f" {note[:1].upper()}{note[1:]}." if note else "")
              + (" Measure more launches, or batches on both sides of the knee."
                 if answer == NOT_DECIDED else ""))
    nothing = float("nan")
    return Verdict(9, CLAIMS[9], answer, batch, name, experiment, "constant",
                   f"{ONE_STEP}: {placement}" if placement.endswith("-1r") else placement, reason,
                   (Detail(f"growth from {sizes[0]:,} to {sizes[1]:,}", sizes[1], at_first,
                           nothing, SUPPORTED if at_first.low > 0 else NOT_DECIDED),
                    Detail(f"growth from {sizes[-2]:,} to {sizes[-1]:,}", sizes[-1], at_last,
                           nothing, NOT_DECIDED)))
