"""How far off predictions are on published tables of many GPUs: the most of each curve, from all fewer counts.

    python -m batchscale.benchmarks.micro.public_curves.largest TABLE.csv --per-node 8

reads what `held_out` reads, and prints for each curve of three counts or more what is predicted for its most replicas,
what was measured there, and whether the interval holds it; or why there is no prediction.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ....analysis.prediction.replicas import forecasts
from ....analysis.statistics.estimate import Estimate, unknown
from ...errors import BatchscaleError, EXIT_OK
from .reading import Curve, curves_of, results_of

FEWEST = 3


@dataclass(frozen=True)
class Largest:
    """One curve, its prediction for the most replicas in examples per second, and why there is none."""

    curve: Curve
    predicted: Estimate
    why: str

    @property
    def error(self) -> float:
        """Return predicted over measured, minus 1; NaN where there is no prediction."""
        return self.predicted.value / self.curve.rates[max(self.curve.rates)] - 1

    @property
    def inside(self) -> bool:
        """Return whether the interval holds what was measured."""
        return self.predicted.low <= self.curve.rates[max(self.curve.rates)] <= self.predicted.high


def largest(curve: Curve, per_node: int) -> Largest:
    """Return the prediction of a curve's most replicas from all fewer. per_node: replicas that share a node, 0 where
    all share one."""
    *fewer, most = sorted(curve.rates)
    given = results_of([curve], fewer)
    if per_node:
        given = replace(given, runs=given.runs.assign(nodes=np.ceil(given.runs["replicas"] / per_node)))
    found, = forecasts(given, (most,))
    each = found.predictions[0] if found.predictions else None
    return Largest(curve, each.examples_per_second if each else unknown(), each.refusal if each else found.note)


def table(found: Sequence[Largest]) -> str:
    """Return a Markdown table with a row for each curve, and a sentence on all that were predicted."""
    lines = ["| curve | measured on | predicted | off by | 95 % interval holds | width |", "|---|---|---|---|---|---|"]
    for one in found:
        *fewer, most = sorted(one.curve.rates)
        known = math.isfinite(one.error)
        cells = (f"{one.curve.group} {one.curve.name}".strip(), ", ".join(map(str, fewer)), str(most),
                 f"{one.error:+.1%}" if known else f"refused: {one.why.partition(';')[0]}",
                 ("yes" if one.inside else "no") if known and one.predicted.has_interval else "-",
                 f"{one.predicted.high / one.predicted.low:.2f}" if known and one.predicted.has_interval else "-")
        lines.append(f"| {' | '.join(cells)} |")
    errors = [abs(one.error) for one in found if math.isfinite(one.error)]
    if errors:
        lines += ["", f"{len(errors)} of {len(found)} curves are predicted, off by {np.median(errors):.1%} in the "
                  f"median and {max(errors):.1%} at most; {sum(one.inside for one in found)} lie within their "
                  "intervals."]
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    """Print the table of the curves of a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("curves", type=Path, help="a CSV table, one training a row")
    parser.add_argument("--per-node", type=int, default=0, help="replicas that share a node (default: all)")
    given = parser.parse_args(words)
    try:
        curves = [curve for curve in curves_of(given.curves) if len(curve.rates) >= FEWEST]
    except BatchscaleError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(table([largest(curve, given.per_node) for curve in curves]))
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
