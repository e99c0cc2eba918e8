"""The verdict on each metric of two result sets, and on all metrics of a kind together.

A regression is worse than the base by more than the tolerance, shown against the tolerance itself: its one-sided p
value is below 0.025 after Holm's adjustment, so the interval beside it leaves the tolerance out. A slowdown of all
configurations that none of them shows alone is shown by their geometric mean, which is tested at 0.025 of its own; so
where nothing is worse than the tolerance allows, a comparison fails in at most 5 %.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from ...benchmarks.text import counted
from ..statistics.decision_rules import FEWEST_SEEDS, shown
from ..statistics.difference import Difference, difference, paired_difference, Summary, summary_difference, widened
from ..statistics.estimate import all_equal, Estimate, Floats, unknown
from ..statistics.multiple_testing import holm
from .changes import METRICS, REPEATS, RESULTS, TOGETHER, Answer, Cell, Change, Metric, written
from .moderated import moderated

# Values that agree exactly are known to agree within single precision only.
RESOLUTION = float(np.finfo(np.float32).eps)
NOT_DECIDED: Answer = "not decided"
Pairs = Mapping[tuple[str, str], tuple[Cell, Cell | None]]


def judge(pairs: Pairs, tolerance: float, margin: float, allow: frozenset[str] = frozenset()) -> tuple[Change, ...]:
    """Return the change of each (metric, label) of `pairs`, in their order, with Holm's adjustment over all that can be
    compared. `tolerance` is a share, for relative metrics; `margin` an absolute difference, for the others."""
    found = {key: _difference(base, new) if new is not None else None for key, (base, new) in pairs.items()}
    steady = _moderated({key: of for key, of in found.items() if of is not None}, pairs)
    limits = {key: _limits(METRICS[key[0]], tolerance, margin) for key in pairs}
    adjusted = _adjusted(steady, limits)
    return tuple(_change(key, *pairs[key], steady.get(key), adjusted.get(key, (math.nan, math.nan)), limits[key],
                         tolerance if METRICS[key[0]].relative else margin, allow) for key in pairs)


def judge_together(pairs: Pairs, tolerance: float, margin: float) -> tuple[Change, ...]:
    """Return one change for each kind of metric that two configurations or more have on both sides: times and
    throughputs by their geometric mean, as time; the others by the mean of their own metric."""
    groups: dict[str, list[tuple[Cell, Cell]]] = {}
    for (metric, _), (base, new) in pairs.items():
        if new is not None and base.measured and new.measured:
            groups.setdefault(TOGETHER.get(metric, metric), []).append((base, new))
    found = {(name, f"all {len(own)} together"): of for name, own in groups.items() if len(own) > 1
             and not math.isnan((of := _together(own)).p_value)}
    limits = {key: _limits(METRICS[key[0]], tolerance, margin) for key in found}
    adjusted = _adjusted(found, limits)
    return tuple(_verdict(key, of, adjusted[key], limits[key], tolerance if METRICS[key[0]].relative else margin)
                 for key, of in found.items())


def _limits(metric: Metric, tolerance: float, margin: float) -> tuple[float, float]:
    """The changes that count as none, on the scale of the test."""
    return (math.log1p(-tolerance), math.log1p(tolerance)) if metric.relative else (-margin, margin)


def _adjusted(found: Mapping[tuple[str, str], Difference],
              limits: Mapping[tuple[str, str], tuple[float, float]]) -> dict[tuple[str, str], tuple[float, float]]:
    """The one-sided p values of a change below and above what counts as none, each adjusted over all (Holm)."""
    below = holm([of.below(limits[key][0]) for key, of in found.items()])
    above = holm([of.above(limits[key][1]) for key, of in found.items()])
    return dict(zip(found, zip(below, above)))


def _without_value(base: Cell, new: Cell | None, allow: frozenset[str]) -> tuple[Answer, str]:
    """What one side lacks, as the answer and its reason; ("no change", "") when both have all. A run that diverged or
    ran out of memory in the base need not in the new results."""
    if new is None:
        return "missing", "not among the new results"
    if not base.measured and base.ended and set(base.ended.values()) <= RESULTS:
        how = written(frozenset(base.ended.values())).replace("_", " ")
        if new.measured:
            return "improvement", f"{how} in the base"
        if set(new.ended.values()) == set(base.ended.values()):
            return "no change", f"{how} in both"
    if not (base.measured and new.measured):
        lacking = "new" if base.measured else "base" if new.measured else "base and new"
        return "missing", f"no value in the {lacking} results"
    if base.summary is None and new.summary is None and not allow.intersection(REPEATS):
        lost = {"new": [new.ended.get(repeat, "not run") for repeat in base.values if repeat not in new.values],
                "base": [base.ended[repeat] for repeat in new.values
                         if base.ended.get(repeat, "diverged") not in RESULTS]}
        for name, ends in lost.items():
            if ends:
                return "missing", (f"{counted(len(ends), 'repeat')} without a value in the {name} results "
                                   f"({written(frozenset(ends)).replace('_', ' ')})")
    return "no change", ""


def _difference(base: Cell, new: Cell) -> Difference | None:
    """New minus base, on logarithms where relative; None without a value on both sides."""
    metric = METRICS[base.metric]
    if not (base.measured and new.measured):
        return None
    if base.summary is not None or new.summary is not None:
        return _resolved(difference(_summary(new), _summary(base)))
    if metric.paired:
        if common := [repeat for repeat in base.values if repeat in new.values]:
            before, after = (_scaled([cell.values[each] for each in common], metric.relative) for cell in (base, new))
            return _resolved(paired_difference(after, before))
    before, after = (_scaled(list(cell.values.values()), metric.relative) for cell in (base, new))
    if before.size > 1 and after.size > 1 and all_equal(before) and all_equal(after):
        return _resolved(summary_difference(Summary(float(after[0] - before[0]), 0.0, min(before.size, after.size))))
    return _resolved(difference(after, before))


def _scaled(values: Sequence[float], relative: bool) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    return np.log(array) if relative else array


def _summary(cell: Cell) -> Summary:
    """Of the logarithms; from mean and standard deviation by the delta method."""
    if cell.summary is None:
        logs = np.log(list(cell.values.values()))
        return Summary(float(np.mean(logs)), float(np.std(logs, ddof=1)) if logs.size > 1 else math.nan, logs.size)
    of = cell.summary
    return Summary(math.log(of.mean), of.std / of.mean, of.n)


def _resolved(of: Difference) -> Difference:
    """With at least the spread that values which repeat exactly may have; equal sides are no change even once."""
    value, n = of.estimate.value, of.estimate.n
    if value == 0 and not of.standard_error > 0:
        return Difference(Estimate(value, value, value, n), 0.0, math.nan, of.degrees_of_freedom, 1.0)
    return widened(of, RESOLUTION) if n >= FEWEST_SEEDS else of


def _moderated(found: Mapping[tuple[str, str], Difference], pairs: Pairs) -> dict[tuple[str, str], Difference]:
    """The differences with variances that borrow from the other configurations of their metric."""
    result = dict(found)
    for metric in {name for name, _ in found}:
        keys = [key for key, of in found.items() if key[0] == metric and of.standard_error > RESOLUTION]
        parts = np.array([_parts(*pairs[key], METRICS[metric]) for key in keys])
        errors = np.array([found[key].standard_error for key in keys])
        steady = moderated(errors ** 2 / parts, [found[key].degrees_of_freedom for key in keys]) if keys else None
        for index, key in enumerate(keys if steady else ()):
            assert steady is not None
            of, more = found[key], float(np.sqrt(steady.variances[index] * parts[index]))
            freed = Difference(of.estimate, of.standard_error, of.t, float(steady.freedoms[index]), of.p_value)
            result[key] = widened(freed, more)
    return result


def _parts(base: Cell, new: Cell | None, metric: Metric) -> float:
    """The variance of the difference in variances of one value."""
    counts = [cell.summary.n if cell.summary is not None else len(cell.values) for cell in (base, new) if cell]
    if metric.paired and new is not None and any(repeat in new.values for repeat in base.values):
        return 1 / sum(repeat in new.values for repeat in base.values)
    return sum(1 / count for count in counts)


def _together(cells: Sequence[tuple[Cell, Cell]]) -> Difference:
    """The mean change of several configurations, times as logarithms. Where each side has the same repeats in all of
    them, by repeat, so that what its configurations share stays in the error; else as independent."""
    metric, paired = METRICS[cells[0][0].metric], all(METRICS[base.metric].paired for base, _ in cells)
    common = [_common([pair[side] for pair in cells]) for side in (0, 1)]
    if paired:
        common = [[repeat for repeat in common[0] if repeat in common[1]]] * 2
    if min(map(len, common)) < FEWEST_SEEDS:
        return _independent([_signed(of, METRICS[base.metric]) for base, new in cells
                             if (of := _difference(base, new)) is not None])
    sides = [np.mean([_sign(METRICS[pair[side].metric]) * _scaled([pair[side].values[repeat] for repeat in
                                                                   common[side]], metric.relative)
                      for pair in cells], axis=0) for side in (0, 1)]
    return _resolved(paired_difference(sides[1], sides[0]) if paired else difference(sides[1], sides[0]))


def _common(cells: Sequence[Cell]) -> list[Hashable]:
    """The repeats that all cells have, where none has others; else none."""
    first = cells[0].values
    return list(first) if all(cell.values.keys() == first.keys() for cell in cells) else []


def _sign(metric: Metric) -> float:
    """-1 for a throughput, whose logarithm is minus that of a time."""
    return -1.0 if metric.name in TOGETHER and metric.higher_is_better else 1.0


def _signed(of: Difference, metric: Metric) -> Difference:
    sign = _sign(metric)
    return Difference(of.estimate.scaled(sign), of.standard_error, sign * of.t, of.degrees_of_freedom, of.p_value)


def _independent(found: Sequence[Difference]) -> Difference:
    """The mean of independent differences; of those that have an error."""
    known = [of for of in found if of.standard_error >= 0]
    if not known:
        return summary_difference(Summary(math.nan, math.nan, 0))
    value = float(np.mean([of.estimate.value for of in known]))
    parts = [widened(of, RESOLUTION) for of in known]
    variance = sum(of.standard_error ** 2 for of in parts) / len(parts) ** 2
    scale = sum(of.standard_error ** 4 / of.degrees_of_freedom for of in parts) / len(parts) ** 4
    start = Difference(Estimate(value, math.nan, math.nan, min(of.estimate.n for of in known)), math.sqrt(variance),
                       math.nan, variance ** 2 / scale, math.nan)
    return widened(start)


def _change(key: tuple[str, str], base: Cell, new: Cell | None, of: Difference | None, p_values: tuple[float, float],
            limits: tuple[float, float], tolerance: float, allow: frozenset[str]) -> Change:
    metric = METRICS[key[0]]
    answer, reason = _without_value(base, new, allow)
    if not reason and (of is None or math.isnan(of.p_value)):
        answer, reason = "missing", "too few repeats for an interval; measure 6"
    found = _verdict(key, of, p_values, limits, tolerance)
    return Change(metric.name, key[1], _middle(base, metric), _middle(new, metric), found.estimate, found.p_value,
                  tolerance, answer if reason else found.answer, reason)


def _verdict(key: tuple[str, str], of: Difference | None, p_values: tuple[float, float], limits: tuple[float, float],
             tolerance: float) -> Change:
    """No change takes an interval within the tolerance; a change that is merely not shown is not decided."""
    metric, answer = METRICS[key[0]], NOT_DECIDED
    if of is None:
        return Change(metric.name, key[1], math.nan, math.nan, unknown(), math.nan, tolerance, answer)
    worse, better = p_values if metric.higher_is_better else p_values[::-1]
    estimate, n = of.estimate, of.estimate.n
    if shown(worse, n):
        answer = "regression"
    elif shown(better, n):
        answer = "improvement"
    elif limits[0] < estimate.low and estimate.high < limits[1] or estimate.low == estimate.value == estimate.high == 0:
        answer = "no change"
    change = estimate.transformed(_as_change) if metric.relative else estimate
    return Change(metric.name, key[1], math.nan, math.nan, change, p_values[int(estimate.value > 0)], tolerance, answer)


def _as_change(log_ratio: float) -> float:
    """new/base - 1; an end too far for a float is infinite."""
    with np.errstate(over="ignore"):
        return float(np.expm1(log_ratio))


def _middle(cell: Cell | None, metric: Metric) -> float:
    """Geometric mean where relative, else the mean; NaN without a value."""
    if cell is None or not cell.measured:
        return math.nan
    if cell.summary is not None:
        return cell.summary.mean
    mean = float(np.mean(_scaled(list(cell.values.values()), metric.relative)))
    return math.exp(mean) if metric.relative else mean
