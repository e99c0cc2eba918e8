"""The sections of the report, in the order of the page: a new one is its module and its line here."""

from __future__ import annotations

from ..builder import SectionBuilder
from .accuracy import accuracy, best_rates, curves, gradient, looks, published, rates, sharpness, tuned
from .decision import claims, critical, decision
from .imported import convergence, source, timing, training
from .memory import memory, search
from .runs import agreement, drift, failures, provenance, repeat, time_spent
from .speed import forecast, input, ranks, scaling, step, throughput

SECTIONS: tuple[SectionBuilder, ...] = (
    decision.build,
    claims.build,
    accuracy.build,
    looks.build,
    tuned.build,
    best_rates.build,
    rates.build,
    published.build,
    curves.build,
    convergence.build,
    training.build,
    timing.build,
    throughput.build,
    scaling.build,
    ranks.build,
    input.build,
    step.build,
    forecast.build,
    gradient.build,
    sharpness.build,
    critical.build,
    memory.build,
    search.build,
    time_spent.build,
    failures.build,
    drift.build,
    agreement.build,
    provenance.build,
    repeat.build,
    source.build,
)
