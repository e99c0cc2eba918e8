"""Whether a new result set is worse than a base one: an interval and a least effect, metric by metric.

A regression is worse than the base by more than the tolerance, and by more than chance over all metrics compared.
What one side measured and the other did not never passes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ...benchmarks.errors import one_of, PlanError
from ...benchmarks.text import counted
from ..statistics.decision_rules import significant
from ..statistics.difference import Difference, difference, paired_difference, Summary, summary_difference
from ..statistics.estimate import all_equal, Estimate, Floats, unknown
from ..statistics.multiple_testing import holm
from .changes import (FEWEST_EXACT, METRICS, NOT_RECORDED, REPEATS, RESULTS, TOLERANCE, Answer, Cell, Change,
                      Comparison, Metric, Side)


def compare(base: Side, new: Side, tolerance: float = TOLERANCE, allow: Sequence[str] = ()) -> Comparison:
    """Raises PlanError for sides that are not alike, naming each key and both values."""
    if not 0 <= tolerance < 1:
        raise PlanError(f"--tolerance {tolerance} must be 0 or more and below 1; 0.05 is five percent.")
    if base.kind != new.kind:
        raise PlanError(f"{base.name} holds {base.kind}, {new.name} holds {new.kind}: compare two of a kind.")
    shared = [key for key in base.cells if key in new.cells]
    differing = _differing(base, new, shared)
    _check_allowed(allow, [base, new])
    refused = [f"{key} is {one} in {base.name} but {other} in {new.name}"
               for key, (one, other) in differing.items() if key not in allow]
    if refused:
        raise PlanError(f"unlike results: {'; '.join(refused)}. Measure both alike, or allow a key to differ with "
                        f"--allow KEY.")
    changes = judge({key: (base.cells[key], new.cells.get(key)) for key in base.cells},
                    tolerance, base.margin, frozenset(allow))
    added = tuple(f"{metric} of {label}" for metric, label in new.cells if (metric, label) not in base.cells)
    return Comparison(base, new, changes, added, differing)


def _differing(base: Side, new: Side, shared: Iterable[tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """key -> both values, of the conditions in which any metric's two sides differ."""
    found: dict[str, tuple[str, str]] = {}
    absent = frozenset((NOT_RECORDED,))
    for cell in shared:
        one, other = base.cells[cell].conditions, new.cells[cell].conditions
        # A side that never ran has its configuration, but no machine.
        both = base.cells[cell].measured and new.cells[cell].measured
        for key in dict.fromkeys((*one, *other)):
            if (both or key in one and key in other) and one.get(key, absent) != other.get(key, absent):
                found.setdefault(key, (_written(one.get(key, absent)), _written(other.get(key, absent))))
    return found


def _written(values: frozenset[str]) -> str:
    return " or ".join(sorted(values))


def _check_allowed(allow: Sequence[str], sides: Sequence[Side]) -> None:
    known = {key for side in sides for cell in side.cells.values() for key in cell.conditions} | set(REPEATS)
    for key in allow:
        if key not in known:
            raise PlanError(one_of("--allow", key, known))


def judge(pairs: Mapping[tuple[str, str], tuple[Cell, Cell | None]], tolerance: float, margin: float,
          allow: frozenset[str] = frozenset()) -> tuple[Change, ...]:
    """(metric, label) -> what changed, Holm over all that can be compared."""
    found = {key: _difference(base, new) if new is not None else None for key, (base, new) in pairs.items()}
    tested = [key for key, of in found.items() if of is not None]
    adjusted = dict(zip(tested, holm([of.p_value for of in found.values() if of is not None])))
    return tuple(_change(key, *pairs[key], found[key], adjusted.get(key, math.nan),
                         tolerance if METRICS[key[0]].relative else margin, allow) for key in pairs)


def _without_value(base: Cell, new: Cell | None, allow: frozenset[str]) -> tuple[Answer, str]:
    """What one side lacks, as the answer and its reason; ("no change", "") when both have all. A run that diverged or
    ran out of memory in the base need not in the new results."""
    if new is None:
        return "missing", "not among the new results"
    if not base.measured and base.ended and set(base.ended.values()) <= RESULTS:
        how = _written(frozenset(base.ended.values())).replace("_", " ")
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
                                   f"({_written(frozenset(ends)).replace('_', ' ')})")
    return "no change", ""


def _difference(base: Cell, new: Cell) -> Difference | None:
    """New minus base, on logarithms where relative; None without a value on both sides."""
    metric = METRICS[base.metric]
    if not (base.measured and new.measured):
        return None
    if base.summary is not None or new.summary is not None:
        return _certain(difference(_summary(new), _summary(base)))
    if metric.paired:
        if common := [repeat for repeat in base.values if repeat in new.values]:
            before, after = (_scaled([cell.values[each] for each in common], metric.relative) for cell in (base, new))
            return _certain(paired_difference(after, before))
    before, after = (_scaled(list(cell.values.values()), metric.relative) for cell in (base, new))
    if before.size > 1 and after.size > 1 and all_equal(before) and all_equal(after):
        return _certain(summary_difference(Summary(float(after[0] - before[0]), 0.0, min(before.size, after.size))))
    return _certain(difference(after, before))


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


def _certain(of: Difference) -> Difference:
    """Values that repeat exactly, often enough, are no chance; and equal sides are no change even once."""
    value, n = of.estimate.value, of.estimate.n
    if of.standard_error == 0 and n >= FEWEST_EXACT or value == 0 and not of.standard_error > 0:
        return Difference(Estimate(value, value, value, n), 0.0, math.nan, of.degrees_of_freedom, float(value == 0))
    return of


def _change(key: tuple[str, str], base: Cell, new: Cell | None, of: Difference | None, p_value: float,
            tolerance: float, allow: frozenset[str]) -> Change:
    metric = METRICS[key[0]]
    answer, reason = _without_value(base, new, allow)
    estimate = unknown()
    if of is not None:
        estimate = of.estimate.transformed(_as_change) if metric.relative else of.estimate
    if not reason and math.isnan(p_value):
        answer, reason = "missing", "too few repeats for an interval; measure 6"
    answer = answer if reason else _answer(metric, estimate, p_value, tolerance)
    return Change(metric.name, key[1], _middle(base, metric), _middle(new, metric), estimate, p_value, tolerance,
                  answer, reason)


def _as_change(log_ratio: float) -> float:
    """new/base - 1; an end too far for a float is infinite."""
    with np.errstate(over="ignore"):
        return float(np.expm1(log_ratio))


def _answer(metric: Metric, estimate: Estimate, p_value: float, tolerance: float) -> Answer:
    """No change takes an interval within the tolerance; a difference that is merely not significant is not decided."""
    worse = -estimate.value if metric.higher_is_better else estimate.value
    if not abs(worse) > tolerance:
        within = -tolerance < estimate.low and estimate.high < tolerance or estimate.value == 0 == estimate.low
        return "no change" if within else "not decided"
    # How few repeats suffice is settled with the interval: launches repeat more closely than seeds.
    if not significant(p_value, estimate.n, fewest=1):
        return "not decided"
    return "regression" if worse > 0 else "improvement"


def _middle(cell: Cell | None, metric: Metric) -> float:
    """Geometric mean where relative, else the mean; NaN without a value."""
    if cell is None or not cell.measured:
        return math.nan
    if cell.summary is not None:
        return cell.summary.mean
    mean = float(np.mean(_scaled(list(cell.values.values()), metric.relative)))
    return math.exp(mean) if metric.relative else mean
