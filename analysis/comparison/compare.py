"""Whether a new result set is worse than a base one, metric by metric and over all of them.

What one side measured and the other did not never passes; the rest is `judging`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...benchmarks.errors import one_of, PlanError
from .changes import NOT_RECORDED, REPEATS, TOLERANCE, Comparison, Side, written
from .judging import judge, judge_together


def compare(base: Side, new: Side, tolerance: float = TOLERANCE, allow: Sequence[str] = ()) -> Comparison:
    """Return the changes from base to new. Raises PlanError for a tolerance outside [0, 1), for an unknown key in
    `allow`, and for sides that are not alike, naming each key and both values."""
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
    pairs = {key: (base.cells[key], new.cells.get(key)) for key in base.cells}
    changes = judge(pairs, tolerance, base.margin, frozenset(allow))
    added = tuple(f"{metric} of {label}" for metric, label in new.cells if (metric, label) not in base.cells)
    return Comparison(base, new, changes, judge_together(pairs, tolerance, base.margin), added, differing)


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
                found.setdefault(key, (written(one.get(key, absent)), written(other.get(key, absent))))
    return found


def _check_allowed(allow: Sequence[str], sides: Sequence[Side]) -> None:
    known = {key for side in sides for cell in side.cells.values() for key in cell.conditions} | set(REPEATS)
    for key in allow:
        if key not in known:
            raise PlanError(one_of("--allow", key, known))
