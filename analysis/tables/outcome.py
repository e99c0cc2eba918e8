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

DEFAULT_MARGIN = 0.005
DEFAULT_LOSS_MARGIN = 0.02
UNKNOWN = "not known"


@dataclass(frozen=True)
class Outcome:
    """`sign`: 1 where higher is better, else -1. `gap`: the column of the generalization gap. `margin`: in the unit
    of the values, what counts as the same. `worse`, `better`: verbs for a batch that ends so."""

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
    resolution: float = 0.0
    """Of an accuracy: what one test example of one run amounts to; 0 where their number was not recorded."""

    @property
    def test(self) -> str:
        return f"test_{self.name}"

    @property
    def validation(self) -> str:
        return f"validation_{self.name}"

    @property
    def percent(self) -> bool:
        return self.sign > 0

    @property
    def bounds(self) -> tuple[float, float]:
        """What no value can lie beyond, with a little room."""
        return (-0.01, 1.01) if self.percent else (-math.inf, math.inf)

    @property
    def span(self) -> float:
        """How far apart two values can be at most: 1 for fractions, no limit for losses."""
        return 1.0 if self.percent else math.inf

    @property
    def unit(self) -> str:
        """What differences are differences of, after the number."""
        return " of test accuracy" if self.percent else " of test loss"

    @property
    def within(self) -> str:
        """The margin in words."""
        if self.percent:
            return f"{100 * self.margin:g} points"
        return f"{number(self.margin)} of loss"

    @property
    def counts_as_same(self) -> str:
        """The margin in words, with where it comes from."""
        if self.percent:
            return f"{100 * self.margin:g} percentage points"
        return f"{self.within} ({100 * self.share:.3g} % of the reference batch's)"

    def generalization_gap(self, values: Any) -> Any:
        """Train minus test accuracy, or test minus train loss: above zero, training data are predicted better."""
        return self.sign * (values[f"train_{self.name}"] - values[self.test])

    def mean(self, values: Sequence[float] | Floats | pd.Series[float]) -> Estimate:
        """The mean over seeds; the interval of an accuracy ends where accuracies do.

        Student's interval cut to [0, 1], and not one of logits: the mean stays what gaps are differences of, and a cut
        takes away nothing that could be true.
        """
        found = mean_estimate(np.asarray(values, dtype=np.float64)).per("seeds")
        return found.within(0.0, 1.0) if self.percent else found

    def chosen_by(self, runs: pd.DataFrame) -> str:
        """The validation column, by which choices are made; the test column where none was split off."""
        return self.validation if runs[self.validation].notna().any() else self.test

    def short(self, value: float) -> str:
        return f"{100 * value:.1f} %" if self.percent else number(value)

    def amount(self, value: float) -> str:
        """The size of a difference, without its unit."""
        return f"{100 * abs(value):.1f}" if self.percent else number(abs(value))

    def level(self, value: Estimate) -> str:
        """A value for people: 93.2 % (93.0 to 93.4, n = 6 seeds)."""
        return self.cell(value) if math.isfinite(value.value) else UNKNOWN

    def difference(self, value: Estimate, unit: bool = True) -> str:
        """A difference over seeds for people: 1.25 points (1.10 to 1.40, n = 6 seeds)."""
        possible, factor = value.within(-self.span, self.span).per(value.of or "seeds"), 100 if self.percent else 1
        return estimated(possible.scaled(factor), "points" if self.percent and unit else "",
                         resolution=factor * self.resolution)

    def cell(self, value: Estimate) -> str:
        """A value in a table."""
        return percentage(value, resolution=self.resolution) if self.percent else estimated(value)

    def cell_difference(self, value: Estimate, places: int = 1) -> str:
        """A difference in a table, with its sign."""
        value = value.within(-self.span, self.span).per(value.of or "seeds")
        if self.percent:
            return percentage(value, places, signed=True, resolution=self.resolution)
        return f"{'+' if value.value > 0 else ''}{estimated(value)}"


ACCURACY = Outcome("accuracy", 1, "generalization_gap", "loses", "gains", DEFAULT_MARGIN)
LOSS = Outcome("loss", -1, "loss_gap", "adds", "saves", DEFAULT_LOSS_MARGIN)


def kind_of(runs: pd.DataFrame) -> Outcome:
    """Accuracy where any of an experiment's runs has one, or none has a finite loss either; with the default margin."""
    accuracy, loss = (np.isfinite(runs[name].to_numpy(np.float64)).any() for name in ("test_accuracy", "test_loss"))
    return ACCURACY if accuracy or not loss else LOSS


def judged_by(runs: pd.DataFrame, margin: float, loss_margin: float, alpha: float = ONE_SIDED) -> Outcome:
    """The outcome of one experiment's runs. margin: of accuracy, as a fraction; loss_margin: as a share of the mean
    loss that the reference batch ends with on the data that choose; alpha: of a one-sided test against the margin."""
    found = replace(kind_of(runs), alpha=alpha)
    if found.percent:
        examples = float(runs["test_examples"].max()) if "test_examples" in runs else math.nan
        return replace(found, margin=margin, resolution=1 / examples if examples > 0 else 0.0)
    at_reference = runs[runs["global_batch"] == runs["reference_batch"]]
    column = found.chosen_by(runs)
    losses = at_reference[column] if at_reference[column].notna().any() else runs[column]
    size = abs(float(losses.mean()))
    return replace(found, margin=loss_margin * (size or 1.0), share=loss_margin)
