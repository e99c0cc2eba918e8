"""What a step is made of: the step model with its held-out error, communication that is not hidden, goodput."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from .....benchmarks.text import counted, listed, percent
from ....formatting import estimated, percentage, table, Table
from ....laws.step.model import NAMES, StepModelFit
from ....statistics.estimate import Estimate
from ....study.timing.step_fits import Goodput, StepFit
from ...blocks import Section
from ...builder import section, TIMING_LINES
from ...findings import Findings

MILLI = 1000.0
POOR_FIT = 0.10
SYMBOLS = ("a", "b", "c", "d", "c", "d", "y")


@section("step", "What a step is made of", needs=TIMING_LINES)
def build(findings: Findings) -> Section | None:
    """Return model, held-out error, exposed communication and goodput, each where the runs give it."""
    found = findings.study.steps
    return made_of(found, findings.goodputs) if found else None


def made_of(found: Sequence[StepFit], goodputs: Sequence[Goodput]) -> Section:
    """Return the section of step fits and goodputs at hand."""
    text = ["Step model (Pollux): a gradient takes a + b n seconds at n examples per replica, synchronization "
            "c + d (R - 2) on R replicas, and the two overlap: T = (gradient^y + synchronization^y)^(1/y), y from 1 "
            "(nothing overlaps) to 10 (nearly everything). Each micro-batch before the last adds its gradient time.",
            *(f"{one.name}: no step model; {one.note}" for one in found if one.fit is None),
            *_not_held_out(found), *_best(goodputs)]
    if not goodputs:
        text.append("Goodput, throughput times what an example is worth at a larger batch, is not known: it needs "
                    "timing runs and gradient norms of the same model, data and optimizer.")
    tables = (*_models(found), *_errors(found), *_exposed(found), *_goodputs(goodputs))
    return Section(tuple(text), (), tables, tuple(_doubts(found)))


def _doubts(found: Sequence[StepFit]) -> Iterator[str]:
    for one in found:
        if one.fit is not None and one.fit.rms_log_residual > POOR_FIT:
            yield (f"{one.name}: the step model misses the measured steps by {percent(one.fit.rms_log_residual)} (root "
                   f"mean square over its {one.fit.n} launches), so it does not describe them: do not read its "
                   "parameters. What grows with the batch on several replicas only, as when they share memory or "
                   "cores, is not in this model; the laws that predict other scales have it.")


def _models(found: Sequence[StepFit]) -> tuple[Table, ...]:
    rows = [(one.name, *row, f"{percent(one.fit.rms_log_residual, 1)}") for one in found if one.fit is not None
            for row in _parameters(one.fit)]
    return table(("what", "symbol", "parameter", "value", "rms residual"), rows,
                 "Least squares on the log of the step time of all launches; 95 % interval, n launches. No interval: "
                 "at its bound, or not to be told apart from another parameter. Parameters that no run shows, such as "
                 "those across nodes on one node, are left out. The rms residual describes these launches' own log "
                 "times, so it has no interval.", (4,))


def _parameters(fit: StepModelFit) -> Iterator[tuple[str, str, str]]:
    for (name, value), symbol in ((item, SYMBOLS[NAMES.index(item[0])]) for item in fit.estimates.items()):
        yield (symbol, name, _microseconds(value) if symbol == "b" else estimated(value) if symbol == "y" else
               estimated(value.scaled(MILLI), "ms"))


def _microseconds(value: Estimate) -> str:
    return estimated(value.scaled(MILLI * MILLI), "microseconds")


def _errors(found: Sequence[StepFit]) -> tuple[Table, ...]:
    rows = [(one.name, f"{error.size:,.0f}", estimated(error.measured.scaled(MILLI), "ms"),
             estimated(error.predicted.scaled(MILLI), "ms"), percentage(error.relative_error, signed=False), error.note)
            for one in found for error in one.held_out]
    return table(("what", "batch per replica", "measured", "predicted", "error", "note"), rows,
                 "Held-out error: the step at the most replicas, predicted by the model fitted without them. 95 % "
                 "intervals: measured, over launches; predicted and error, of one further launch.", (1,),
                 "Held-out error")


def _not_held_out(found: Sequence[StepFit]) -> Iterator[str]:
    names = [one.name for one in found if one.fit is not None and not one.held_out]
    if names:
        yield (f"No held-out error for {listed(names)}: it needs three replica counts, to predict the largest from the "
               "others. Predictions beyond those measured are not checked by anything.")


def _exposed(found: Sequence[StepFit]) -> tuple[Table, ...]:
    rows = [(one.name, str(each.replicas), str(each.nodes), f"{each.replica_batch:,}",
             estimated(each.step_seconds.scaled(MILLI), "ms"), estimated(each.exposed_seconds.scaled(MILLI), "ms"),
             percentage(each.share)) for one in found for each in one.exposed]
    return table(("what", "replicas", "nodes", "batch per replica", "step", "exposed communication",
                  "share of the step"), rows,
                 "Exposed communication: T(R, n) - T(1, n) of the same strategy, all that does not hide behind the "
                 "gradient, waiting for the slowest replica included. 95 % intervals over launches, paired by launch, "
                 "which begin at 0 where they would reach below.",
                 (1, 2, 3),
                 "Exposed communication")


def _goodputs(goodputs: Sequence[Goodput]) -> tuple[Table, ...]:
    rows = [(one.experiment, one.placement, f"{one.global_batch:,}", estimated(one.examples_per_second),
             percentage(one.worth, 0), percentage(one.worth_at_start, 0), percentage(one.worth_at_end, 0),
             estimated(one.goodput)) for one in goodputs]
    return table(("experiment", "on", "global batch", "examples per second", "worth of an example", "at the start",
                  "at the end", "goodput"), rows,
                 "Goodput: examples per second times the worth of an example, (phi + M0) / (phi + M), phi the noise "
                 "scale over the run, M0 the reference batch, M this one; its interval holds the uncertainty of both. "
                 "At the start and at the end: the worth by the noise scale there, which grows while training.",
                 (2,), "Goodput")


def _best(goodputs: Sequence[Goodput]) -> Iterator[str]:
    for experiment in dict.fromkeys(one.experiment for one in goodputs):
        own = [one for one in goodputs if one.experiment == experiment and math.isfinite(one.goodput.value)]
        if own:
            best = max(own, key=lambda one: one.goodput.value)
            alike = [one for one in own if one is not best and one.goodput.overlaps(best.goodput)]
            yield (f"{experiment}: goodput is greatest at batch {best.global_batch:,} on {best.placement} of "
                   f"{counted(len(own), 'timed shape')}, {estimated(best.goodput)} examples per second as good as "
                   f"those at batch {best.reference_batch:,}, by a noise scale over the run of "
                   f"{estimated(best.noise_scale)}." + (
                       f" The intervals of {counted(len(alike), 'other shape')} overlap with its own: they are not "
                       "told apart." if alike else ""))
