"""What a card says: a heading that is the answer, the settings to use, and a line each on cost, time and certainty."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ....benchmarks.config.script import is_script
from ....benchmarks.schedules.rules import RULES
from ....benchmarks.text import counted
from ...decision.options import ALONE
from ...decision.sentences import spoken
from ...formatting import brief, written_seconds
from ...statistics.estimate import Estimate
from .card import Card, Lost

CAUTION = "Caution"
FASTER, SLOWER = 1.05, 0.95  # times: what lies between is no difference to speak of


@dataclass(frozen=True)
class Told:
    """A card in words. settings: what to train with, label and value. facts: label and sentence. warning: what speaks
    against it. command: what to run where something is open, with the lines that decide it."""

    experiment: str
    trained: str
    heading: str
    settings: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    reason: str
    command: str

    def to_json(self) -> dict[str, Any]:
        """Return the words for decision.json."""
        return {**vars(self), "settings": dict(self.settings), "facts": dict(self.facts)}


def told(card: Card) -> Told:
    """Return what the card says."""
    one, chosen = card.recommendation, card.option
    if chosen is None:
        reason = f"{one.reason[:1].upper()}{one.reason[1:]}"
        return Told(card.experiment, card.trained, f"Nothing can be recommended for {_who(card)}", (), (), reason,
                    _command(card))
    settings = (("Batch", f"{chosen.global_batch:,}"), ("Learning rate", chosen.rate),
                ("Replicas", "not known" if chosen.replicas is None else str(chosen.replicas)))
    facts = (_result(card), *_cost(card), *_saving(card), ("Replicas", _replicas(card)), _certainty(card),
             *([(_its_loop(card), card.published)] if card.published else []),
             *([(CAUTION, one.caution.removeprefix("Caution: "))] if one.caution else []))
    return Told(card.experiment, card.trained, heading(card), settings, facts, one.reason, _command(card))


def heading(card: Card) -> str:
    """Return the answer about the batch in one short sentence."""
    who, name = _who(card), card.outcome.name
    if not card.lost:
        return f"{who} was compared at one batch only"
    if card.kept:
        return f"{who} keeps its {name} to batch {max(card.kept):,}"
    smallest = min(one.global_batch for one in card.lost)
    if all(one.lost.low > 0 for one in card.lost if one.global_batch == smallest):
        return f"{who} loses {name} above batch {card.reference_batch:,}" if card.outcome.percent else \
            f"{who} ends with more loss above batch {card.reference_batch:,}"
    return f"Whether {who} can go above batch {card.reference_batch:,} is not decided"


def _who(card: Card) -> str:
    return spoken(card.recommendation.optimizer) or "the model"


def _result(card: Card) -> tuple[str, str]:
    assert card.option is not None
    return f"Test {card.outcome.name}", level(card, card.option.test)


def level(card: Card, value: Estimate) -> str:
    """Return an accuracy in per cent, or a loss, with its interval."""
    return brief(value.scaled(100), "%") if card.outcome.percent else brief(value)


def change(card: Card, lost: Estimate) -> str:
    """Return what is lost in words: `loses 0.52 points (0.20 to 0.84)`, or what is gained; nothing is gained or lost
    where the number is written as 0."""
    verb, size = (card.outcome.worse, lost) if lost.value >= 0 else (card.outcome.better, lost.scaled(-1))
    written = brief(size.scaled(100), "points") if card.outcome.percent else brief(size)
    if not written.partition(" ")[0].strip("0."):
        return f"no difference: {written}"
    return f"{verb} {written}"


def _cost(card: Card) -> Iterator[tuple[str, str]]:
    """Of the recommended batch, or where that is the reference of the next larger one under its best rule."""
    own = card.own_loss
    if own is not None:
        yield f"Against batch {card.reference_batch:,}", change(card, own)
    elif card.lost:
        best = _next(card)
        yield f"Batch {best.global_batch:,}", f"{change(card, best.lost)} {RULES[best.rule].article}" \
            if best.rule in RULES else change(card, best.lost)


def _next(card: Card) -> Lost:
    """The next larger batch, or the largest that is kept, under the rule that loses least there."""
    batch = max(card.kept) if card.kept else min(one.global_batch for one in card.lost)
    return min((one for one in card.lost if one.global_batch == batch), key=lambda one: one.lost.value)


def _saving(card: Card) -> Iterator[tuple[str, str]]:
    chosen = card.option
    assert chosen is not None
    if not math.isfinite(chosen.seconds.value):
        yield "Training time", "not recorded"
        return
    beside = "" if chosen.timed == ALONE else ", other runs beside it"
    yield "Training time", f"{written_seconds(chosen.seconds)}{beside}{_faster(card)}"
    if math.isfinite(chosen.money.value):
        base = card.reference
        instead = f" instead of {brief(base.money)}" if base is not None and base is not chosen \
            and math.isfinite(base.money.value) else ""
        yield "Money", f"{brief(chosen.money)}{instead}"


def _faster(card: Card) -> str:
    share = card.share_of_time
    if card.unsteady and card.reference is not card.option:
        return "; against the reference not known, as its launches vary too widely"
    if share is None:
        return ""
    times = share.under(1.0)
    ends = (times.low, times.high) if times.has_interval else (times.value, times.value)
    if ends[0] > FASTER:
        return f"; {brief(times)} times as fast"
    if ends[1] < SLOWER:
        return f"; takes {brief(share)} times as long"
    return f"; not shown to be faster ({brief(times)} times as fast)"


def _replicas(card: Card) -> str:
    return card.recommendation.replicas_reason.rstrip(".")


def _certainty(card: Card) -> tuple[str, str]:
    """At which level the choice was tested, in the words of what could be wrong."""
    chosen, of = card.option, card.outcome
    assert chosen is not None
    sure, seeds = f"{100 * (1 - of.alpha):g} %", counted(card.seeds, "seed")
    compared = {one.rule for one in card.lost}
    rules = f", over {counted(len(compared), 'rule')}" if len(compared) > 1 else ""
    if chosen.global_batch > card.reference_batch:
        lost = f"costs less than {of.within}"
        return "How sure", f"{sure} that it {lost} ({seeds}{rules})"
    if card.kept:
        return "How sure", f"{sure} that batch {max(card.kept):,} costs less than {of.within} too, at no gain in time"
    if not card.lost:
        return "How sure", f"no other batch was compared ({seeds})"
    return "How sure", f"no larger batch is shown at {sure} to cost less than {of.within} ({seeds}{rules})"


def _its_loop(card: Card) -> str:
    return "Its own loop" if is_script(card.recommendation.model) else "As published"


def _command(card: Card) -> str:
    """What to run next, and what it has more than this plan."""
    if not card.decide:
        return ""
    return f"To decide more: batchscale study next.toml, with {card.decide[0]}."
