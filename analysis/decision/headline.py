"""The first lines of a report: what to train with, and what growing the batch did under each rule."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from ...benchmarks.schedules.rules import RULES, TUNED_RULE
from ...benchmarks.text import counted, listed
from ..formatting import percentage, Table, table
from ..statistics.estimate import Estimate
from ..statistics.ratio import quotient
from ..study.arms import Arm
from ..study.batch_gaps import gap_table
from ..study.non_inferiority import against_own_reference
from ..study.timing.scaling import Scaling
from .options import ALONE, Option
from .recommendation import Recommendation
from .sentences import trained


def headlines(recommended: Sequence[Recommendation], found: Mapping[str, Sequence[Arm]],
              options: Mapping[str, Sequence[Option]],
              unsteady: Collection[tuple[str, int]] = ()) -> tuple[str, ...]:
    """Return one paragraph for each experiment; where it has no arms to judge, the reason alone.

    unsteady: placements and global batches whose times vary too widely to be compared.
    """
    return tuple(_headline(one, found[one.experiment], options[one.experiment], unsteady) for one in recommended)


def _headline(one: Recommendation, arms: Sequence[Arm], options: Sequence[Option],
              unsteady: Collection[tuple[str, int]]) -> str:
    if not arms:
        return f"{trained(one.optimizer, one.model, one.loss)}: {one.reason}"
    parts = [_choice(one, options, arms[0].reference_batch, unsteady), one.caution, *_largest(arms), *_lost(arms)]
    return " ".join(part for part in parts if part)


def _choice(one: Recommendation, options: Sequence[Option], reference: int,
            unsteady: Collection[tuple[str, int]]) -> str:
    """The batch chosen, against the one that all were tested against; times where both were timed alike."""
    who = trained(one.optimizer, one.model, one.loss)
    if one.option is None:
        return f"{who}: {one.reason}"
    chosen = one.option
    text = (f"{who}: train with global batch {chosen.global_batch:,} and learning rate {chosen.rate}; "
            f"test {chosen.outcome.name} {chosen.outcome.level(chosen.test)}.")
    alike = [option for option in options if (option.placement, option.timed) == (chosen.placement, chosen.timed)]
    if chosen.global_batch == reference:
        largest = max((option.global_batch for option in alike if option.not_worse), default=reference)
        if largest > reference:
            return (f"{text} By validation batch {largest:,} costs no more than {chosen.outcome.within} against it "
                    "either, but trains no faster.")
        return f"{text} By validation no larger batch is shown to cost at most {chosen.outcome.within}."
    at_reference = [option for option in alike if option.global_batch == reference]
    faster = _share_of_time(chosen, min(at_reference, key=lambda option: option.seconds.value), unsteady) \
        if at_reference else ""
    return f"{text} By validation it costs no more than {chosen.outcome.within} against batch {reference:,}{faster}."


def _share_of_time(chosen: Option, reference: Option, unsteady: Collection[tuple[str, int]]) -> str:
    if chosen.timed == ALONE and any((one.placement, one.global_batch) in unsteady for one in (chosen, reference)):
        return "; how much faster it trains is not known, as the launches that timed it vary too widely"
    share = quotient(chosen.seconds, reference.seconds)
    return f" and trains in {percentage(share)} of its time" if math.isfinite(share.value) else ""


def _largest(arms: Sequence[Arm]) -> list[str]:
    """What the largest batch loses under each rule, where the rules share it."""
    last = {arm.rule: gaps[-1] for arm in arms if arm.rule in RULES and (gaps := gap_table(arm, arm.outcome.margin))}
    if not last:
        return []
    batch = max(gap.global_batch for gap in last.values())
    changes = {rule: gap.estimate for rule, gap in last.items() if gap.global_batch == batch}
    outcome = arms[0].outcome
    told, said, unit = [], "", outcome.unit
    for rule, lost in changes.items():
        verb = outcome.worse if lost.value >= 0 else outcome.better
        size = outcome.difference(lost if lost.value >= 0 else lost.scaled(-1), unit=bool(unit))
        told.append(f"{verb + ' ' if verb != said else ''}{size}{unit} {RULES[rule].article}")
        said, unit = verb, ""
    return [f"Batch {batch:,} {listed(told)}."]


def _lost(arms: Sequence[Arm]) -> list[str]:
    """Batches at which a run has no result, which no mean speaks for."""
    return [f"Batch {batch:,} {what} {RULES[arm.rule].article}." for arm in arms if arm.rule in RULES
            for batch, what in arm.apart.items()]


def overview(recommended: Sequence[Recommendation], found: Mapping[str, Sequence[Arm]]) -> tuple[Table, ...]:
    """Return the headlines' numbers with their intervals in tables, accuracies and losses apart.

    Each table has a row for each experiment and rule.
    """
    return tuple(part for percent in (True, False) for part in _overview(
        [one for one in recommended if found[one.experiment][0].outcome.percent is percent], found, percent))


def _overview(recommended: Sequence[Recommendation], found: Mapping[str, Sequence[Arm]],
              percent: bool) -> tuple[Table, ...]:
    rows = [row for one in recommended for row in _rows(one, found[one.experiment])]
    outcomes = [found[one.experiment][0].outcome for one in recommended]
    if percent:
        lost, no_loss, told = "points lost against the reference", "no loss up to", "Points of test accuracy"
    else:
        lost, no_loss, told = "test loss added against the reference", "nothing added up to", "Test loss"
    within = listed(outcome.within for outcome in outcomes)
    return table(("trained", "rule", "largest batch", lost, no_loss), rows,
                 f"{told}, paired by seed, at equal epochs. {no_loss.removesuffix(' up to').capitalize()}: of more "
                 f"than {within}, tested from the smallest batch up, over "
                 "all rules of an experiment at one level.", (2,))


def _rows(one: Recommendation, arms: Sequence[Arm]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    kept = against_own_reference([arm for arm in arms if arm.rule in RULES])
    for arm in arms:
        gaps = gap_table(arm, arm.outcome.margin) if arm.rule in RULES else ()
        if not gaps:
            continue
        safe = kept[arm.rule]
        rows.append((f"{trained(one.optimizer, one.model, one.loss)}, {_reference(arm)}" if not rows else "",
                     f"{arm.rule}, {_reference(arm)}" if rows and arm.rule == TUNED_RULE else arm.rule,
                     f"{gaps[-1].global_batch:,}", arm.outcome.difference(gaps[-1].estimate, unit=False),
                     f"{max(safe):,}" if safe else "none above the reference"))
    return rows


def _reference(arm: Arm) -> str:
    ends = arm.at_end(arm.outcome.test)
    if arm.reference_batch not in ends:
        return f"reference batch {arm.reference_batch:,}"
    return f"batch {arm.reference_batch:,}: {arm.outcome.level(arm.outcome.mean(ends[arm.reference_batch].dropna()))}"


def scaling_headlines(found: Sequence[Scaling]) -> list[str]:
    """Return a sentence per strategy and kind of scaling: its efficiency at the most replicas, from the worst fixed
    batch to the best, of the batches at which no point is unstable; the others are named."""
    groups: dict[tuple[str, str, int, int], list[Scaling]] = {}
    for one in found:
        if one.points and one.marginal:
            ends = one.points[0].replicas, one.points[-1].replicas
            groups.setdefault((one.strategy, one.kind, *ends), []).append(one)
    return [_efficiency(kind, strategy, own) for (strategy, kind, *_), own in groups.items()]


def _efficiency(kind: str, strategy: str, found: Sequence[Scaling]) -> str:
    steady = sorted((one for one in found if one.steady), key=lambda one: one.points[-1].efficiency.value)
    per = "per replica" if kind == "weak" else "in all"
    ends = [_at(one, per) for one in (steady[:1] + steady[-1:] if len(steady) > 1 else steady)]
    base, most = found[0].points[0].replicas, found[0].points[-1].replicas
    text = f"{strategy}, {kind} scaling to {most} replicas: "
    left_out = listed(f"{one.fixed_batch:,}" for one in sorted(found, key=lambda one: one.fixed_batch)
                      if not one.steady)
    if not steady:
        return f"{text}not known, as the launches at batch {left_out} {per} vary too widely; measure more launches."
    against = f"against {counted(base, 'replica')} of the same strategy"
    text += f"efficiency {' to '.join(ends)}, {against}"
    return f"{text}; left out as unstable: batch {left_out}." if left_out else f"{text}."


def _at(one: Scaling, per: str) -> str:
    value: Estimate = one.points[-1].efficiency
    return f"{percentage(value)} at batch {one.fixed_batch:,} {per}"
