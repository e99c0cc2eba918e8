"""What an experiment's runs are judged by: their accuracy, or where they have none, their loss.

One object says which column that is, which direction is better, how far two values may lie apart and still count as
the same, and how values and differences are written. A difference is always taken so that above zero is worse.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ...benchmarks.text import number
from ..formatting import estimated, percentage
from ..statistics.decision_rules import ONE_SIDED
from ..statistics.estimate import Estimate, Floats, mean_estimate
from ..statistics.sequential.spending import Counts

DEFAULT_MARGIN = 0.005
DEFAULT_LOSS_MARGIN = 0.02
UNKNOWN = "not known"


@dataclass(frozen=True)
class Outcome:
    """Measure by which an experiment's runs are judged: accuracy or loss, with the margin that counts as the same.

    sign: 1 where higher is better, else -1. gap: the column of the generalization gap. margin: the largest difference
    that counts as the same, in the unit of the values. worse, better: verbs for a batch that ends worse or better.
    """

    name: str
    sign: int
    gap: str
    worse: str
    better: str
    margin: float
    share: float = math.nan
    """Of a loss: the margin as a share of the reference batch's."""
    alpha: float = ONE_SIDED
    """The level of a one-sided test against the margin."""
    looks: Counts = ()
    """Seeds at which the study was judged as they came in; empty where it was judged once."""
    resolution: float = 0.0
    """Of an accuracy: what one test example of one run amounts to; 0 where their number was not recorded."""

    @property
    def test(self) -> str:
        """Name of the column of the test data, such as `test_accuracy`."""
        return f"test_{self.name}"

    @property
    def validation(self) -> str:
        """Name of the column of the validation data, such as `validation_accuracy`."""
        return f"validation_{self.name}"

    @property
    def percent(self) -> bool:
        """Whether the values are fractions that are shown in per cent, as accuracies are; False for losses."""
        return self.sign > 0

    @property
    def bounds(self) -> tuple[float, float]:
        """Return the least and the greatest value to believe: [0, 1] with 0.01 of room for fractions, no limit for
        losses."""
        return (-0.01, 1.01) if self.percent else (-math.inf, math.inf)

    @property
    def span(self) -> float:
        """Return the greatest possible distance of two values: 1 for fractions, no limit for losses."""
        return 1.0 if self.percent else math.inf

    @property
    def unit(self) -> str:
        """Words that follow the number of a difference and name the column it is a difference of."""
        return " of test accuracy" if self.percent else " of test loss"

    @property
    def within(self) -> str:
        """Margin in words, in percentage points of accuracy or as an amount of loss."""
        if self.percent:
            return f"{100 * self.margin:g} points"
        return f"{number(self.margin)} of loss"

    @property
    def counts_as_same(self) -> str:
        """Margin in words; for a loss also as a share of the reference batch's loss, in per cent."""
        if self.percent:
            return f"{100 * self.margin:g} percentage points"
        return f"{self.within} ({100 * self.share:.3g} % of the reference batch's)"

    def generalization_gap(self, values: Any) -> Any:
        """Return train minus test accuracy, or test minus train loss: above zero, training data are predicted better.

        values: anything with the columns train_<name> and test_<name>, such as a table of runs; the result has the
        shape of one column.
        """
        return self.sign * (values[f"train_{self.name}"] - values[self.test])

    def mean(self, values: Sequence[float] | Floats | pd.Series[float]) -> Estimate:
        """Return the mean over seeds with its interval, which is cut to [0, 1] for an accuracy.

        It is Student's interval and not one of logits: the mean stays the number that gaps are differences of, and the
        cut removes only values that no accuracy can have.
        """
        found = mean_estimate(np.asarray(values, dtype=np.float64)).per("seeds")
        return found.within(0.0, 1.0) if self.percent else found

    def chosen_by(self, runs: pd.DataFrame) -> str:
        """Return the name of the validation column, which choices are made by; the test column's where no run has the
        former."""
        return self.validation if runs[self.validation].notna().any() else self.test

    def short(self, value: float) -> str:
        """Return a value as text without interval: per cent with one decimal for an accuracy, a plain number for a
        loss."""
        return f"{100 * value:.1f} %" if self.percent else number(value)

    def amount(self, value: float) -> str:
        """Return the absolute size of a difference as text without unit: percentage points, or an amount of loss."""
        return f"{100 * abs(value):.1f}" if self.percent else number(abs(value))

    def level(self, value: Estimate) -> str:
        """Return a value with its interval as text, such as 93.2 % (93.0 to 93.4, n = 6 seeds); UNKNOWN where it is not
        finite."""
        return self.cell(value) if math.isfinite(value.value) else UNKNOWN

    def difference(self, value: Estimate, unit: bool = True) -> str:
        """Return a difference over seeds as text, such as 1.25 points (1.10 to 1.40, n = 6 seeds).

        Its interval is cut to what differences can be (`span`). unit: whether to write "points" behind an accuracy's.
        """
        possible, factor = value.within(-self.span, self.span).per(value.of or "seeds"), 100 if self.percent else 1
        return estimated(possible.scaled(factor), "points" if self.percent and unit else "",
                         resolution=factor * self.resolution)

    def cell(self, value: Estimate) -> str:
        """Return a value with its interval as a table's cell: per cent for an accuracy, a plain number for a loss."""
        return percentage(value, resolution=self.resolution) if self.percent else estimated(value)

    def cell_difference(self, value: Estimate, places: int = 1) -> str:
        """Return a difference with its sign and interval as a table's cell, cut to what differences can be (`span`).

        places: decimals of an accuracy's difference that has no interval.
        """
        value = value.within(-self.span, self.span).per(value.of or "seeds")
        if self.percent:
            return percentage(value, places, signed=True, resolution=self.resolution)
        return f"{'+' if value.value > 0 else ''}{estimated(value)}"


ACCURACY = Outcome("accuracy", 1, "generalization_gap", "loses", "gains", DEFAULT_MARGIN)
LOSS = Outcome("loss", -1, "loss_gap", "adds", "saves", DEFAULT_LOSS_MARGIN)


def kind_of(runs: pd.DataFrame) -> Outcome:
    """Return the outcome of these runs with its default margin: ACCURACY or LOSS.

    It is LOSS where no run has a finite test accuracy and one has a finite test loss, else ACCURACY.
    """
    accuracy, loss = (np.isfinite(runs[name].to_numpy(np.float64)).any() for name in ("test_accuracy", "test_loss"))
    return ACCURACY if accuracy or not loss else LOSS


def judged_by(runs: pd.DataFrame, margin: float, loss_margin: float, alpha: float = ONE_SIDED,
              looks: Counts = ()) -> Outcome:
    """Return the outcome of one experiment's runs with its margin in the unit of the values.

    margin: of accuracy, as a fraction; loss_margin: as a share of the mean loss of the reference batch on the data that
    choose (of all runs where the reference batch has none); alpha: level of a one-sided test against the margin; looks:
    seeds at which the study is judged as they come in.
    """
    found = replace(kind_of(runs), alpha=alpha, looks=looks)
    if found.percent:
        examples = float(runs["test_examples"].max()) if "test_examples" in runs else math.nan
        return replace(found, margin=margin, resolution=1 / examples if examples > 0 else 0.0)
    at_reference = runs[runs["global_batch"] == runs["reference_batch"]]
    column = found.chosen_by(runs)
    losses = at_reference[column] if at_reference[column].notna().any() else runs[column]
    size = abs(float(losses.mean()))
    return replace(found, margin=loss_margin * (size or 1.0), share=loss_margin)
