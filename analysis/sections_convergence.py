"""Imported runs: epochs and steps to the target against batch, and where they come from."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from .content import Figure, Section, counted, estimated, number, table
from .convergence import Convergence
from .critical_batch import TOLERATED
from .estimate import without_interval
from .groups import MOST_PANELS
from .imported import of
from .plots import OTHERS, STRATEGIES
from .plots_lines import Axis, Panel, Series, draw_lines
from .table import Results

TITLE = "Training to the target against batch"
CURVE_POINTS = 40
MOST_TICKS = 4


def sections(results: Results, found: Sequence[Convergence]) -> tuple[Section, ...]:
    """What stands in the place of the sections about measurements of our own."""
    return convergence(found), _source(results)


def convergence(found: Sequence[Convergence]) -> Section:
    """Olympic means per batch, the law through them and the critical batch, per benchmark."""
    text = ["Each reference point is a batch with settings chosen for it. The olympic mean leaves out its best and its "
            "worst run. The law is S(B) = S_min (1 + B_crit / B) steps, so E(B) = E_min (1 + B / B_crit) "
            f"{_units(found)}: least squares on the log of the means, unweighted, one mean per point.",
            *(sentence for one in found for sentence in _sentences(one))]
    figures = [figure for index, one in enumerate(found[:MOST_PANELS // 2]) for figure in _figures(f"c{index}", one)]
    unit = _units(found)
    tables = table(("benchmark", "critical batch, examples", "fewest steps, S_min", f"fewest {unit}, E_min",
                    "perfect scaling ends", "largest useful batch"), [_law_row(one) for one in found],
                   "95 % intervals; n counts reference points. The last two columns are measured batches: the largest "
                   f"within {TOLERATED:g} times the fewest {unit}, and the smallest within {TOLERATED:g} times the "
                   "fewest steps.", (4, 5))
    tables += table(("benchmark", "batch", f"{unit}, olympic mean", "least to most", "steps", "optimizer", "rate",
                     "platform", "point"), [row for one in found for row in _point_rows(one)],
                    "Olympic mean with its 95 % interval (winsorized variance; none where all runs that count are "
                    "equal); n counts all runs. Steps: of the mean.", (1, 6), longest=80)
    return Section("convergence", TITLE, tuple(text), tuple(figures), tables,
                   tuple(warning for one in found for warning in one.warnings))


def _units(found: Sequence[Convergence]) -> str:
    return " or ".join(dict.fromkeys(one.unit for one in found))


def _sentences(one: Convergence) -> Iterator[str]:
    if one.law.note:
        yield f"{one.experiment}: {one.law.note}."
    if not math.isfinite(one.examples_each):
        yield (f"{one.experiment}: steps are not known, because the file does not say how many examples an epoch has; "
               "import it again with --train-examples N. The critical batch does not depend on it.")
    if one.unit == "samples or tokens":
        yield (f"{one.experiment}: what the file calls epochs is too many for epochs. It counts samples or tokens, and "
               "does not say which.")


def _law_row(one: Convergence) -> tuple[str, ...]:
    perfect, useful = (f"{batch:,}" if batch is not None else "" for batch in
                       (one.useful.perfect_scaling_end, one.useful.largest_useful))
    return (one.experiment, estimated(one.critical_batch), estimated(one.minimum_steps), estimated(one.minimum_amount),
            perfect, useful)


def _point_rows(one: Convergence) -> Iterator[tuple[str, ...]]:
    for point in one.points:
        yield (one.experiment, f"{point.global_batch:,}", estimated(point.amount, digits=5),
               f"{point.fewest:,g} to {point.most:,g}", number(point.steps.value, 4), point.optimizer,
               number(point.learning_rate) if math.isfinite(point.learning_rate) else "", point.platform, point.source)


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
    panel = Panel(name, title, Axis("global batch, examples", 2, _round(batches)), Axis(f"{unit} to the target", log),
                  (Series("law", STRATEGIES["single"], law, band=True), Series("means", OTHERS[0], points, line=False)),
                  marks=((batch, "B_crit"),) if marked else ())
    runs = sum(point.amount.n for point in one.points)
    where = f" B_crit: the critical batch, {estimated(one.critical_batch)}." if marked else ""
    return Figure(name, title, draw_lines(panel), f"Olympic means with 95 % intervals, {counted(runs, 'run')} at "
                  f"{counted(len(one.points), 'reference point')}. Dotted: the law fitted to the means.{where}")


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


def _source(results: Results) -> Section:
    given: Mapping[str, object] = of(results.plan) or {}
    sizes = given.get("train_examples")
    known = {str(name): size for name, size in sizes.items() if isinstance(size, int)} \
        if isinstance(sizes, Mapping) else {}
    text = [f"Imported from {given.get('file')} ({given.get('format')}), SHA-256 {given.get('sha256')}. The values are "
            "kept as the file has them; nothing was run here."]
    text += [f"{size:,} training examples in an epoch of {name}: from {given.get('train_examples_from')}, not from the "
             "file." for name, size in known.items()]
    file = shlex.quote(str(given.get("file")))
    return Section("provenance", "Where the records come from", tuple(text),
                   commands=(f"batchscale import {given.get('format')} {file} --to RESULTS",
                             f"batchscale report RESULTS/{results.plan.get('name')}"))
