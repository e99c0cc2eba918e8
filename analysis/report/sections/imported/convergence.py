"""Imported runs: epochs and steps to the target against batch, and where they come from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from .....benchmarks.text import counted, number
from ....figures.drawing import Figure
from ....figures.lines import Axis, draw_lines, Panel, Series
from ....figures.theme import OTHERS, STRATEGIES
from ....formatting import estimated, table
from ....importers.mlperf.units import UNKNOWN
from ....laws.critical_batch import TOLERATED
from ....statistics.estimate import without_interval
from ....study.convergence import Convergence, TargetPoint
from ....study.groups import MOST_PANELS
from ...blocks import Section
from ...builder import section
from ...findings import Findings

CURVE_POINTS = 40
MOST_TICKS = 4


@section("convergence", "Training to the target against batch", origin="foreign")
def build(findings: Findings) -> Section | None:
    """Return one number per batch, the law through them and the critical batch, per benchmark."""
    found = findings.study.convergences
    if not found:
        return None
    text = [*_methods(found), "The law is S(B) = S_min (1 + B_crit / B) steps, so E(B) = E_min (1 + B / B_crit) "
            f"{_units(found)}: least squares on the log, unweighted, one value per point.",
            *(sentence for one in found for sentence in _sentences(one))]
    figures = [figure for index, one in enumerate(found[:MOST_PANELS // 2]) for figure in _figures(f"c{index}", one)]
    unit = _units(found)
    tables = table(("benchmark", f"critical batch, {_examples(found)}", "fewest steps, S_min", f"fewest {unit}, E_min",
                    "perfect scaling ends", "largest useful batch"), [_law_row(one) for one in found],
                   "95 % intervals; n counts reference points. The last two columns are measured batches: the largest "
                   f"within {TOLERATED:g} times the fewest {unit}, and the smallest within {TOLERATED:g} times the "
                   "fewest steps.", (4, 5))
    each = _each(found)
    tables += table(("benchmark", "batch", f"{unit}, {each}", "least to most", "steps", "optimizer", "rate",
                     "platform", "point"), [row for one in found for row in _point_rows(one)],
                    "Of an olympic mean with its 95 % interval (winsorized variance; none where all runs that count "
                    f"are equal); n counts all runs. Steps: of the {each}.", (1, 6), longest=80)
    return Section(tuple(text), tuple(figures), tables,
                   tuple(warning for one in found for warning in one.warnings))


def _methods(found: Sequence[Convergence]) -> Iterator[str]:
    if not all(one.tuned for one in found):
        yield ("Each reference point is a batch with settings chosen for it. The olympic mean leaves out its best and "
               "its worst run; one run that never passed the target is the worst.")
    if any(one.tuned for one in found):
        yield ("Each reference point is a batch at which many settings were tried. Its steps are those of the trial "
               "that passed the target first: no mean, so without an interval, and the fewer trials there are the "
               "worse it is.")


def _each(found: Sequence[Convergence]) -> str:
    return " or ".join(dict.fromkeys(one.each for one in found))


def _units(found: Sequence[Convergence]) -> str:
    return " or ".join(dict.fromkeys(one.unit for one in found))


def _examples(found: Sequence[Convergence]) -> str:
    return " or ".join(dict.fromkeys(one.example for one in found))


def _sentences(one: Convergence) -> Iterator[str]:
    if one.law.note:
        yield f"{one.experiment}: {one.law.note}."
    if not math.isfinite(one.examples_each):
        yield (f"{one.experiment}: steps are not known, because the file does not say how many examples an epoch has; "
               "import it again with --train-examples N. The critical batch does not depend on it.")
    if one.unit == UNKNOWN:
        yield (f"{one.experiment}: what the file calls epochs may be samples or tokens for all it says, so they are "
               "units here.")


def _law_row(one: Convergence) -> tuple[str, ...]:
    perfect, useful = (f"{batch:,}" if batch is not None else "" for batch in
                       (one.useful.perfect_scaling_end, one.useful.largest_useful))
    return (one.experiment, estimated(one.critical_batch), estimated(one.minimum_steps), estimated(one.minimum_amount),
            perfect, useful)


def _point_rows(one: Convergence) -> Iterator[tuple[str, ...]]:
    for point in one.points:
        yield (one.experiment, f"{point.global_batch:,}", estimated(point.amount, digits=5),
               _range(point), number(point.steps.value, 4), point.optimizer,
               number(point.learning_rate) if math.isfinite(point.learning_rate) else "", point.platform, point.source)


def _range(point: TargetPoint) -> str:
    parts = [f"{point.fewest:,g} to {point.most:,g}"] if math.isfinite(point.fewest) else []
    return "; ".join([*parts, *([f"{point.never} never"] if point.never else [])])


def _figures(name: str, one: Convergence) -> Iterator[Figure]:
    """Epochs, and steps where the size of an epoch is known, each with the law."""
    if not any(math.isfinite(point.amount.value) for point in one.points):
        return
    yield _panel(f"{name}-epochs", one, one.unit, 1.0, 10)
    if math.isfinite(one.examples_each):
        yield _panel(f"{name}-steps", one, "steps", one.examples_each, 10)


def _panel(name: str, one: Convergence, unit: str, size: float, log: int) -> Figure:
    """size: examples of an epoch, by which steps are epochs over batch; 1 for the epochs themselves."""
    steps = unit == "steps"
    title = f"{one.experiment}: {unit} to the target against global batch"
    batches = tuple(float(point.global_batch) for point in one.points)
    points = tuple((float(point.global_batch), point.steps if steps else point.amount) for point in one.points)
    places = _places(one, batches)
    law = tuple((x, without_interval(one.law_amount(x) * (size / x if steps else 1), 0)) for x in places)
    batch = one.critical_batch.value
    marked = min(batches) < batch < max(batches)
    panel = Panel(name, title, Axis(f"global batch, {one.example}", 2, _round(batches)),
                  Axis(f"{unit} to the target", log),
                  (Series("law", STRATEGIES["single"], law, band=True),
                   Series("best" if one.tuned else "means", OTHERS[0], points, line=False)),
                  marks=((batch, "B_crit"),) if marked else ())
    runs = sum(point.amount.n for point in one.points)
    where = f" B_crit: the critical batch, {estimated(one.critical_batch)}." if marked else ""
    what = "Best of the trials" if one.tuned else "Olympic means with 95 % intervals"
    return Figure(name, title, draw_lines(panel), f"{what}, {counted(runs, 'run')} at "
                  f"{counted(len(one.points), 'reference point')}. Dotted: the law fitted to them.{where}")


def _places(one: Convergence, batches: Sequence[float]) -> list[float]:
    """Where the law is drawn: nowhere without a fit."""
    if not math.isfinite(one.law.rms_log_residual):
        return []
    return [float(x) for x in np.geomspace(min(batches), max(batches), CURVE_POINTS)]


def _round(batches: Sequence[float]) -> tuple[float, ...]:
    """Few powers of two for the axis: the measured batches lie too close to be written."""
    first, last = math.ceil(math.log2(min(batches))), math.floor(math.log2(max(batches)))
    step = max(1, math.ceil((last - first) / MOST_TICKS))
    return tuple(2.0 ** power for power in range(first, last + 1, step)) or tuple(batches[:1])
