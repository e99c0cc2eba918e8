"""The decision in three lines for each experiment, for a terminal: the batch, its rate, the accuracy it reaches."""

from __future__ import annotations

from collections.abc import Sequence

from .recommendation import Recommendation
from .sentences import spoken, trained


def answer_lines(recommended: Sequence[Recommendation]) -> list[str]:
    """Return, for each experiment, who was trained, then batch, rate and outcome with its interval, or why none."""
    return [line for one in recommended for line in _answer(one)]


def _answer(one: Recommendation) -> list[str]:
    who = f"{trained(one.optimizer, one.model, one.loss)} ({one.experiment}):"
    chosen = one.option
    if chosen is None:
        return [f"{who} nothing is recommended. {one.reason}"]
    replicas = "" if chosen.replicas in (None, 1) else f" over {chosen.replicas} replicas"
    rows = [("batch", f"{chosen.global_batch:,}{replicas}"), ("rate", f"{chosen.rate}, {spoken(chosen.rule)}"),
            (chosen.outcome.name, f"{chosen.outcome.level(chosen.test)} on the test data")]
    width = max(len(name) for name, _ in rows)
    caution = [f"  {one.caution}"] if one.caution else []
    return [who, *(f"  {name:{width}}  {value}" for name, value in rows), *caution]
