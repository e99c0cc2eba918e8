"""The first lines of a report: what to train with, and what growing the batch did under each rule."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..benchmarks.tuning import TUNED_RULE
from .answer import in_percent, in_points, spoken
from .arms import Arm
from .content import Table, listed, number, table
from .estimate import Estimate, mean_estimate
from .gaps import gap_table
from .options import Option, Recommendation
from .scaling import Scaling

ARTICLES = {"constant": "at the constant rate", "linear": "under the linear rule",
            "sqrt": "under the square-root rule", "adam_sqrt": "where Adam's coefficients scale too",
            "legw": "under the LEGW rule", "noise_scale": "under the noise-scale rule", "surge": "under the surge rule",
            "adascale": "under AdaScale, in more epochs", "tuned": "at rates tuned batch by batch"}


def headlines(recommended: Sequence[Recommendation], found: Mapping[str, Sequence[Arm]],
              options: Mapping[str, Sequence[Option]], margin: float) -> tuple[str, ...]:
    """One paragraph for each experiment."""
    return tuple(" ".join([_choice(one, options[one.experiment], margin), *([one.caution] if one.caution else ()),
                           *_largest(found[one.experiment], margin)]) for one in recommended)


def _choice(one: Recommendation, options: Sequence[Option], margin: float) -> str:
    who = f"{spoken(one.optimizer)} on {one.model}"
    if one.option is None:
        return f"{who}: {one.reason}"
    chosen = one.option
    text = (f"{who}: train with global batch {chosen.global_batch:,} and learning rate {chosen.rate}; "
            f"test accuracy {100 * chosen.test_accuracy.value:.1f} %.")
    reference = min((o for o in options if o.not_worse and o.placement == chosen.placement and o.timed == chosen.timed),
                    key=lambda option: option.global_batch, default=chosen)
    if reference.global_batch >= chosen.global_batch:
        return f"{text} No larger batch is shown to cost at most {100 * margin:g} points."
    gain = reference.seconds.value / chosen.seconds.value
    if not math.isfinite(gain):
        return text
    return (f"{text} By validation it costs no more than {100 * margin:g} points against batch "
            f"{reference.global_batch:,} and trains in {1 / gain:.0%} of its time.")


def _largest(arms: Sequence[Arm], margin: float) -> list[str]:
    """What the largest batch loses under each rule, where the rules share it."""
    last = {arm.rule: gaps[-1] for arm in arms if arm.rule in ARTICLES and (gaps := gap_table(arm, margin))}
    if not last:
        return []
    batch = max(gap.global_batch for gap in last.values())
    changes = {rule: gap.estimate.value for rule, gap in last.items() if gap.global_batch == batch}
    told, said, unit = [], "", " points of test accuracy"
    for rule, lost in changes.items():
        verb = "loses" if lost >= 0 else "gains"
        told.append(f"{verb + ' ' if verb != said else ''}{100 * abs(lost):.1f}{unit} {ARTICLES[rule]}")
        said, unit = verb, ""
    return [f"Batch {batch:,} {listed(told)}."]


def overview(recommended: Sequence[Recommendation], found: Mapping[str, Sequence[Arm]], margin: float
             ) -> tuple[Table, ...]:
    """The same numbers with their intervals: a row for each experiment and rule."""
    rows = [row for one in recommended for row in _rows(one, found[one.experiment], margin)]
    return table(("trained", "rule", "largest batch", "points lost against the reference", "no loss up to"), rows,
                 f"Points of test accuracy, paired by seed, at equal epochs. No loss: of more than {100 * margin:g} "
                 "points, shown batch by batch.", (2,))


def _rows(one: Recommendation, arms: Sequence[Arm], margin: float) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for arm in arms:
        gaps = gap_table(arm, margin) if arm.rule in ARTICLES else ()
        if not gaps:
            continue
        safe = [gap.global_batch for gap in gaps if gap.not_worse]
        rows.append((f"{spoken(one.optimizer)} on {one.model}, {_reference(arm)}" if not rows else "",
                     f"{arm.rule}, {_reference(arm)}" if rows and arm.rule == TUNED_RULE else arm.rule,
                     f"{gaps[-1].global_batch:,}", in_points(gaps[-1].estimate).replace(" points", ""),
                     f"{max(safe):,}" if safe else "none above the reference"))
    return rows


def _reference(arm: Arm) -> str:
    ends = arm.at_end("test_accuracy")
    if arm.reference_batch not in ends:
        return f"reference batch {arm.reference_batch:,}"
    return f"batch {arm.reference_batch:,}: {in_percent(mean_estimate(ends[arm.reference_batch].dropna()))}"


def scaling_headlines(found: Sequence[Scaling]) -> list[str]:
    """Per strategy and kind of scaling, its efficiency at the most replicas from the worst fixed batch to the best."""
    groups: dict[tuple[str, str], list[Scaling]] = {}
    for one in found:
        if one.points and one.marginal:
            groups.setdefault((one.strategy, one.kind), []).append(one)
    return [_efficiency(kind, strategy, own) for (strategy, kind), own in groups.items()]


def _efficiency(kind: str, strategy: str, found: Sequence[Scaling]) -> str:
    ordered = sorted(found, key=lambda one: one.points[-1].efficiency.value)
    per = "per replica" if kind == "weak" else "in all"
    ends = [_at(one, per) for one in (ordered[:1] + ordered[-1:] if len(ordered) > 1 else ordered)]
    return (f"{strategy}, {kind} scaling to {ordered[-1].points[-1].replicas} replicas: efficiency "
            f"{' to '.join(ends)}, against one replica of the same strategy.")


def _at(one: Scaling, per: str) -> str:
    value: Estimate = one.points[-1].efficiency
    within = f" ({number(value.low, 2)} to {number(value.high, 2)}, n = {value.n})" if value.has_interval else ""
    return f"{number(value.value, 2)}{within} at batch {one.fixed_batch:,} {per}"
