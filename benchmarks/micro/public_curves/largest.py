"""How far off predictions are on published tables of many GPUs: the most of each curve, from fewer counts.

    python -m batchscale.benchmarks.micro.public_curves.largest
    python -m batchscale.benchmarks.micro.public_curves.largest TABLE.csv --per-node 8

The first reads the tables beside this module, the second one of one's own, as `held_out` does; the column `per_node` or
--per-node says how many replicas share a node. Twice it predicts what was measured on the most replicas of each curve
of three counts or more: from all fewer, and from one node and the first count beyond it (from the first two counts,
where none is on one node). Rules of public curves are fitted to the other tables, or are those that come with the
package where there are too few tables, or with --shipped. `--each` adds a row for each curve; `--write` fits the rules
that come with the package.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from msgspec import json

from ....analysis.laws.public.nodes import FILE, PublicNodes, shipped_nodes
from ....analysis.laws.public.curves import PublicCurves, shipped
from ....analysis.prediction.replicas import forecasts
from ....analysis.statistics.estimate import Estimate, unknown
from ...errors import BatchscaleError, EXIT_OK, RecordError
from .fitting import short
from .reading import Curve, curves_of, results_of
from .several_nodes import rules_of

TABLES = Path(__file__).parent / "several_nodes.csv"
WHAT = "training on up to 1,024 GPUs of several nodes"
SOURCE = ("mosaicml/llm-foundry 8c8dd48, InternLM/InternLM 20fe5ac, nanotron/ultrascale-playbook, Oneflow-Inc/DLPerf "
          "c89430b and TensorFlow's page of benchmarks, Apache-2.0; facts of e-bug/distributed-tensorflow-benchmarks "
          "a0d3d61")
FEWEST = 3
ALL, FIRST = "all fewer counts", "one node and the first count beyond"


@dataclass(frozen=True)
class Largest:
    """One curve, the counts that are given, its prediction for the most replicas in examples per second, and why there
    is none."""

    curve: Curve
    given: tuple[int, ...]
    predicted: Estimate
    why: str

    @property
    def error(self) -> float:
        """Return predicted over measured, minus 1; NaN where there is no prediction."""
        return self.predicted.value / self.curve.rates[max(self.curve.rates)] - 1

    @property
    def known(self) -> bool:
        """Return whether there is a prediction."""
        return math.isfinite(self.error)

    @property
    def inside(self) -> bool:
        """Return whether the interval holds what was measured."""
        return self.predicted.low <= self.curve.rates[max(self.curve.rates)] <= self.predicted.high


def given_of(curve: Curve, first: bool) -> tuple[int, ...]:
    """Return the counts that a prediction of the most replicas starts from."""
    *fewer, _ = sorted(curve.rates)
    inside = [count for count in fewer if curve.nodes(count) == 1]
    return tuple(fewer[:max(2, len(inside) + 1)] if first and curve.per_node else fewer)


def largest(curve: Curve, curves: PublicCurves | None = None, first: bool = False) -> Largest:
    """Return the prediction of a curve's most replicas from fewer."""
    given = given_of(curve, first)
    found, = forecasts(results_of([curve], given), (max(curve.rates),), curves=curves)
    each = found.predictions[0] if found.predictions else None
    return Largest(curve, given, each.examples_per_second if each else unknown(), each.refusal if each else found.note)


def rules(curves: Sequence[Curve], ours: bool) -> Mapping[str, PublicCurves]:
    """Return what predicts each table: rules of the other tables; those of the package where `ours`, and where tables
    are too few."""
    found: dict[str, PublicCurves] = {}
    for table in dict.fromkeys(curve.group for curve in curves):
        others = [curve for curve in curves if curve.group != table]
        try:
            nodes: PublicNodes = shipped_nodes() if ours else rules_of(others, judged=False)
        except RecordError:
            nodes = shipped_nodes()
        found[table] = replaced(shipped(), nodes)
    return found


def replaced(curves: PublicCurves, nodes: PublicNodes) -> PublicCurves:
    """Return the same rules of one machine's GPUs with others of several nodes."""
    return PublicCurves(source=curves.source, licence=curves.licence, what=curves.what, rules=curves.rules, nodes=nodes)


