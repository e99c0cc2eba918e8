"""The critical batch of one experiment, three ways side by side, with the disagreement in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...benchmarks.schedules.rules import TUNED_RULE
from ..laws.critical_batch import compare_sources, StepsToTarget, ThroughputKnee, UsefulBatches
from ..laws.noise_average import noise_scale, NoiseScale
from ..statistics.estimate import Estimate, unknown
from ..tables.outcome import ACCURACY, Outcome
from ..tables.results import Results
from .arm_runs import reference_norms
from .arms import Arm
from .targets import MARGINS, target_law, target_value, TargetLaw
from .timing.throughput import knee, throughput_groups

STEPS, NOISE, KNEE = "steps to target", "gradient noise scale", "throughput knee"


@dataclass(frozen=True)
class CriticalBatch:
    """Critical batch of one experiment from several sources.

    `sources`: name -> critical batch, in examples of the global batch (the knee: of one replica's batch). `statements`
    put agreement, disagreement and what is not known in words.

    by_target: the law at each target, under the rule with the fewest steps at each batch; the first is the one of
    `sources`. by_rule: the law of the first target under each rule alone. noise: over the run; noise_to_target: over
    the steps that the reference batch takes to the first target, which is what steps to that target are about.
    """

    experiment: str
    target: float
    outcome: Outcome
    sources: dict[str, Estimate]
    statements: tuple[str, ...]
    by_target: tuple[TargetLaw, ...] = ()
    by_rule: tuple[TargetLaw, ...] = ()
    noise: NoiseScale | None = None
    noise_to_target: NoiseScale | None = None

    @property
    def steps(self) -> StepsToTarget | None:
        """Return the law of the first target; None where the reference batch sets none."""
        return self.by_target[0].law if self.by_target else None

    @property
    def useful(self) -> UsefulBatches | None:
        """Return the batches that are useful on the way to the first target; None where there is no target."""
        return self.by_target[0].useful if self.by_target else None

    def to_json(self) -> dict[str, Any]:
        """Return the sources, every target and rule, and the noise scale's course; what is not known is null."""
        known, useful = math.isfinite(self.target), self.useful
        return {"experiment": self.experiment,
                f"target_{self.outcome.name}": self.target if known else None,
                "sources": {name: e.to_json() for name, e in self.sources.items()},
                "perfect_scaling_end": useful.perfect_scaling_end if useful else None,
                "perfect_scaling_range": list(useful.perfect_range) if useful and useful.perfect_range else None,
                "largest_useful": useful.largest_useful if useful else None,
                "largest_useful_range": list(useful.useful_range) if useful and useful.useful_range else None,
                "by_target": [each.to_json() for each in self.by_target],
                "by_rule": [each.to_json() for each in self.by_rule],
                "noise_scale": self.noise.to_json() if self.noise else None,
                "noise_scale_to_target": self.noise_to_target.to_json() if self.noise_to_target else None,
                "statements": list(self.statements)}


def critical_batch(results: Results, experiment: str, arms: Sequence[Arm]) -> CriticalBatch:
    """Return the critical batch of an experiment from all sources. `arms` are the experiment's, one for each rule."""
    outcome = results.outcomes.get(experiment, ACCURACY)
    target = target_value(arms[0], outcome.margin) if arms else math.nan
    by_target, by_rule = _laws(arms, target)
    noise, to_target = _noise(results, experiment, by_target[0].passes_at if by_target else math.nan)
    replica_knee, knee_note = _knee(results, arms)
    steps = by_target[0].law if by_target else None
    useful = by_target[0].useful if by_target else None
    sources = {STEPS: steps.critical_batch if steps else unknown(), NOISE: noise.average if noise else unknown(),
               KNEE: replica_knee}
    notes = [f"{STEPS}: {steps.note}" if steps and steps.note else "",
             "" if steps else f"{STEPS}: not known; the reference batch has no {outcome.name}",
             f"{STEPS}: {useful.note}" if useful and useful.note else "",
             f"{NOISE}: {_course(noise, to_target)}" if noise else f"{NOISE}: not measured; give noise_batches",
             f"{KNEE}: {knee_note}" if knee_note else ""]
    return CriticalBatch(experiment, target, outcome, sources,
                         (*_sides(sources, arms), *_choices(by_target, by_rule), *(note for note in notes if note),
                          *_agreement(sources[STEPS], arms, noise, to_target)),
                         by_target, by_rule, noise, to_target)


def _laws(arms: Sequence[Arm], target: float) -> tuple[tuple[TargetLaw, ...], tuple[TargetLaw, ...]]:
    """The law at each target over all rules, and at the first target under each rule of several."""
    if not math.isfinite(target):
        return (), ()
    # A rule alone keeps the target of the first one's reference batch, so that all are about the same.
    each = tuple(target_law([own], MARGINS[0], target) for own in arms) if len(arms) > 1 else ()
    return tuple(target_law(arms, margins) for margins in MARGINS), each


def _agreement(steps: Estimate, arms: Sequence[Arm], noise: NoiseScale | None,
               to_target: NoiseScale | None) -> list[str]:
    """Steps to the target beside the noise scale on the way there, which is what the law is about, and over the run.

    A steps fit that lies outside the batches measured is a bound, not a value to compare; the knee is a property of
    the hardware, in examples of one replica, which says nothing of the others.
    """
    batches = [batch for arm in arms for batch in arm.batches]
    if not batches or not min(batches) < steps.value < max(batches):
        return []
    ways = ((f"{NOISE} up to the target", to_target), (f"{NOISE} over the run", noise))
    return [sentence for name, scale in ways if scale is not None
            for sentence in compare_sources({STEPS: steps, name: scale.average})]


def experiment_noise(results: Results, experiment: str, until: float = math.inf) -> NoiseScale | None:
    """Return the noise scale of an experiment over its steps up to `until`; None where it was not measured."""
    rows = reference_norms(results, experiment)
    if rows.empty:
        return None
    first = rows.iloc[0]
    return noise_scale(rows, int(first["train_examples"]), int(first["global_batch"]), until)


def _noise(results: Results, experiment: str, passes_at: float) -> tuple[NoiseScale | None, NoiseScale | None]:
    """Over the run, and until the reference batch passes the target; None where that is not known."""
    whole = experiment_noise(results, experiment)
    return whole, experiment_noise(results, experiment, passes_at) if whole and math.isfinite(passes_at) else None


def _course(noise: NoiseScale, to_target: NoiseScale | None) -> str:
    if not noise.curve:
        return f"not known: {noise.note}"
    parts = [f"{noise.average} over the run", f"{noise.start} at step {noise.first_step:,}",
             f"{noise.end} over the last tenth of the {noise.last_step:,} steps"]
    if to_target is not None:
        parts.append(f"{to_target.average} over the {to_target.last_step:,} steps up to the target")
    return "; ".join(parts) + (f". {noise.note}" if noise.note else "")


def _choices(by_target: Sequence[TargetLaw], by_rule: Sequence[TargetLaw]) -> list[str]:
    """What the value depends on and its interval leaves out: the target and the rule."""
    if not by_target:
        return []
    targets = [f"{each.law.critical_batch} at {each.target:.4g}" for each in by_target[1:]]
    alone = [f"{each.law.critical_batch} under {each.rule} alone" for each in by_rule]
    if not targets + alone:
        return []
    return ["The interval of steps to target is for this target and these rules, and does not include their choice: "
            f"{'; '.join(targets + alone)}."]


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
    parts = (found.note, f"n counts launches, at {rows['replica_batch'].nunique()} batches",
             "" if optimizer == arms[0].text("optimizer") else f"timed under {optimizer}")
    return found.knee_batch, "; ".join(part for part in parts if part)


def _sides(sources: dict[str, Estimate], arms: Sequence[Arm]) -> list[str]:
    known = [f"{name} {estimate}" for name, estimate in sources.items()
             if math.isfinite(estimate.value)]
    tried = ", ".join(arm.rule for arm in arms)
    tuned = "the tuned one by what it ends with, not by steps" if any(arm.rule == TUNED_RULE for arm in arms) \
        else "none tuned"
    if not known:
        return ["The critical batch is not known: no source was measured."]
    return [f"Critical batch in examples: {'; '.join(known)}.",
            f"Steps are those of the rule with the fewest at each batch, of {tried}, {tuned}; the knee is about "
            "the hardware and counts one replica's batch."]
