"""How far off predictions are on published curves: fitted to the fewest replicas of each, held against the most.

    python -m batchscale.benchmarks.micro.public_curves.held_out CURVES.csv

reads one training a row (replicas, replica_batch, examples_per_second, and columns that name machine and model), gives
the first counts of each curve to what `batchscale predict` runs, and prints the errors, how many intervals hold what
was measured and how wide they are, the upper end over the lower.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ....analysis.comparison.readable import readable
from ....analysis.prediction.replicas import forecasts
from ....analysis.statistics.estimate import Estimate
from ...errors import BatchscaleError, EXIT_OK
from .reading import Curve, curves_of, results_of

CASES = (((1, 2, 4), 8), ((1, 2), 8), ((1, 2), 4))
"""Replica counts that are given, and the one that is held out."""
PREDICT, RING, TWICE = "predict", "a ring through them", "as many times the rate of the most"


@dataclass(frozen=True)
class HeldOut:
    """One curve and its prediction in examples per second, unknown where it was refused."""

    curve: Curve
    measured: float
    predicted: Estimate

    @property
    def error(self) -> float:
        """Return |predicted / measured - 1|; NaN where it was refused."""
        return abs(self.predicted.value / self.measured - 1)

    @property
    def inside(self) -> bool:
        """Return whether the interval holds what was measured."""
        return self.predicted.low <= self.measured <= self.predicted.high


def held_out(curves: Sequence[Curve], counts: Sequence[int], count: int) -> list[HeldOut]:
    """Return the prediction of `count` replicas of each curve that was measured there, from `counts` alone."""
    having = [curve for curve in curves if curve.has((*counts, count))]
    found = {int(one.model): one for one in forecasts(results_of(having, counts), (count,))}
    rates = {index: [each.examples_per_second for each in one.predictions] for index, one in found.items()}
    return [HeldOut(curve, curve.rates[count], (rates.get(index) or [Estimate(*[math.nan] * 3, 0)])[0])
            for index, curve in enumerate(having)]


def plainly(curves: Sequence[Curve], counts: Sequence[int], count: int, ring: bool) -> list[HeldOut]:
    """Return what a reader reckons without a program: a ring's law through the step times, by least squares, or the
    rate of the most replicas times as many."""
    found = []
    for curve in curves:
        if curve.has((*counts, count)):
            most = max(counts)
            rate = curve.rates[most] * count / most
            if ring:
                steps = np.exp([curve.log_step(each) for each in counts])
                rows = np.asarray([(1.0, (each - 1) / each) for each in (*counts, count)])
                law, *_ = np.linalg.lstsq(rows[:-1], steps, rcond=None)
                rate = count * curve.batch / float(rows[-1] @ law)
            found.append(HeldOut(curve, curve.rates[count], Estimate(rate, math.nan, math.nan, 0)))
    return found


def summary(found: Sequence[HeldOut]) -> tuple[str, ...]:
    """Return curves, refused, median and 90th percentile of the error, intervals that hold, and their median width."""
    known = [one for one in found if math.isfinite(one.error)]
    errors = [one.error for one in known]
    middle, ninth = (f"{np.quantile(errors, share):.2%}" if known else "-" for share in (0.5, 0.9))
    spans = [one for one in known if one.predicted.has_interval]
    held = f"{np.mean([one.inside for one in spans]):.1%}" if spans else "-"
    width = f"{np.median([one.predicted.high / one.predicted.low for one in spans]):.2f}" if spans else "-"
    return (str(len(found)), str(len(found) - len(known)), middle, ninth, held, width)


HEADER = ("curves", "refused", "median error", "90th percentile", "95 % intervals hold", "median width")


def tables(curves: Sequence[Curve]) -> str:
    """Return a Markdown table of each case by each way, and one of the groups of the first case."""
    lines, groups = _header(("given", "predicted", "by")), []
    for case in CASES:
        counts, count = case
        ways = {PREDICT: held_out(curves, counts, count), RING: plainly(curves, counts, count, ring=True),
                TWICE: plainly(curves, counts, count, ring=False)}
        lines += [_row((" and ".join(map(str, counts)), str(count), way, *summary(found)))
                  for way, found in ways.items()]
        groups = groups or by_group(ways[PREDICT])
    return "\n".join([*lines, "", *groups])


def by_group(found: Sequence[HeldOut]) -> list[str]:
    """Return a Markdown table with a row for each group."""
    names = dict.fromkeys(one.curve.group for one in found)
    return [*_header(("held out",)),
            *(_row((name, *summary([one for one in found if one.curve.group == name]))) for name in names)]


def _header(first: Sequence[str]) -> list[str]:
    return [_row((*first, *HEADER)), _row(["---"] * len(first) + ["---:"] * len(HEADER))]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> int:
    """Print the tables of a file's curves."""
    parser = argparse.ArgumentParser(description="Hold predictions against published curves.")
    parser.add_argument("curves", type=Path, help="CSV table with one training a row")
    parser.add_argument("--group", default="", help="column of what was measured together (default: the first)")
    arguments = parser.parse_args()
    try:
        print(readable(tables(curves_of(arguments.curves, arguments.group))))
    except BatchscaleError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
