"""The decision in a table: what to train with, what else was measured, what is open, what to run next."""

from __future__ import annotations

from .....benchmarks.text import counted, duration, number
from ....decision.options import Option
from ....formatting import estimated, table
from ...blocks import Section
from ...builder import section
from ...findings import Findings


@section("decision", "The decision")
def build(findings: Findings) -> Section:
    """Return recommended runs, the other options, and the plan that would measure what is open."""
    found = findings.decided
    chosen = [(one.experiment, *_option(one.option), one.valid_for) for one in found.recommendations
              if one.option is not None]
    rest = [(one.experiment, *_option(one), "yes" if one.not_worse else "not shown", "yes" if one.pareto else "")
            for one in found.options]
    header = ("experiment", "batch", "rule", "rate", "on", "test result", "training time", "device-hours", "money")
    tables = table((*header, "valid for"), chosen, numbers=(1, 3))
    tables += table((*header, "not worse", "Pareto"), rest, "Every batch, rule and placement measured. Not worse: than "
                    "the reference batch by more than the margin. Pareto: nothing of the same experiment is better in "
                    "one of time, device-hours and test result and as good in the others.", (1, 3), "All options")
    refused = len(found.recommendations) - len(chosen)
    text = [*found.answers] if found.headlines else []
    if refused or not chosen:
        text.append(f"For {counted(refused, 'experiment')} nothing is recommended." if chosen else
                    "Nothing is recommended on these data.")
    return Section(tuple(text), (), tables, tuple(found.warnings),
                   listing=found.next_plan, listing_title="The plan to run next")


def _option(one: Option) -> tuple[str, ...]:
    money = estimated(one.money) if one.money.value == one.money.value else "no price"
    seconds = f"{duration(one.seconds.value)}: {estimated(one.seconds, 's')}" if one.seconds.value >= 100 else \
        estimated(one.seconds, "s")
    return (f"{one.global_batch:,}", one.rule, number(one.learning_rate), one.placement,
            f"{one.outcome.name} {one.outcome.cell(one.test)}", seconds, estimated(one.device_hours), money)
