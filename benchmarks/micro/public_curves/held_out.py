"""How far off predictions are on published curves: each from its fewest replicas, held against its most.

    python -m batchscale.benchmarks.micro.public_curves.held_out CURVES.csv

reads one training a row (replicas, replica_batch, examples_per_second, and columns that name set-up and model), gives
the first counts of each curve to what `batchscale predict` runs, with rules of public curves that are fitted to the
other set-ups, and prints the errors of the rate, how many intervals hold what was measured and how wide they are, the
upper end over the lower. `--write` then fits the rules that come with the package to all of them.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from msgspec import json

from ....analysis.comparison.readable import readable
from ....analysis.laws.public.curves import FILE, PublicCurves, shipped
from ....analysis.prediction.replicas import forecasts
from ....analysis.statistics.estimate import Estimate, unknown
from ....analysis.tables.results import Results
from ...errors import BatchscaleError, EXIT_OK
from .fitting import CASES, fitted, rounded, without_each
from .reading import Curve, curves_of, results_of

PREDICT, RING, TWICE = "predict", "a ring through them", "as many times the rate of the most"
SPREAD = 0.005  # of further launches, which published tables seldom have
SEED = 20180614


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


def held_out(curves: Sequence[Curve], counts: Sequence[int], count: int, rules: PublicCurves,
             launches: int = 1) -> list[HeldOut]:
    """Return the prediction of `count` replicas of each curve that was measured there, from `counts` alone; launches:
    of each training, made up with SPREAD about the one."""
    having = [curve for curve in curves if curve.has((*counts, count))]
    given = repeated(results_of(having, counts), launches) if having else None
    found = {int(one.model): one for one in forecasts(given, (count,), curves=rules)} if given else {}
    rates = {index: [each.examples_per_second for each in one.predictions] for index, one in found.items()}
    return [HeldOut(curve, curve.rates[count], (rates.get(index) or [unknown()])[0])
            for index, curve in enumerate(having)]


def repeated(results: Results, launches: int) -> Results:
    """Return the results with so many launches of each run."""
    if launches < 2:
        return results
    runs = pd.concat([results.runs.assign(launch=launch) for launch in range(launches)], ignore_index=True)
    noise = np.exp(np.random.default_rng(SEED).normal(0, SPREAD, len(runs)))
    return replace(results, runs=runs.assign(step_seconds=runs["step_seconds"] * noise,
                                             examples_per_second=runs["examples_per_second"] / noise))


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


def tables(curves: Sequence[Curve], rules: PublicCurves | None, launches: int) -> str:
    """Return a Markdown table of each case by each way, and one of the groups of the first case. rules: of all, by
    default for each group those of the others."""
    each = dict.fromkeys((curve.group for curve in curves), rules) if rules else dict(without_each(curves))
    lines = _header(("given", "predicted", "by"))
    groups: list[str] = []
    for counts, count in CASES:
        own = [one for group, known in each.items() if known
               for one in held_out([curve for curve in curves if curve.group == group], counts, count, known, launches)]
        ways = {PREDICT: own, RING: plainly(curves, counts, count, ring=True),
                TWICE: plainly(curves, counts, count, ring=False)}
        lines += [_row((", ".join(map(str, counts)), str(count), way, *summary(found)))
                  for way, found in ways.items()]
        groups = groups or by_group(own)
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


def main(words: Sequence[str] | None = None) -> int:
    """Print the tables of a file's curves."""
    parser = argparse.ArgumentParser(description="Hold predictions against published curves.")
    parser.add_argument("curves", type=Path, help="CSV table with one training a row")
    parser.add_argument("--group", default="", help="column of what was measured together (default: the first)")
    parser.add_argument("--launches", type=int, default=1, help="of each training, made up with a spread of "
                        f"{SPREAD:.1%} about the one (1)")
    parser.add_argument("--shipped", action="store_true", help="by the rules that come with the package, for curves "
                        "that they were not fitted to, instead of leaving each set-up out")
    parser.add_argument("--write", action="store_true", help="fit the rules that come with the package to these curves")
    arguments = parser.parse_args(words)
    try:
        curves = curves_of(arguments.curves, arguments.group)
        print(readable(tables(curves, shipped() if arguments.shipped else None, arguments.launches)))
        if arguments.write:
            write(curves, FILE)
    except BatchscaleError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return EXIT_OK


def write(curves: Iterable[Curve], path: Path) -> None:
    """Write the rules of these curves in the place of those in a file, whose words about their source stay."""
    there = json.decode(path.read_bytes(), type=PublicCurves)
    rules = rounded(fitted(list(curves), there.source, there.licence, there.what))
    path.write_bytes(json.format(json.encode(rules), indent=1) + b"\n")


if __name__ == "__main__":
    sys.exit(main())
