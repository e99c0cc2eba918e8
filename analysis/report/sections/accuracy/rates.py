"""What each rule set besides the batch: rate, warm-up, what decay leaves of the weights, AdaScale's gains."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from .....benchmarks.schedules.rules import is_measured, RULES
from .....benchmarks.text import counted
from ....formatting import estimated, table
from ....study.groups import finite, mean_of, peak_rates, Workload
from ...blocks import Section
from ...builder import ACCURACY_LINES, section
from ...findings import Findings


@section("rates", "What else changed with the batch", needs=ACCURACY_LINES)
def build(findings: Findings) -> Section | None:
    """Return one row per experiment, rule and batch; at the reference batch one for all rules."""
    found = findings.study.workloads
    if not found:
        return None
    used = dict.fromkeys(rule for work in found for rule in work.rules)
    formulas = "; ".join(f"{rule}: {RULES[rule].formula}" for rule in used if rule in RULES)
    text = [f"A rule sets the rate when the batch is chosen, and other things change with it. Peak rates: {formulas}. "
            "kappa is the batch over the reference batch."]
    decayed = any(finite(work.runs, "weight_kept_per_epoch") for work in found)
    if decayed:
        text.append("Weight decay is a confounder: decoupled decay multiplies a weight by (1 - rate x decay) at every "
                    "step, so what an epoch leaves of it depends on the rate and on the number of steps. To first "
                    "order it stays the same under the linear rule, and decay grows weaker with the batch under all "
                    "others: a difference between batches may be one between decays.")
    gained = any(finite(work.runs, "mean_gain") for work in found)
    if gained:
        text.append("Under adascale a step is worth as many of the reference batch's steps as its gain says, from 1 to "
                    "kappa; a gain near kappa means that the larger batch saves nearly all it could.")
    header = ("experiment", "rule", "batch", "peak rate", "warm-up", *(("kept per epoch",) if decayed else ()),
              *(("mean gain", "steps taken") if gained else ()))
    rows = [row for work in found for row in _rows(work, decayed, gained)]
    return Section(tuple(text), (), table(
        header, rows, "Kept per epoch: what decoupled decay alone leaves of a weight at the peak rate. "
        "Mean gain and steps: over seeds, 95 % interval, n." if decayed or gained else "", range(2, len(header)),
        "Numbers", longest=150))


def _rows(work: Workload, decayed: bool, gained: bool) -> Iterator[tuple[str, ...]]:
    for rule, batch, arm in work.arms:
        if work.is_listed_elsewhere(rule, batch):
            continue
        warmup = finite(arm, "warmup_steps")
        yield (work.name, rule, f"{batch:,}", peak_rates(arm),
               counted(int(warmup[0]), "step") if warmup and warmup[0] else "none",
               *((_kept(finite(arm, "weight_kept_per_epoch")),) if decayed else ()),
               *(_gains(rule, arm) if gained else ()))


def _kept(values: list[float]) -> str:
    return f"{100 * float(np.mean(values)):.4g} %" if values else ""


def _gains(rule: str, arm: pd.DataFrame) -> tuple[str, str]:
    if not is_measured(rule):
        return "", ""
    return estimated(mean_of(arm, "mean_gain")), estimated(mean_of(arm, "last_step"))
