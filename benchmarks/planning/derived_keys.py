"""What follows from the keys of an experiment: its batches, the reference batch, the length of the warm-up, how many
seeds there may be and at which of them they are judged, and which timing waits for that."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ..errors import PlanError
from ..schedules.rules import RULES, SHARED_RULE

USUAL_REFERENCE = 32
# Goyal et al. 2017 (arXiv:1706.02677) warm up for 5 epochs of 90. A shorter run gives at most half of its epochs to it,
# so that it trains at its rule's rate for as long as it takes to get there; at the default of 10 epochs both are 5.
LONGEST_WARMUP_EPOCHS = 5.0
WARMUP_SHARE = 0.5
AUTO = "auto"
CLAIM_SEEDS = "claim_seeds"
SEED_KEYS = ("seeds", "min_seeds", "max_seeds", CLAIM_SEEDS)
PUBLISHED_BATCHES = (32, 128, 512)
"""The batches with which the ten claims were published."""
FEWEST_AT_A_LOOK = 3
MIN_SEEDS, MAX_SEEDS = FEWEST_AT_A_LOOK, 16
ONLY_KEPT = "only_kept"
TRAINING = ("script", "script_args", "dataset", "model", "optimizer")


def batches_of(experiment: Mapping[str, Any], examples: int, at_once: int) -> list[int]:
    """Return the global batches of an experiment in the plan's order, where `at_once` micro-batches are taken at once.
    Raises PlanError where it has none."""
    batches = [examples if batch == "all" else batch for batch in experiment.get("global_batches", ())]
    batches += [batch * at_once for batch in experiment.get("replica_batches", ())]
    if not batches:
        raise PlanError(f"experiment {experiment['name']!r} has neither global_batches nor replica_batches; give one.")
    return batches


def reference_batch(experiment: Mapping[str, Any], examples: int) -> int:
    """Return B0. Of accuracy runs it is one of their batches, since all are held against it: by default 32 where that
    is among them, else the smallest. Raises PlanError where the plan gives another one."""
    if experiment["kind"] != "accuracy":
        return int(experiment.get("reference_batch", USUAL_REFERENCE))
    batches = sorted({batch for replicas in experiment["replicas"]
                      for batch in batches_of(experiment, examples, replicas * experiment["accumulation"])})
    given = experiment.get("reference_batch", USUAL_REFERENCE if USUAL_REFERENCE in batches else batches[0])
    if given not in batches:
        raise PlanError(f"experiment {experiment['name']!r} has reference_batch = {given}, which is not among its "
                        f"batches ({', '.join(map(str, batches))}): its rates would be scaled from a batch that no "
                        "other is compared with. Add it to the batches, or set reference_batch to one of them and "
                        "learning_rate to what is right there, or leave it out: it is then the smallest.")
    return int(given)


def warmup_epochs(experiment: Mapping[str, Any], rule: str, batch: int) -> dict[str, float]:
    """Return the length of the warm-up where the plan gives none and the run has one: 5 epochs, or half of a run of
    fewer than 10. Nothing where it changes no rate, so that the run stays the same run."""
    warms_up = RULES[rule].follows_plan_warmup and batch != experiment["reference_batch"]
    used = warms_up or experiment["decay"] in ("cosine", "polynomial")
    if "warmup_epochs" in experiment or not used:
        return {}
    return {"warmup_epochs": min(LONGEST_WARMUP_EPOCHS, WARMUP_SHARE * experiment["epochs"])}


def seed_looks(experiment: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the numbers of seeds at which an experiment is judged, ascending; () where their number is fixed.

    Each further seed is a look up to half of the most, or twice the fewest, then every second one, since one seed of
    many tells little.
    """
    if experiment.get("seeds") != AUTO or experiment.get("kind", "accuracy") != "accuracy":
        return ()
    fewest, most = int(experiment.get("min_seeds", MIN_SEEDS)), int(experiment.get("max_seeds", MAX_SEEDS))
    each = range(fewest, min(max(2 * fewest, most // 2), most) + 1)
    return tuple(dict.fromkeys((*each, *range(each[-1] + 2, most, 2), most)))


def decisive_batch(batches: Collection[int]) -> int:
    """Return the batch that decides the claims: the largest that the published comparison had too, or else the
    largest."""
    return max([batch for batch in batches if batch in PUBLISHED_BATCHES] or batches)


def seeds_for_claims(experiment: Mapping[str, Any], cells: Collection[tuple[str, int]],
                     reference: float) -> dict[tuple[str, int], int]:
    """Return the seeds that rules and batches, of those trained, take whatever looks say of them, since the claims are
    decided by them: at the constant rate the reference batch, and of those above it the decisive one. Nothing where the
    plan asks for none, or where the reference is not known (NaN).

    That many seeds do not depend on what the runs find, so the claims are tested as if their number were fixed.
    """
    looks = seed_looks(experiment)
    larger = [batch for rule, batch in cells if rule == SHARED_RULE and batch > reference]
    if not looks or not larger or not experiment.get(CLAIM_SEEDS):
        return {}
    least = min(int(experiment[CLAIM_SEEDS]), looks[-1])
    return {(SHARED_RULE, batch): least for batch in (int(reference), decisive_batch(larger))}


def most_seeds(experiment: Mapping[str, Any]) -> int:
    """Return the most seeds that an experiment may take."""
    return int(experiment["max_seeds"] if experiment["seeds"] == AUTO else experiment["seeds"])


def check_seeds(experiment: Mapping[str, Any], where: str) -> None:
    """Check that seeds that are decided by looks have a first look and a last one. Raises PlanError."""
    if experiment["seeds"] != AUTO:
        return
    fewest, most = experiment["min_seeds"], experiment["max_seeds"]
    if fewest < FEWEST_AT_A_LOOK:
        raise PlanError(f"{where}: min_seeds = {fewest}; fewer than {FEWEST_AT_A_LOOK} show no spread to decide by; "
                        f"give {FEWEST_AT_A_LOOK} or more.")
    if most <= fewest:
        raise PlanError(f"{where}: max_seeds = {most} leaves nothing to decide above min_seeds = {fewest}; raise it, "
                        f"to {4 * fewest} for example, or write seeds = {fewest}.")


def waiting_for_accuracy(experiments: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Return the timing experiments of global batches that wait, by name, and the accuracy experiments that each waits
    for: those of the same data, model and optimizer whose seeds are decided by looks; without any, it does not wait."""
    judged = [one for one in experiments if seed_looks(one)]
    found = {str(one["name"]): tuple(str(other["name"]) for other in judged if _trains(other) == _trains(one))
             for one in experiments
             if one.get(ONLY_KEPT) and one.get("kind") == "throughput" and "replica_batches" not in one}
    return {name: others for name, others in found.items() if others}


def _trains(experiment: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(str(experiment.get(name, "")) for name in TRAINING)
