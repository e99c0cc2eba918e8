"""The pictures of a card: what each batch loses, and how long training takes at the batch to take."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...decision.options import ALONE, Option
from ...figures.compact import Bar, draw_bars
from ...figures.drawing import Figure
from ...figures.lines import Axis, draw_lines, Panel, Series
from ...figures.theme import role
from ...formatting import written_seconds
from ...statistics.estimate import Estimate, without_interval
from ...study.arm_runs import arm_conditions
from .card import Card

HEIGHT = 2.0
MOST_BARS = 6


def pictures(name: str, card: Card) -> Iterator[Figure]:
    """Yield what each batch loses where several were compared, and training times where there are two or more; names
    begin with `name`."""
    if card.lost:
        yield _lost(f"{name}-lost", card)
    if len(card.timed) > 1:
        yield _times(f"{name}-times", card)


def _lost(name: str, card: Card) -> Figure:
    """Every rule's line begins at the reference batch, where by definition nothing is lost."""
    of, factor = card.outcome, 100.0 if card.outcome.percent else 1.0
    unit = "points of test accuracy" if of.percent else "test loss"
    title = f"{card.trained}: {'accuracy lost' if of.percent else 'loss added'} against batch {card.reference_batch:,}"
    start = (float(card.reference_batch), without_interval(0.0, card.seeds))
    series = tuple(Series(rule, role(rule), (start, *_points(card, rule, factor)), runs=_runs(card, rule))
                   for rule in card.rules if any(one.rule == rule for one in card.lost))
    batches = tuple(sorted({float(card.reference_batch), *(float(one.global_batch) for one in card.lost)}))
    panel = Panel(name, title, Axis("batch", 2, batches), Axis(f"{unit} {'lost' if of.percent else 'added'}"), series,
                  lost=tuple((float(batch), role(rule), "") for rule, batch, _ in card.apart if rule in card.rules),
                  within=of.margin * factor, chosen=_chosen(card, factor), height=HEIGHT)
    caption = f"Shaded: less than {of.within}, which counts as the same."
    return Figure(name, title, draw_lines(panel), caption)


def _points(card: Card, rule: str, factor: float) -> tuple[tuple[float, Estimate], ...]:
    return tuple((float(one.global_batch), one.lost.scaled(factor)) for one in card.lost if one.rule == rule)


def _runs(card: Card, rule: str) -> dict[float, str]:
    batches = (card.reference_batch, *(one.global_batch for one in card.lost if one.rule == rule))
    return {float(batch): arm_conditions(card.recommendation.experiment, rule, batch, card.reference_batch)
            for batch in batches}


def _chosen(card: Card, factor: float) -> tuple[float, float, str] | None:
    if card.option is None:
        return None
    own = card.own_loss
    at = 0.0 if own is None else own.value * factor
    return (float(card.option.global_batch), at, f"{card.option.global_batch:,}") if math.isfinite(at) else None


def _times(name: str, card: Card) -> Figure:
    title = f"{card.trained}: training time"
    several = len({one.replicas for one in card.timed}) > 1
    bars = [Bar(_label(one, several), one.seconds, written_seconds(one.seconds), one is _taken(card))
            for one in card.timed[:MOST_BARS]]
    how = "alone on the machine" if card.timed[0].timed == ALONE else "other runs beside it"
    return Figure(name, title, draw_bars(name, title, "seconds", bars), f"Training time, {how}.")


def _taken(card: Card) -> Option | None:
    """The bar of the recommended option: its own, or the one of as many replicas where its own was timed another
    way."""
    chosen = card.option
    assert chosen is not None
    same = [one for one in card.timed if (one.global_batch, one.replicas) == (chosen.global_batch, chosen.replicas)]
    return next((one for one in same if one.placement == chosen.placement), next(iter(same), None))


def _label(one: Option, several: bool) -> str:
    batch = f"batch {one.global_batch:,}"
    if not several:
        return batch
    strategy = one.placement.partition("-")[0]
    return f"{one.replicas or '?'} × {strategy}" if several else batch
