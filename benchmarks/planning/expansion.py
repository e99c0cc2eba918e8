"""A plan multiplied out: every run on this machine, in order, and what was left out and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Any

from ..config.choices import DROP, MEASURED_RULE, ONE
from ..config.objectives import default_metrics
from ..config.script import is_script
from ..config import optimizers
from ..config.strategies import STRATEGIES, strategy_variants
from ..errors import PlanError
from ..runs.run_config import RunConfig
from ..schedules import rules
from ..schedules.rules import RULES
from ..text import counted
from . import keys, tuning
from .derived_keys import batches_of, most_seeds, ONLY_KEPT, reference_batch, warmup_epochs
from .expected_time import priority
from .plan import Plan

MOST_RUNS = 20_000
UNKNOWN = optimizers.OptimizerSpec(words="", default_rate=None)  # of a user's optimizer

TrainExamples = Callable[[str, float], int]


@dataclass(frozen=True)
class Skip:
    """Runs that this machine cannot do, and why."""

    experiment: str
    what: str
    reason: str


@dataclass
class Expansion:
    """Every run of a plan on this machine, in the order they are to be done, and what was left out."""

    runs: list[RunConfig] = field(default_factory=list)
    skipped: list[Skip] = field(default_factory=list)


def expand(plan: Plan, train_examples: TrainExamples, unavailable: Mapping[str, str]) -> Expansion:
    """Return all runs of the plan, and what was left out. Raises PlanError where there may be more than MOST_RUNS.

    `unavailable`: strategy ("mirrored", "horovod-mpi", ...) -> why this machine lacks it. Order: the reference run of
    the drift guard, timing launches interleaved over shapes, accuracy runs longest first, memory runs, the drift guard
    again.
    """
    if (most := sum(map(_most_runs, plan.experiments))) > MOST_RUNS:
        raise PlanError(f"plan {plan.name!r} lists up to {most:,} runs; the most is {MOST_RUNS:,}. Lower seeds or "
                        "launches, or make several plans of it.")
    expansion = Expansion()
    found: dict[str, RunConfig] = {}
    # What another experiment lists as well does not wait with those that time only what is kept.
    for experiment in sorted(plan.experiments, key=lambda one: bool(one.get(ONLY_KEPT))):
        for config in _runs(experiment, int(plan.settings.get("first_seed", 0)), train_examples, unavailable,
                            expansion.skipped):
            found.setdefault(config.digest, config)
    runs = list(found.values())
    accuracy = sorted((c for c in runs if c.kind == "accuracy"), key=priority, reverse=True)
    memory = [c for c in runs if c.kind == "memory"]
    guarded = accuracy and plan.settings["drift_guard"]
    like = [*accuracy[-1:], *(c for c in accuracy if c.rule != rules.TUNED_RULE)]  # a rate that is tried may diverge
    guard = [_drift_guard(like[-1], launch) for launch in (0, 1)] if guarded else []
    expansion.runs = [*guard[:1], *_interleaved(runs), *accuracy, *memory, *guard[1:]]
    return expansion


def _most_runs(experiment: Mapping[str, Any]) -> int:
    """Runs before equal ones are counted once and impossible ones left out."""
    batches = len(experiment.get("global_batches", ())) + len(experiment.get("replica_batches", ()))
    each = experiment["launches"] if experiment["kind"] == "throughput" else 1
    if experiment["kind"] == "accuracy":
        each = most_seeds(experiment) * (tuning.runs_per_seed(experiment) + 1)
    places = (len(experiment[name]) for name in ("strategies", "replicas", "nodes", "exchange"))
    return int(prod(places) * batches * each)


def _interleaved(runs: list[RunConfig]) -> Iterator[RunConfig]:
    """Timing runs: all shapes once, then all again in the opposite order, so that drift falls on every shape alike."""
    timing = [c for c in runs if c.kind == "throughput"]
    for launch in sorted({c.launch for c in timing}):
        group = sorted((c for c in timing if c.launch == launch),
                       key=lambda c: (c.strategy, c.transport, c.replicas, c.cores_per_replica, c.global_batch,
                                      c.exchange))
        yield from group if launch % 2 == 0 else reversed(group)


def _drift_guard(like: RunConfig, launch: int) -> RunConfig:
    """The same short timing run at the start and the end; their ratio says how far the machine drifted."""
    batch = min(256, like.train_examples)
    return RunConfig(experiment="drift_guard", kind="throughput", dataset=like.dataset, model=like.model,
                     loss=like.loss, metrics=like.metrics, from_logits=like.from_logits, optimizer=like.optimizer,
                     global_batch=batch, train_examples=like.train_examples, seed=0,
                     base_learning_rate=like.base_learning_rate, validation_fraction=like.validation_fraction,
                     launch=launch, precision=like.precision if is_script(like.model) else "float32",
                     tf32=like.tf32, deterministic=like.deterministic)


def _runs(experiment: Mapping[str, Any], first_seed: int, train_examples: TrainExamples,
          unavailable: Mapping[str, str], skipped: list[Skip]) -> Iterator[RunConfig]:
    examples = train_examples(experiment["dataset"], experiment["validation_fraction"]) \
        if "train_examples" not in experiment else int(experiment["train_examples"])
    experiment = {**experiment, "reference_batch": reference_batch(experiment, examples)}
    common = {name: experiment[name] for name in keys.PASSED_THROUGH if name in experiment}
    optimizer = experiment["optimizer"]
    optimizers.check(optimizer)
    spec = optimizers.known(optimizer) or UNKNOWN
    if "learning_rate" not in experiment and spec.default_rate is None:
        raise PlanError(f"experiment {experiment['name']!r} gives no learning_rate; Keras has no {optimizer} to take a "
                        "default from, so give one.")
    common.update(experiment=experiment["name"], train_examples=examples,
                  metrics=experiment.get("metrics", default_metrics(experiment["loss"])),
                  base_learning_rate=experiment.get("learning_rate", spec.default_rate or 0.0),
                  weight_decay=experiment.get("weight_decay", spec.default_decay))
    for strategy, replicas, nodes in product(experiment["strategies"], experiment["replicas"], experiment["nodes"]):
        placement = _placement(experiment, strategy, replicas, nodes, unavailable, skipped)
        if placement is None:
            continue
        for exchange in _exchanges(experiment, placement["strategy"]):
            own = {**common, **placement, "exchange": exchange}
            yield from _batches_and_rules(experiment, own, examples, first_seed)


def _placement(experiment: Mapping[str, Any], strategy: str, replicas: int, nodes: int,
               unavailable: Mapping[str, str], skipped: list[Skip]) -> dict[str, Any] | None:
    spec = STRATEGIES[strategy.partition("-")[0]]
    if not spec.many_replicas and replicas != 1 or nodes > (replicas if spec.many_nodes else 1):
        return None
    if strategy in STRATEGIES:  # the fastest transport that there is; the choice is recorded
        variants = strategy_variants(strategy)
        strategy = next((way for way in reversed(variants) if not unavailable.get(way)), variants[0])
    uneven = f"{replicas} replicas do not divide over {nodes} nodes" if nodes and replicas % nodes else ""
    too_many = (f"{replicas} replicas", f"{replicas} replicas of {experiment['cores_per_replica']} cores")
    reason = next(filter(None, map(unavailable.get, (strategy, f"{nodes} nodes"))), uneven)
    if reason := reason or next(filter(None, map(unavailable.get, too_many)), ""):
        where = f" on {nodes} nodes" if nodes > 1 else ""
        skip = Skip(experiment["name"], f"{strategy} with {counted(replicas, 'replica')}{where}", reason)
        if skip not in skipped:
            skipped.append(skip)
        return None
    name, _, transport = strategy.partition("-")
    return {"strategy": name, "transport": transport, "replicas": replicas, "nodes": nodes}


def _exchanges(experiment: Mapping[str, Any], strategy: str) -> tuple[str, ...]:
    """The ways in which the replicas exchange gradients; a strategy without an exchange is trained as it is, once."""
    return tuple(dict.fromkeys(experiment["exchange"])) if STRATEGIES[strategy].exchanges else (ONE,)


def _batches_and_rules(experiment: Mapping[str, Any], common: dict[str, Any], examples: int,
                       first_seed: int) -> Iterator[RunConfig]:
    batches = batches_of(experiment, examples, common["replicas"] * common["accumulation"])
    if experiment["kind"] != "accuracy":
        for batch in batches:
            for launch in range(experiment["launches"] if experiment["kind"] == "throughput" else 1):
                yield RunConfig(**common, kind=experiment["kind"], global_batch=batch, seed=first_seed, launch=launch)
        return
    common = {**common, "sharpness_examples": experiment["sharpness_examples"], "last_batch": experiment["last_batch"]}
    for seed in range(first_seed, first_seed + most_seeds(experiment)):
        yield from _accuracy_runs(experiment, common, batches, seed, first_seed)


def _accuracy_runs(experiment: Mapping[str, Any], common: dict[str, Any], batches: list[int], seed: int,
                   first_seed: int) -> Iterator[RunConfig]:
    reference = experiment["reference_batch"]
    for batch in batches:
        for rule in experiment["rules"]:
            if rule == rules.TUNED_RULE:
                yield from _trials(experiment, common, batch, seed, first_seed)
                continue
            # At the reference batch every rule is the same run: it is done once and shared.
            same = batch == reference and not RULES[rule].own_reference
            chosen = {"rule": rules.SHARED_RULE} if same else {"rule": rule, **_needed(experiment, rule)}
            chosen = {**chosen, **warmup_epochs(experiment, chosen["rule"], batch)}
            if chosen["rule"] == MEASURED_RULE:  # whose steps are counted in whole batches
                chosen["last_batch"] = DROP
            yield RunConfig(**{**common, **chosen}, kind="accuracy", global_batch=batch,
                            seed=seed, noise_batches=tuple(experiment["noise_batches"]) if batch == reference else ())
    if experiment["as_published"]:
        published = {"rule": rules.PUBLISHED_RULE, **warmup_epochs(experiment, rules.PUBLISHED_RULE, batches[-1])}
        yield RunConfig(**{**common, **published}, kind="accuracy", global_batch=batches[-1], seed=seed,
                        earlier_batches=tuple(batches[:-1]))


def _needed(experiment: Mapping[str, Any], rule: str) -> dict[str, Any]:
    """The number that this rule needs and no other knows; where the plan lacks it, its absence is refused."""
    name = RULES[rule].needs
    return {name: experiment[name]} if name in experiment else {}


def _trials(experiment: Mapping[str, Any], common: dict[str, Any], batch: int, seed: int,
            first_seed: int) -> Iterator[RunConfig]:
    """The tuned arm at one batch, also at the reference batch, which is tuned like every other; where its rates are
    halved, every run that may be asked for."""
    alone = experiment["rules"] == (rules.TUNED_RULE,) and batch == experiment["reference_batch"]
    probes = tuple(experiment["noise_batches"]) if alone else ()
    common = {**common, **warmup_epochs(experiment, rules.TUNED_RULE, batch)}
    halved = tuning.halving(experiment)
    stops = halved.stops if halved and seed - first_seed < halved.seeds else (tuning.TO_THE_END,)
    for trial, rate in enumerate(tuning.batch_rates(experiment, common["base_learning_rate"], batch)):
        for stops_after in stops:
            own = {"base_learning_rate": rate, **({"sharpness_examples": 0} if stops_after else {})}
            yield RunConfig(**{**common, **own}, rule=rules.TUNED_RULE, trial=trial, kind="accuracy",
                            global_batch=batch, seed=seed, noise_batches=probes, stops_after=stops_after)
