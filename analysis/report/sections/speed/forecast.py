"""Throughput at replica counts and batches that were not measured, from the laws fitted to those that were."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from .....benchmarks.text import listed, percent
from ....figures.drawing import Figure
from ....figures.lines import Axis, draw_lines, Panel, Series
from ....figures.theme import OTHERS, STRATEGIES, role
from ....formatting import MARKERS, estimated, percentage, Table, table, what_ran
from ....prediction.batches import BatchForecast
from ....prediction.forecast import Forecast, Prediction
from ....prediction.replicas import MEASURED
from ....statistics.estimate import Estimate, without_interval
from ....study.groups import MOST_PANELS, mean_of
from ....study.timing.scaling import strategy_names
from ...blocks import Section
from ...builder import section, TIMING_LINES
from ...findings import Findings


@section("forecast", "At scales that were not measured", needs=TIMING_LINES)
def build(findings: Findings) -> Section | None:
    """Return up to 8 times the most replicas measured, with interval and error at the largest count held out."""
    runs, found, by_batch = findings.study.timing, findings.forecasts, findings.batch_forecasts
    if not found:
        return None
    text = ["Fitted to the step times of all launches: gradient and synchronization, which overlap, and compute that "
            "slows with replicas where the times show it. Intervals span every law that the times cannot tell apart, "
            "hold what was measured, and have room for what the laws missed of the most replicas. `batchscale predict "
            "RESULTS --gpus 16,64 --network ALPHA,BETA` asks for other counts, a slower link and a price; a file of "
            "nccl-tests or OSU may stand in the place of ALPHA,BETA.",
            *dict.fromkeys(f"{one.name}: {one.note}" for one in found if one.note), *_errors(found), *_refused(found),
            *dict.fromkeys(f"{one.name}: {one.public}" for one in found if one.public)]
    text += [one.statement for one in by_batch if one.statement]
    figures = [figure for index, one in enumerate(found[:MOST_PANELS])
               for figure in _figures(f"f{index}", one, runs)]
    figures += [_batch_panel(f"b{index}", one) for index, one in enumerate(by_batch[:MOST_PANELS])]
    return Section(tuple(text), tuple(figures), _table(found), tuple(_warnings(found)))


def _errors(found: Sequence[Forecast]) -> Iterator[str]:
    for one in found:
        known = [error for error in one.held_out if math.isfinite(error.relative_error.value)]
        if known:
            worst = max(known, key=lambda error: abs(error.relative_error.value))
            inside = sum(error.within for error in known)
            yield (f"{one.name}: fitted without {one.measured[-1]} replicas, the laws are off by "
                   f"{percent(worst.relative_error.value, 1, signed=True)} at most there; {inside} of {len(known)} "
                   "steps lie within their intervals.")


def _refused(found: Sequence[Forecast]) -> Iterator[str]:
    """Why each is not predicted where it is not, once for a reason."""
    for one in found:
        for reason in dict.fromkeys(each.refusal for each in one.predictions if each.refusal):
            counts = dict.fromkeys(str(each.replicas) for each in one.predictions if each.refusal == reason)
            yield f"{one.name}: not predicted on {listed(list(counts))} replicas: {reason}."


def _beyond(one: Forecast) -> list[Prediction]:
    return [each for each in one.predicted if each.replicas > one.measured[-1] and each.synchronization == MEASURED]


def _figures(name: str, one: Forecast, timing: pd.DataFrame) -> Iterator[Figure]:
    """Measured and predicted throughput against replicas, at the batch held fixed."""
    if not _beyond(one):
        return
    rows = timing[(strategy_names(timing) == one.strategy) & (timing["model"] == one.model)
                  & (timing["optimizer"] == one.optimizer)]
    for scaling in dict.fromkeys(each.scaling for each in _beyond(one)):
        own = [each for each in one.predicted if each.scaling == scaling and each.synchronization == MEASURED]
        held = _held(own[-1])
        line = [each for each in own if _held(each) == held]
        column = "replica_batch" if scaling == "weak" else "global_batch"
        timed = rows[(rows["scaling"] == scaling) & (rows[column] == held)]
        points = tuple((float(count), mean_of(launches, "examples_per_second"))
                       for count, launches in timed.groupby("replicas"))
        yield _panel(f"{name}-{scaling}", one, scaling, held, line, points)


def _held(one: Prediction) -> int:
    return int(one.replica_batch) if one.scaling == "weak" else one.global_batch


def _panel(name: str, one: Forecast, scaling: str, held: int, line: Sequence[Prediction],
           points: Sequence[tuple[float, Estimate]]) -> Figure:
    title = f"{one.strategy}: examples per second against replicas, {scaling} scaling"
    predicted = tuple((float(each.replicas), each.examples_per_second) for each in line)
    ideal = tuple((float(each.replicas), without_interval(each.replicas * line[0].examples_per_second.value
                                                          / line[0].replicas, 0)) for each in line)
    panel = Panel(name, title, Axis("replicas", 2, tuple(float(each.replicas) for each in line)),
                  Axis("examples per second", 10),
                  (Series("ideal", STRATEGIES["single"], ideal, marker=""),
                   Series("predicted", role(one.strategy), predicted, marker="", band=True),
                   Series("measured", role(one.strategy), tuple(points), line=False)))
    return Figure(name, title, draw_lines(panel), f"{what_ran(one.optimizer, one.model)}, batch {held:,} "
                  f"{'per replica' if scaling == 'weak' else 'in all'}. Band: 95 % interval of the prediction; "
                  f"measured up to {one.measured[-1]} replicas.")


def _batch_panel(name: str, one: BatchForecast) -> Figure:
    title = f"{one.strategy}: examples per second against batch, predicted from smaller ones"
    series = []
    for index, count in enumerate(one.predicted):
        colour = OTHERS[index % len(OTHERS)]
        series += [Series(f"{count}, laws", colour, one.predicted[count], marker="", band=True),
                   Series(f"{count}", colour, one.measured[count], MARKERS[index % len(MARKERS)], line=False)]
    batches = sorted({batch for line in one.predicted.values() for batch, _ in line})
    panel = Panel(name, title, Axis("global batch, examples", 2, tuple(batches)), Axis("examples per second", 10),
                  tuple(series))
    return Figure(name, title, draw_lines(panel),
                  f"{what_ran(one.optimizer, one.model)}; labels: replicas. Points: measured, 95 % t intervals over "
                  "launches. Lines and bands: the laws' predictions and 95 % intervals, fitted without "
                  f"{one.largest:,} examples per replica and drawn up to four times the largest batch.")


def _table(found: Sequence[Forecast]) -> tuple[Table, ...]:
    rows = [(one.name, each.scaling, f"{_held(each):,}", str(each.replicas), estimated(each.examples_per_second),
             percentage(each.efficiency), listed(each.warnings)) for one in found for each in _beyond(one)]
    return table(("what", "scaling", "fixed batch", "replicas", "examples per second", "efficiency", "doubt"), rows,
                 "Predicted, with 95 % intervals; efficiency against one replica, or the fewest measured, by the same "
                 "laws, the error of both in its interval.", (2, 3), "Numbers")


def _warnings(found: Sequence[Forecast]) -> Iterator[str]:
    for one in found:
        if not one.held_out and any(not each.public_curves for each in _beyond(one)):
            yield (f"{one.name}: predictions beyond {one.measured[-1]} replicas are checked by nothing: "
                   f"{one.unchecked}.")
