"""How the best rate grows with the batch: the exponent of the tuned arm, its next rates, and the surface around it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .....benchmarks.schedules.rules import has_own_reference, is_measured, POWERS
from .....benchmarks.text import counted, listed, number
from ....figures.contours import Contours
from ....figures.drawing import Figure
from ....figures.lines import Axis, draw_lines, Panel, Series
from ....figures.theme import GOOD, role
from ....formatting import brief, estimated, Table, table
from ....laws.rates.best_rate import BestRate
from ....laws.rates.exponent import RateLaw
from ....laws.rates.surface import RateSurface
from ....statistics.estimate import Estimate, unknown, without_interval
from ....statistics.held_out import FARTHEST
from ....study.groups import Workload
from ....study.tuning.rate_laws import TunedLaw
from ...blocks import Section
from ...builder import section
from ...findings import Findings

GRID = 60
HEIGHT = 3.9
MEASURED = "measured"
ROOM = 1.4  # times: how far the picture goes beyond the rates that it is about
NEEDS = 'rules = ["tuned"]; global_batches = [32, 128, 512]'


@section("best-rates", "How the best rate grows with the batch", needs=NEEDS)
def build(findings: Findings) -> Section | None:
    """Return the exponent of each tuned arm in words, its best and next rates, and a picture of batch and rate."""
    works = [(name, work, law) for name, work in findings.panels for law in findings.study.rate_laws
             if (law.experiment, law.placement) == (work.experiment, work.placement) and law.best]
    if not works:
        return None
    text = ("Near its best rate a result is about quadratic in log rate, so the best rate of each batch is the vertex "
            "of a parabola through those tried around it. The exponent a of best rate ~ batch^a is the slope through "
            "these in logarithms, shrunk towards what theory says of the optimizer: much where the rates say little, "
            "hardly where they are clear. A best rate at the edge of those tried counts as lying beyond, not as a "
            "value.", *(sentence for _, work, law in works for sentence in _in_words(work, law)))
    figures = tuple(figure for name, work, law in works for figure in _picture(name, work, law))
    return Section(text, figures, (*_exponents(works), *_rates(works)))


def _in_words(work: Workload, found: TunedLaw) -> Iterator[str]:
    if found.law is None:
        yield f"{work.title}: no exponent, for {found.note}."
        return
    exponent = found.law.exponent
    yield (f"{work.title}: the best rate grows as batch^a with a = {estimated(exponent, digits=2)}. "
           f"{_against(exponent)} Before measuring, a was thought to lie {found.prior.source}; the rates alone say "
           f"{brief(found.law.unshrunk, digits=2)}.")
    nexts = listed(f"{brief(rate)} at batch {batch:,}" for batch, rate in found.next_rates.items())
    yield (f"By it the next rates are {nexts}. The exponent of real trainings falls as batches grow, so beyond "
           f"{FARTHEST:g} times the largest batch tuned it is a guess: tune there."
           + (f" A plan follows it with rules = [\"{MEASURED}\"] and rate_exponent = {exponent.value:.2g}."
              if exponent.value > 0.005 else ""))


def _against(exponent: Estimate) -> str:
    """Which rules the interval leaves possible."""
    held = [name for name, power in POWERS.items() if exponent.low <= power <= exponent.high]
    others = [name for name in POWERS if name not in held]
    first = f"Its interval holds {listed(f'{name} ({POWERS[name]:g})' for name in held)}" if held \
        else "Its interval holds none of the rules that are a power of the batch"
    rest = listed(f"{name} ({POWERS[name]:g})" for name in others)
    outside = "lies outside" if len(POWERS) - len(held) == 1 else "lie outside"
    return f"{first}; {rest} {outside}." if rest and held else f"{first}."


def _picture(name: str, work: Workload, found: TunedLaw) -> Iterator[Figure]:
    """The tuned batches across and the rates tried around the best ones up; what lies outside is not drawn."""
    used = [trial.learning_rate for one in found.best for trial in one.used]
    if found.surface is None or not used:
        return
    limits = min(used) / ROOM, max(used) * ROOM
    title = f"{work.title}: validation {found.outcome.name} over batch and learning rate"
    panel = Panel(f"{name}-best-rates", title, Axis("global batch", 2, tuple(map(float, found.batches))),
                  Axis("learning rate", 10, bounds=limits), tuple(_series(work, found, limits)),
                  contours=_contours(found.surface, found, limits), height=HEIGHT)
    edges = [one for one in found.best if one.side]
    beyond = " Triangles: the best rate lies at or beyond the edge of those tried." if edges else ""
    rms = number(100 * found.surface.rms, 2) + " points" if found.outcome.percent else number(found.surface.rms, 2)
    yield Figure(panel.name, title, draw_lines(panel),
                 f"{work.detail}. Thin lines: equal validation {found.outcome.name}, by a quadratic in log batch and "
                 f"log rate fitted to {counted(found.surface.points, 'trial')} around the best rates, from which "
                 f"these lie {rms} apart (root mean square). Dots: the best rate of each batch with 95 % intervals."
                 f"{beyond} Lines: the rates of the rules, and {MEASURED}, the line through the best rates.")


def _contours(surface: RateSurface, found: TunedLaw, limits: tuple[float, float]) -> Contours:
    batches = np.geomspace(found.batches[0], found.batches[-1], GRID)
    rates = np.geomspace(*limits, GRID)
    values = -found.outcome.sign * surface.values(batches[None, :], rates[:, None])
    return Contours(batches, rates, values, found.outcome.percent)


def _series(work: Workload, found: TunedLaw, limits: tuple[float, float]) -> Iterator[Series]:
    rules = {rule: _path(work, rule) for rule in dict.fromkeys((*POWERS, *work.rules))
             if not has_own_reference(rule) and not is_measured(rule) and rule != MEASURED}
    if found.law:
        yield Series(MEASURED, role(MEASURED), _inside(_line(found.law, found.batches), limits), band=True)
    for rule, path in rules.items():
        shown = _inside(path, limits)
        if len(shown) > 1:
            yield Series(rule, role(rule), shown, band=True)
    for side, marker in ((0, "o"), (1, "^"), (-1, "v")):
        own = [one for one in found.best if one.side == side]
        if own:
            yield Series("", GOOD, tuple((float(one.global_batch), _within(one, limits)) for one in own), marker,
                         line=False, name=f"best rate{', or beyond' if side else ''}")


def _line(law: RateLaw, batches: tuple[int, ...]) -> tuple[tuple[float, Estimate], ...]:
    return tuple((float(batch), without_interval(law.rate(batch).value, 0))
                 for batch in np.geomspace(batches[0], batches[-1], GRID))


def _path(work: Workload, rule: str) -> tuple[tuple[float, Estimate], ...]:
    """The rates of the rule: those that its runs had, or where it is a power of the batch and was not run, those that
    they would have had."""
    base = work.arm("constant", work.reference_batch)
    rates = {batch: work.arm(rule, batch) for batch in work.batches}
    if not base.empty and rule in POWERS:
        start = float(base["peak_learning_rate"].iloc[0])
        return tuple((float(batch), without_interval(start * (batch / work.reference_batch) ** POWERS[rule], 0))
                     for batch in np.geomspace(work.batches[0], work.batches[-1], GRID))
    return tuple((float(batch), without_interval(float(runs["peak_learning_rate"].iloc[0]), 0))
                 for batch, runs in rates.items() if not runs.empty)


def _inside(path: tuple[tuple[float, Estimate], ...], limits: tuple[float, float]
            ) -> tuple[tuple[float, Estimate], ...]:
    return tuple((x, y) for x, y in path if limits[0] <= y.value <= limits[1])


def _within(one: BestRate, limits: tuple[float, float]) -> Estimate:
    """The best rate as it can be drawn: what is unbounded ends at the edge of the picture."""
    return one.learning_rate.within(*limits)


def _exponents(works: list[tuple[str, Workload, TunedLaw]]) -> tuple[Table, ...]:
    rows = [(work.name, _number(found.law.exponent if found.law else unknown()),
             _number(found.law.unshrunk if found.law else unknown()), _number(found.prior.estimate),
             number(found.law.scatter, 2) if found.law else "", found.note) for _, work, found in works]
    return table(("experiment", "exponent a", "by the rates alone", "before measuring", "scatter", "remarks"), rows,
                 "best rate ~ batch^a, median and central 95 %, n batches. Scatter: of best rates about the line, in "
                 "natural logarithms.", (4,))


def _number(exponent: Estimate) -> str:
    return brief(exponent, digits=2) if exponent.n == 0 else estimated(exponent, digits=2)


def _rates(works: list[tuple[str, Workload, TunedLaw]]) -> tuple[Table, ...]:
    rows: list[tuple[str, ...]] = []
    for _, work, found in works:
        rows += [(work.name, f"{one.global_batch:,}", _shown(one),
                  brief(found.law.rate(one.global_batch)) if found.law else "") for one in found.best]
        rows += [(work.name, f"{batch:,}", "not tuned", brief(rate)) for batch, rate in found.next_rates.items()]
    return table(("experiment", "batch", "best rate", "by the line"), rows,
                 "The best rate of each batch, and what the line gives to it and to the next ones: 95 % intervals, "
                 "those of the line for one batch's own best rate, with the scatter.", (1,))


def _shown(one: BestRate) -> str:
    if not one.side:
        return brief(one.learning_rate)
    ends = [trial.learning_rate for trial in one.used]
    edge = min(ends) if one.side < 0 else max(ends)
    return f"at or {one.beyond} {number(edge)}, the edge of those tried"
