"""Predictions as plain text for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ...benchmarks.text import duration, number, percent, UNKNOWN
from ..statistics.estimate import Estimate
from .batches import BatchForecast
from .forecast import Forecast, Prediction
from .network import Network

HEADER = ("gpus", "scaling", "batch", "all-reduce", "measured", "examples/s", "95 % interval", "efficiency",
          "95 % interval", "steps", "time", "95 % interval", "cost")


def text(found: Sequence[Forecast], network: Network | None, by_batch: Sequence[BatchForecast] = ()) -> str:
    """Return a table per model and strategy with its held-out error and each warning once, as plain text.

    network: that all-reduces were computed from, if any; by_batch: forecasts whose statements follow.
    """
    lines = list(network.statements) if network else []
    for one in found:
        lines += ["", f"{one.name}: measured on {', '.join(map(str, one.measured))} replicas", *_body(one)]
    lines += ["", *(one.statement for one in by_batch if one.statement)]
    return "\n".join(lines).strip("\n")


def _body(one: Forecast) -> Iterator[str]:
    if one.predictions:
        yield from _aligned([HEADER, *(_cells(each) for each in one.predictions)])
        if one.laws:
            yield f"Laws that these times cannot tell apart: {'; '.join(one.laws)}. Intervals span them all."
    if one.public:
        yield one.public
    yield from _refusals(one)
    trained = [each.trained for each in one.predicted if each.trained]
    if trained:
        yield f"Steps, time and cost are to the target of {trained[0]}."
    elif any(math.isfinite(each.money_per_million.value) for each in one.predicted):
        yield "Costs are of a million examples: no training to a target with this model and optimizer."
    yield from _held_out(one) if one.laws else ()
    if one.note:
        yield one.note
    warnings = dict.fromkeys(part for each in one.predictions for part in each.warnings)
    yield from (f"warning: {warning}." for warning in warnings)


def _refusals(one: Forecast) -> Iterator[str]:
    """Each reason once, with the numbers of replicas that it keeps from being predicted."""
    reasons: dict[tuple[str, str], list[int]] = {}
    ways = {each.synchronization for each in one.predictions}
    for each in one.predictions:
        if each.refusal:
            how = f" {each.synchronization}" if len(ways) > 1 else ""
            reasons.setdefault((how, each.refusal), []).append(each.replicas)
    for (how, reason), counts in reasons.items():
        yield f"not predicted{how} on {', '.join(map(str, dict.fromkeys(counts)))}: {reason}."


def _held_out(one: Forecast) -> Iterator[str]:
    known = [error for error in one.held_out if math.isfinite(error.relative_error.value)]
    if not known:
        yield f"Held-out error: not known; {one.unchecked or 'no law is determined there without them'}."
        return
    worst = max(known, key=lambda error: abs(error.relative_error.value))
    inside = sum(error.within for error in known)
    wider = "" if inside == len(known) else "; intervals beyond are as much wider as those missed"
    yield (f"Held-out error: {one.measured[-1]} replicas predicted from fewer are off by "
           f"{percent(worst.relative_error.value, 1, signed=True)} at most; {inside} of {len(known)} lie within "
           f"their intervals{wider}.")


def _cells(one: Prediction) -> tuple[str, ...]:
    money = one.money if one.trained else one.money_per_million
    how = f"{one.synchronization}, public curves" if one.public_curves else one.synchronization
    return (str(one.replicas), one.scaling, f"{one.global_batch:,}", how, _value(one.measured),
            _value(one.examples_per_second), _interval(one.examples_per_second), percent(one.efficiency.value)
            if math.isfinite(one.efficiency.value) else UNKNOWN, _shares(one.efficiency), _value(one.steps),
            duration(one.seconds_to_target.value), _times(one.seconds_to_target), _value(money))


def _shares(of: Estimate) -> str:
    return f"{percent(of.low)} to {percent(of.high)}" if of.has_interval else "-"


def _value(of: Estimate) -> str:
    return number(of.value) if math.isfinite(of.value) else "-"


def _interval(of: Estimate) -> str:
    return f"{number(of.low)} to {number(of.high)}" if of.has_interval else "-"


def _times(of: Estimate) -> str:
    return f"{duration(of.low)} to {duration(of.high)}" if of.has_interval else "-"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
