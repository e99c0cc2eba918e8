"""A comparison as Markdown, for a pull request: what got worse first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ...benchmarks.errors import EXIT_OK, EXIT_UNDECIDED
from ...benchmarks.text import counted, number
from ..formatting import plain
from .changes import METRICS, Change, Comparison

ORDER = ("regression", "missing", "not decided", "improvement", "no change")
MARKS = {"regression": "**regression**", "missing": "**missing**"}
HEADER = ("result", "metric", "configuration", "base", "new", "change", "95 % interval", "p", "n")
LONGEST = 200


def markdown(found: Comparison, strict: bool = False) -> str:
    """Return the comparison as Markdown: a heading with the verdict, a table of the changes over all configurations and
    of at most LONGEST metrics, regressions first, and notes for the reader. `strict`: metrics that are not decided keep
    it from passing."""
    ordered = sorted(found.changes, key=lambda change: ORDER.index(change.answer))
    passed = {EXIT_OK: "passed", EXIT_UNDECIDED: "cannot decide"}.get(found.exit_code(strict), "failed")
    lines = [f"### Batchscale comparison {passed}: {_counts(found)}", "",
             f"{plain(found.new.name)} against {plain(found.base.name)}.", "",
             _row(HEADER), _row(["---"] * 3 + ["---:"] * 6)]
    lines += [_row(_cells(change)) for change in (*found.together, *ordered[:LONGEST])]
    lines += ["", f"{counted(len(ordered) - LONGEST, 'further row')} not shown."] if len(ordered) > LONGEST else []
    return "\n".join([*lines, "", *_notes(found)])


def _counts(found: Comparison) -> str:
    counts = [(len(found.of("regression")), "regression"), (len(found.of("missing")), "missing metric"),
              (len(found.of("not decided")), "undecided metric"), (len(found.of("improvement")), "improvement")]
    told = [counted(count, name) for count, name in counts if count or name == "regression"]
    return f"{', '.join(told)} in {counted(len(found.changes), 'metric')}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(change: Change) -> list[str]:
    of = change.estimate
    relative = METRICS[change.metric].relative
    sign = [f"{round(value * 100, 1) + 0.0:+.1f}" for value in (of.value, of.low, of.high)]  # never -0.0
    unit = " %" if relative else " points"
    known = math.isfinite(of.value)
    ends = [number(value, 4) if math.isfinite(value) else "" for value in (change.base, change.new)]
    reason = f": {change.reason}" if change.reason else ""
    return [MARKS.get(change.answer, change.answer) + plain(reason), plain(change.metric), plain(change.label), *ends,
            f"{sign[0]}{unit}" if known else "", f"{sign[1]} to {sign[2]}" if of.has_interval else "",
            f"{change.p_value:.2g}" if math.isfinite(change.p_value) else "", str(of.n) if known else ""]


def _notes(found: Comparison) -> Iterator[str]:
    limits = dict.fromkeys((change.metric, change.tolerance) for change in found.changes)
    each = "; ".join(f"{plain(name)} {value * 100:g} {'%' if METRICS[name].relative else 'points'}"
                     for name, value in limits)
    yield (f"A regression is worse by more than the tolerance ({each}): its one-sided p value, against the tolerance, "
           "is below 0.025 after Holm's adjustment over all rows, and over the rows of all together apart. p is that "
           "of a change beyond the tolerance in the direction seen. Intervals are 95 % each, over launches (Welch, on "
           "logarithms), or paired by seed or batch; with five configurations or more each variance borrows from the "
           "others.")
    if undecided := found.of("not decided"):
        yield (f"\nNot decided: {counted(len(undecided), 'row')} whose interval holds both the tolerance and values "
               "within it. More launches or seeds decide; --strict fails on them.")
    for key, (one, other) in found.allowed.items():
        yield f"\nAllowed to differ: {plain(key)} is {plain(one)} in the base, {plain(other)} in the new results."
    for key, values in found.base.facts.items():
        now = found.new.facts.get(key, frozenset())
        if values != now:
            before, after = (", ".join(sorted(of)) or "not recorded" for of in (values, now))
            yield f"\nDiffers: {plain(key)} was {plain(before)}, is {plain(after)}."
    if found.added:
        yield f"\nOnly in the new results, so not compared: {plain('; '.join(found.added[:20]))}."
    if found.base.kind.startswith("pytest"):
        yield "\nRounds of one process: what differs from process to process is not in these intervals."