HEADER = ("table", "most GPUs", "curves", "predicted", "median error", "worst", "95 % intervals hold", "median width")


def by_table(found: Sequence[Largest]) -> list[str]:
    """Return a Markdown table with a row for each published table and one for all."""
    tables = list(dict.fromkeys(one.curve.group for one in found))
    lines = [_row(HEADER), _row(["---"] * 2 + ["---:"] * (len(HEADER) - 2))]
    each = {table: [one for one in found if one.curve.group == table] for table in tables}
    medians = [np.median([abs(one.error) for one in own if one.known]) for own in each.values()
               if any(one.known for one in own)]
    lines += [_row((table, *_summary(own))) for table, own in each.items()]
    said = (f"The median of the tables' medians is {np.median(medians):.1%}; {sum(m < 0.1 for m in medians)} of "
            f"{len(tables)} tables are off by less than 10 % in the median.") if medians else ""
    return [*lines, _row(("all", *_summary(found))), "", said]


def _summary(found: Sequence[Largest]) -> tuple[str, ...]:
    known = [one for one in found if one.known]
    errors = [abs(one.error) for one in known]
    spans = [one for one in known if one.predicted.has_interval]
    return (str(max(max(one.curve.rates) for one in found)), str(len(found)), str(len(known)),
            f"{np.median(errors):.1%}" if errors else "-", f"{max(errors):.1%}" if errors else "-",
            f"{sum(one.inside for one in spans)} of {len(spans)}" if spans else "-",
            f"{np.median([one.predicted.high / one.predicted.low for one in spans]):.2f}" if spans else "-")


def by_curve(found: Sequence[Largest]) -> list[str]:
    """Return a Markdown table with a row for each curve."""
    lines = [_row(("curve", "measured on", "predicted", "off by", "95 % interval holds", "width")), _row(["---"] * 6)]
    for one in found:
        span = one.known and one.predicted.has_interval
        lines.append(_row((
            f"{one.curve.group} {one.curve.name}".strip(), ", ".join(map(str, one.given)), str(max(one.curve.rates)),
            f"{one.error:+.1%}" if one.known else f"refused: {one.why.partition(';')[0]}",
            ("yes" if one.inside else "no") if span else "-",
            f"{one.predicted.high / one.predicted.low:.2f}" if span else "-")))
    return lines


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main(words: Sequence[str] | None = None) -> int:
    """Print the tables of the curves of a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("curves", type=Path, nargs="?", default=TABLES, help="a CSV table, one training a row (those "
                        "beside this module)")
    parser.add_argument("--per-node", type=int, default=0, help="replicas that share a node, where no column says it "
                        "(all)")
    parser.add_argument("--shipped", action="store_true", help="by the rules that come with the package")
    parser.add_argument("--each", action="store_true", help="a row for each curve too")
    parser.add_argument("--write", action="store_true", help="fit the rules that come with the package")
    given = parser.parse_args(words)
    try:
        curves = [curve if curve.per_node else replace(curve, per_node=given.per_node)
                  for curve in curves_of(given.curves) if len(curve.rates) >= FEWEST]
        if given.write:
            write(curves, FILE)
        known = rules(curves, given.shipped)
    except BatchscaleError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    for title, first in ((ALL, False), (FIRST, True)):
        found = [largest(curve, known[curve.group], first) for curve in curves]
        print("\n".join([f"From {title}:", "", *by_table(found), "", *(by_curve(found) if given.each else ()), ""]),
              flush=True)
    return EXIT_OK


def write(curves: Sequence[Curve], path: Path) -> None:
    """Write the rules of these curves."""
    found = rules_of(curves, WHAT, SOURCE)
    short_rules = PublicNodes(what=WHAT, source=SOURCE, rules=tuple(short(rule) for rule in found.rules))
    path.write_bytes(json.format(json.encode(short_rules), indent=1) + b"\n")


if __name__ == "__main__":
    sys.exit(main())
