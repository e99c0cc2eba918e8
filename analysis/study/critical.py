"""The critical batch of one experiment, three ways side by side, with the disagreement in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...benchmarks.schedules.rules import TUNED_RULE
from ..laws.critical_batch import (compare_sources, fit_steps_to_target, StepsToTarget, ThroughputKnee, useful_batches,
                                   UsefulBatches)
from ..laws.noise_scale import noise_scales
from ..statistics.estimate import Estimate, Floats, mean_estimate, unknown
from ..tables.outcome import ACCURACY, Outcome
from ..tables.results import Results
from .arm_runs import reference_norms
from .arms import Arm
from .batch_gaps import best_steps, steps_to_target, target_value
from .timing.throughput import knee, throughput_groups

STEPS, NOISE, KNEE = "steps to target", "gradient noise scale", "throughput knee"


@dataclass(frozen=True)
class CriticalBatch:
    """`sources`: name -> critical batch, in examples of the global batch (the knee: of one
    replica's batch). `statements` put agreement, disagreement and what is not known in words."""

    experiment: str
    target: float
    outcome: Outcome
    steps: StepsToTarget | None
    useful: UsefulBatches | None
    sources: dict[str, Estimate]
    statements: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        known = math.isfinite(self.target)
        return {"experiment": self.experiment,
                f"target_{self.outcome.name}": self.target if known else None,
                "sources": {name: e.to_json() for name, e in self.sources.items()},
                "perfect_scaling_end": self.useful.perfect_scaling_end if self.useful else None,
                "largest_useful": self.useful.largest_useful if self.useful else None,
                "statements": list(self.statements)}


def critical_batch(results: Results, experiment: str, arms: Sequence[Arm]) -> CriticalBatch:
    """Return the critical batch of an experiment from all sources. `arms` are the experiment's, one for each rule."""
    outcome = results.outcomes.get(experiment, ACCURACY)
    target = target_value(arms[0], outcome.margin) if arms else math.nan
    steps, useful = _steps(arms, target)
    noise, noise_note = _noise(results, experiment)
    replica_knee, knee_note = _knee(results, arms)
    sources = {STEPS: steps.critical_batch if steps else unknown(), NOISE: noise,
               KNEE: replica_knee}
    notes = [f"{STEPS}: {steps.note}" if steps and steps.note else "",
             "" if steps else f"{STEPS}: not known; the reference batch has no {outcome.name}",
             f"{STEPS}: {useful.note}" if useful and useful.note else "",
             f"{NOISE}: {noise_note}" if noise_note else "",
             f"{KNEE}: {knee_note}" if knee_note else ""]
    return CriticalBatch(experiment, target, outcome, steps, useful, sources,
                         (*_sides(sources, arms), *(note for note in notes if note),
                          *compare_sources(_comparable(sources, arms))))


def _comparable(sources: dict[str, Estimate], arms: Sequence[Arm]) -> dict[str, Estimate]:
    """A steps fit that lies outside the batches measured is a bound, not a value to compare; the knee is a property of
    the hardware, in examples of one replica, which says nothing of the others."""
    batches = [batch for arm in arms for batch in arm.batches]
    inside = bool(batches) and min(batches) < sources[STEPS].value < max(batches)
    return {name: e for name, e in sources.items() if name == NOISE or (name == STEPS and inside)}


def _steps(arms: Sequence[Arm], target: float) -> tuple[StepsToTarget | None,
                                                        UsefulBatches | None]:
    if not math.isfinite(target):
        return None, None
    batches, counts = best_steps(steps_to_target(arms, target))
    return fit_steps_to_target(batches, counts), useful_batches(batches, counts)


def noise_by_seed(results: Results, experiment: str) -> Floats:
    """Return B_simple in examples of each seed of an experiment, float[seeds]; empty where it was not measured."""
    own = reference_norms(results, experiment)
    return noise_scales(own, int(own["train_examples"].iloc[0])) if len(own) else np.empty(0)


def _noise(results: Results, experiment: str) -> tuple[Estimate, str]:
    """Mean over the seeds of their run averages."""
    scales = noise_by_seed(results, experiment)
    if not scales.size:
        return unknown(), "not measured; give noise_batches"
    known = scales[np.isfinite(scales)]
    lost = len(scales) - len(known)
    note = f"{lost} seeds without an estimate: the gradient is lost in its noise" if lost else ""
    return mean_estimate(known), note


def _knee(results: Results, arms: Sequence[Arm]) -> tuple[Estimate, str]:
    """Of timing runs with the same model and data, and the same optimizer where there is one."""
    groups = [(rows["optimizer"].iloc[0], rows) for _, rows in throughput_groups(results)
              if arms and all(rows[name].iloc[0] == arms[0].text(name)
                              for name in ("model", "dataset"))]
    groups.sort(key=lambda item: item[0] != arms[0].text("optimizer"))
    if not groups:
        return unknown(), "not measured with this model at 3 batches or more"
    optimizer, rows = groups[0]
    found = knee(rows)
    if not isinstance(found, ThroughputKnee):
        return unknown(len(rows)), found
    note = "" if optimizer == arms[0].text("optimizer") else f"timed under {optimizer}"
    return found.knee_batch, "; ".join(part for part in (found.note, note) if part)


def _sides(sources: dict[str, Estimate], arms: Sequence[Arm]) -> list[str]:
    known = [f"{name} {estimate}" for name, estimate in sources.items()
             if math.isfinite(estimate.value)]
    tried = ", ".join(arm.rule for arm in arms)
    tuned = "the tuned one by what it ends with, not by steps" if any(arm.rule == TUNED_RULE for arm in arms) \
        else "none tuned"
    if not known:
        return ["The critical batch is not known: no source was measured."]
    return [f"Critical batch in examples: {'; '.join(known)}.",
            f"Steps are the fewest over the rules tried ({tried}), {tuned}; the knee is about "
            "the hardware and counts one replica's batch."]
