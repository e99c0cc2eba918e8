"""The cards for a terminal: the answer in a few lines, and a small chart of what each batch loses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ....benchmarks.text import number
from .card import Card, Lost
from .words import told

LEVELS = "▁▂▃▄▅▆▇█"
MARK = "*"  # at the batch and rule to take


def card_lines(cards: Sequence[Card]) -> list[str]:
    """Return the lines of all cards, with an empty one between two."""
    lines = [line for card in cards for line in ("", *_card(card))]
    return lines[1:]


def _card(card: Card) -> Iterator[str]:
    words = told(card)
    yield f"{words.trained} ({words.experiment}): {words.heading}"
    if words.reason and card.option is None:
        yield f"  {words.reason}"
    if words.settings:
        yield "  " + ", ".join(f"{name.lower()} {value}" for name, value in words.settings)
    width = max((len(name) for name, _ in words.facts), default=0)
    for name, value in words.facts:
        yield f"  {name:{width}}  {value}"
    yield from _chart(card)


def _chart(card: Card) -> Iterator[str]:
    """A row for each rule and a column for each batch: what is lost on the test data, with a bar; MARK at the batch to
    take."""
    batches = sorted({one.global_batch for one in card.lost})
    rules = [rule for rule in card.rules if any(one.rule == rule for one in card.lost)]
    if not batches:
        return
    most = max((one.lost.value for one in card.lost), default=0.0)
    found = {(one.rule, one.global_batch): one for one in card.lost}
    apart = {(rule, batch): what for rule, batch, what in card.apart}
    rows = [(rule, *(_cell(card, found.get((rule, batch)), apart.get((rule, batch), ""), most) for batch in batches))
            for rule in rules]
    unit = "points of test accuracy lost" if card.outcome.percent else "test loss added"
    table = [("batch", *(f"{batch:,}" for batch in batches)), *rows]
    widths = [max(len(row[at]) for row in table) for at in range(len(batches) + 1)]
    marked = f" ({MARK}: the one to take)" if card.own_loss is not None else ""
    yield f"  {unit} against batch {card.reference_batch:,}{marked}"
    for row in table:
        yield "    " + "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width
                                                             in zip(row[1:], widths[1:]))])


def _cell(card: Card, one: Lost | None, instead: str, most: float) -> str:
    if one is None:
        return instead or "-"
    value = one.lost.value * (100 if card.outcome.percent else 1)
    share = max(one.lost.value, 0.0) / most if most > 0 else 0.0
    bar = LEVELS[min(int(share * len(LEVELS)), len(LEVELS) - 1)]
    taken = card.option is not None and (one.rule, one.global_batch) == (card.option.rule, card.option.global_batch)
    return f"{MARK if taken else ''}{number(value, 2)} {bar}"
