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
    """Judge claim 1: slope of log tr Cov(g_B) on log B below 0, one slope per seed; one verdict per experiment and
    rule.

    Independent examples give -1; a slope away from it says that the probe's groups are not independent, which is a
    check of the probe and not of the claim.
    """
    found = []
    each = (reference_norms(results, experiment) for experiment in experiments(results))
    for (experiment, rule), rows in (group for norms in each
                                     for group in norms.groupby(["experiment", "rule"], sort=False)):
        known = covariance_slopes(rows)
        if known.size:
            found.append(_slope_verdict(str(experiment), str(rule), mean_estimate(known).per("seeds")))
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
    if slope.has_interval and slope.high < 0:
        answer = SUPPORTED
    elif slope.has_interval and slope.low > 0:
        answer = CONTRADICTED
    name = "slope of log tr Cov(g) on log B"
    more = "" if answer != NOT_DECIDED else " Run more seeds or probe more batches."
    inside = low <= slope.value <= high
    check = "as it is here" if inside else (f"which {slope.value:.2f} is not within {low} to {high}: the probe's "
                                            "groups are not independent, or too few")
    reason = f"{name}: {slope}. Check of the probe: independent examples give -1, {check}.{more}"
    return Verdict(1, CLAIMS[1], answer, slope, name, experiment, rule, SAME_WEIGHTS, reason,
                   (Detail(name, None, slope, float("nan"), answer),))


def more_memory(results: Results) -> list[Verdict]:
    """Judge claim 8: bytes per example of the memory law above 0; one verdict per group of memory runs."""
    found = [_memory_verdict(group.experiment, group.law) for group in memory_laws(results)]
    return found or [undecided(8, "No memory runs. Measure at least "
                               f"{DISTINCT_SIZES} batches with kind = \"memory\".",
                               budget=FRESH_PROCESS)]


def _memory_verdict(experiment: str, law: MemoryLaw) -> Verdict:
    slope = law.law.slope.per("runs") if law.law else law.bytes_per_example
    name = "slope of memory on the replica batch, bytes per example"
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
    """Judge claim 9: throughput grows between the two smallest batches, and no longer between the two largest; one
    verdict per group of timing runs on the same replicas."""
    found = [_growth_verdict(str(keys[0]), rows) for keys, rows in throughput_groups(results)]
    return found or [undecided(9, "No timing runs of at least 3 batches per replica on the same "
                               "replicas. Measure them with kind = \"throughput\" and 3 launches.",
                               budget=ONE_STEP)]


def _growth_verdict(experiment: str, rows: pd.DataFrame) -> Verdict:
    sizes = sorted(int(n) for n in rows["replica_batch"].unique())
    at_first, at_last = growth(rows, sizes[:2]), growth(rows, sizes[-2:])
    grows = _beyond(at_first, 0.0)
    stops = _beyond(at_last, NO_GROWTH, below=True)
    answer: Answer = NOT_DECIDED
    if at_first.has_interval and at_first.high < NO_GROWTH:
        answer = CONTRADICTED
    elif (grows, stops) == (SUPPORTED, SUPPORTED):
        answer = SUPPORTED
    first, last = (f"growth of throughput from batch {small:,} to {large:,} per replica, 1 in proportion"
                   for small, large in (sizes[:2], sizes[-2:]))
    placement = str(rows["placement"].iloc[0])
    more = "" if answer != NOT_DECIDED else " Measure larger batches: it still grows." if stops == CONTRADICTED else \
        " Measure more launches, or batches further apart."
    reason = f"On {placement}, {first}: {at_first}; {last}: {at_last}.{_knee(rows)}{more}"
    nothing = float("nan")
    return Verdict(9, CLAIMS[9], answer, at_first, first, experiment, "constant",
                   f"{ONE_STEP}: {placement}" if placement.endswith("-1r") else placement, reason,
                   (Detail(first, sizes[1], at_first, nothing, grows),
                    Detail(last, sizes[-1], at_last, nothing, stops)))


def _beyond(growth_: Estimate, limit: float, below: bool = False) -> Answer:
    """Whether the whole interval lies above the limit (or below it)."""
    if not growth_.has_interval or growth_.low <= limit <= growth_.high:
        return NOT_DECIDED
    return SUPPORTED if (growth_.high < limit) is below else CONTRADICTED


def _knee(rows: pd.DataFrame) -> str:
    """Where half of the peak is reached, by the law of the step."""
    found = knee(rows)
    if not isinstance(found, ThroughputKnee) or not found.knee_batch.value > 0:
        return ""
    return f" By the law of the step half of the peak is reached at batch {found.knee_batch}."
