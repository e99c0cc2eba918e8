"""The decision in full: every option by its time, why one is recommended, and what to run next."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from ....decision.decision import Decision
from ....decision.options import ALONE, Option
from ....decision.sentences import trained
from ....figures.drawing import Figure
from ....figures.scatter import Dot, draw_scatter
from ....figures.theme import OTHERS
from ....formatting import brief, Table, table, written_seconds
from ...blocks import Section
from ...builder import section
from ...findings import Findings

HEADER = ("trained", "batch", "rule", "rate", "on", "test result", "training time", "device time", "money", "verdict")
FLUSH_RIGHT = ("batch", "rate")
DOMINATED = "dominated"


@section("decision", "The decision")
def build(findings: Findings) -> Section | None:
    """Return all options in a picture and a table, and the plan to run next; None without either."""
    found = findings.decided
    names = {one.experiment: trained(one.optimizer, one.model, one.loss) for one in found.recommendations}
    tables = (*found.overview, *_reasons(found), *_options(found, names))
    if not tables and not found.next_plan:
        return None
    return Section(found.topics.get("deadline", ()), tuple(_pictures(found, names)), tables,
                   listing=found.next_plan, listing_title="The plan to run next")


def _reasons(found: Decision) -> tuple[Table, ...]:
    rows = [(trained(one.optimizer, one.model, one.loss), f"batch {one.option.global_batch:,}, {one.option.rate}, "
             f"{one.option.rule}, on {one.option.placement}" if one.option else "nothing",
             f"{one.reason[:1].upper()}{one.reason[1:]}", one.valid_for) for one in found.recommendations]
    return table(("trained", "recommended", "why", "holds for"), rows, fold="Why")


def _options(found: Decision, names: Mapping[str, str]) -> tuple[Table, ...]:
    """One row per option: by experiment, those that are not worse first, the fastest first."""
    order = list(names)
    taken = [one.option for one in found.recommendations]
    rows = [_row(one, names[one.experiment], one in taken) for one in sorted(found.options, key=lambda one: (
        order.index(one.experiment), not one.not_worse, one.timed != ALONE, one.seconds.value))]
    kept = [at for at in range(len(HEADER)) if any(row[at] for row in rows)]
    return table([HEADER[at] for at in kept], [[row[at] for at in kept] for row in rows],
                 "Every batch, rule and placement measured, 95 % intervals in brackets. Not worse: than the reference "
                 "batch by more than the margin. Dominated: another option of the same model, timed in the same way, "
                 "is better in one of time, device time and test result and as good in the others. Times marked * were "
                 "taken beside other runs.", [kept.index(HEADER.index(name)) for name in FLUSH_RIGHT
                                              if HEADER.index(name) in kept], "All options", longest=len(rows))


def _row(one: Option, name: str, taken: bool) -> tuple[str, ...]:
    shown = one.test.scaled(100) if one.outcome.percent else one.test
    beside = "" if one.timed == ALONE else " *"
    known = math.isfinite(one.seconds.value)
    verdict = "recommended" if taken else "not worse" if one.not_worse else "not shown"
    return (name, f"{one.global_batch:,}", one.rule, one.rate, one.placement,
            brief(shown, "%" if one.outcome.percent else ""),
            f"{written_seconds(one.seconds)}{beside}" if known else "",
            written_seconds(one.device_hours.scaled(3600), of_devices=True) if known else "",
            brief(one.money) if math.isfinite(one.money.value) else "",
            verdict if one.pareto or taken or not known else f"{verdict}, {DOMINATED}")


def _pictures(found: Decision, names: Mapping[str, str]) -> Iterator[Figure]:
    """Result against device time, accuracies and losses apart: what a better result costs."""
    for percent in (True, False):
        own = [one for one in found.options if one.outcome.percent is percent and one.device_hours.value > 0
               and math.isfinite(one.test.value)]
        if len({(one.experiment, one.global_batch, one.rule, one.placement) for one in own}) > 2:
            yield _cost(own, names, [one.option for one in found.recommendations], percent)


def _cost(own: Sequence[Option], names: Mapping[str, str], taken: Sequence[Option | None], percent: bool) -> Figure:
    name = "options-accuracy" if percent else "options-loss"
    result = "test accuracy" if percent else "test loss"
    title = f"{result.capitalize()} against device time, all options"
    colours = {experiment: OTHERS[index % len(OTHERS)] for index, experiment in enumerate(names)}
    dots = [Dot(names[one.experiment], f"{one.global_batch:,}" if one.pareto else "", colours[one.experiment],
                one.device_hours.scaled(3600), one.test, one.timed == ALONE, one in taken) for one in own]
    alone = any(one.timed == ALONE for one in own) and any(one.timed != ALONE for one in own)
    hollow = " Hollow: timed beside other runs, which is not to be compared with filled." if alone else ""
    return Figure(name, title, draw_scatter(name, title, "device-seconds of training", result, dots, percent),
                  "One point for each batch, rule and placement; numbers are batches that nothing of the same model "
                  f"beats in both. Ring: recommended.{hollow}", wide=True)
