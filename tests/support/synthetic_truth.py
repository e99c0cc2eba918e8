"""The truth of a study that never ran, and its runs: what synthetic_records makes records from.

Curves, e in epochs of E, B the global batch:
    train loss      final + (2.3 - final) exp(-speed e) + tail (1 - e/E)
    test accuracy   0.1 + (final - 0.1) (1 - exp(-speed e))
    train - test    (0.02 + extra) (1 - train loss / 2.3)
    step seconds    (a + b n) + s (R > 1), n the replica batch
    memory          a + b n
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from batchscale.benchmarks.planning.tuning import trial_rates
from batchscale.benchmarks.runs.run_config import RunConfig
from batchscale.benchmarks.schedules.rules import TUNED_RULE

FIRST_LOSS = 2.3
GUESSING = 0.1
REFERENCE_BATCH = 32
By = Mapping[int, float]


@dataclass(frozen=True)
class Curve:
    """What one arm is made from: deviations by batch from the numbers at the reference batch."""

    accuracy_gap: By = field(default_factory=dict)
    loss_gap: By = field(default_factory=dict)
    generalization: By = field(default_factory=dict)
    speed: By = field(default_factory=dict)
    tail: By = field(default_factory=dict)
    diverged: tuple[int, ...] = ()


@dataclass(frozen=True)
class Tuning:
    """Truth of the rates that are tried, as factors of the square-root rule's rate.

    `best`: by batch, 1 where it is not named; `curvature`: accuracy lost a decade away from it, quadratic in the
    logarithm; `gain`: accuracy gained at the best over the constant rule's; above `diverged_above` all seeds diverge.
    """

    trials: int = 8
    search: tuple[float, float] = (0.1, 10.0)
    best: By = field(default_factory=dict)
    gain: By = field(default_factory=dict)
    curvature: float = 0.05
    diverged_above: float = math.inf

    def curve(self, batch: int, factor: float) -> Curve:
        lost = self.curvature * math.log10(factor / self.best.get(batch, 1.0)) ** 2 - self.gain.get(batch, 0.0)
        return Curve(accuracy_gap={batch: lost}, diverged=(batch,) if factor > self.diverged_above else ())


@dataclass(frozen=True)
class Experiment:
    name: str
    optimizer: str
    model: str
    batches: tuple[int, ...]
    curves: Mapping[str, Curve] = field(default_factory=lambda: {"constant": Curve()})
    parameters: int = 101_770
    as_published: bool = False
    noise_batches: tuple[int, ...] = (1, 8, 32, 128)
    tuning: Tuning | None = None

    @property
    def base_learning_rate(self) -> float:
        return 0.001 if self.optimizer == "adam" else 0.01

    def square_root_rate(self, batch: int) -> float:
        return math.sqrt(batch / REFERENCE_BATCH) * self.base_learning_rate


@dataclass(frozen=True)
class Timing:
    """Truth of the step: a + b n seconds, and what synchronisation adds from 2 replicas on.

    disturbed: (launch, replicas, times): that launch on so many replicas takes so many times as long, at every batch.
    launch_effect: standard deviation of the log of what all of a launch's shapes share.
    """

    fixed_seconds: float = 1e-3
    seconds_per_example: float = 1e-5
    synchronization_seconds: float = 2e-4
    replica_batches: tuple[int, ...] = (32, 128, 512, 2048)
    global_batches: tuple[int, ...] = (512, 2048)
    replicas: tuple[int, ...] = (1, 2)
    strategies: tuple[str, ...] = ("mirrored", "horovod")
    launches: int = 3
    noise: float = 0.01
    slow_rank: float = 1.0
    drift: float = 1.0
    disturbed: tuple[tuple[int, int, float], ...] = ()
    launch_effect: float = 0.0
    effect_seed: int = 0


@dataclass(frozen=True)
class Memory:
    fixed_bytes: float = 5e7
    bytes_per_example: float = 20_000.0
    batches: tuple[int, ...] = (256, 512, 1024, 2048, 4096)
    noise: float = 1e5


RULES = ("constant", "linear", "sqrt")
SGD = Experiment("sgd", "sgd", "mlp_128", (32, 128, 512, 4096), {rule: Curve() for rule in RULES})
ADAM = Experiment("adam", "adam", "mlp_128", (32, 128, 512, 2048),
                  {rule: Curve() for rule in RULES})
DEEP = Experiment("deep_adam", "adam", "mlp_512_256_128", (32, 256, 1024),
                  {rule: Curve() for rule in RULES}, 567_434)


@dataclass(frozen=True)
class Study:
    """The whole truth; `seed` makes the noise, nothing else does."""

    experiments: tuple[Experiment, ...] = (SGD, ADAM, DEEP)
    timing: Timing | None = field(default_factory=Timing)
    memory: Memory | None = field(default_factory=Memory)
    seeds: int = 6
    epochs: int = 10
    train_examples: int = 4096
    final_loss: float = 0.2
    final_accuracy: float = 0.9
    speed: float = 1.0
    noise: float = 0.001
    noise_scale: float = 200.0
    covariance_slope: float = -1.0
    norm_noise: float = 0.1
    margin: float = 0.005
    seed: int = 1


def change(study: Study, experiment: str, rule: str = "", **curve: Any) -> Study:
    """The study with other numbers in one arm, or in all arms of an experiment."""
    def changed(given: Experiment) -> Experiment:
        if given.name != experiment:
            return given
        return replace(given, curves={name: replace(old, **curve) if rule in ("", name) else old
                                      for name, old in given.curves.items()})
    return replace(study, experiments=tuple(map(changed, study.experiments)))


def configs(study: Study) -> Iterator[RunConfig]:
    """Every run of the study, each once for each seed or launch."""
    common: dict[str, Any] = {"dataset": "glyphs", "train_examples": study.train_examples,
                              "epochs": study.epochs}
    for experiment in study.experiments:
        yield from _accuracy_configs(study, experiment, common)
    basis: dict[str, Any] = {**common, "model": "mlp_128", "optimizer": "sgd", "seed": 0}
    if study.timing:
        yield from _timing_configs(study.timing, {**basis, "kind": "throughput"})
    for batch in study.memory.batches if study.memory else ():
        yield RunConfig(**basis, experiment="memory", kind="memory", global_batch=batch)


def _accuracy_configs(study: Study, of: Experiment, common: dict[str, Any]) -> Iterator[RunConfig]:
    basis: dict[str, Any] = {
        **common, "experiment": of.name, "kind": "accuracy", "model": of.model,
        "optimizer": of.optimizer, "base_learning_rate": of.base_learning_rate}
    for seed in range(study.seeds):
        for batch in of.batches:
            for rule in of.curves if batch != REFERENCE_BATCH else ("constant",):
                probes = of.noise_batches if batch == REFERENCE_BATCH else ()
                yield RunConfig(**basis, seed=seed, global_batch=batch, rule=rule,
                                noise_batches=probes)
            yield from _trials(of, {**basis, "seed": seed, "global_batch": batch})
        if of.as_published:
            yield RunConfig(**basis, seed=seed, global_batch=of.batches[-1], rule="as_published",
                            earlier_batches=of.batches[:-1])


def _trials(of: Experiment, basis: dict[str, Any]) -> Iterator[RunConfig]:
    middle = of.square_root_rate(basis["global_batch"])
    for trial, rate in enumerate(trial_rates(middle, of.tuning.trials, of.tuning.search) if of.tuning else ()):
        yield RunConfig(**{**basis, "base_learning_rate": rate}, rule=TUNED_RULE, trial=trial)


def _timing_configs(of: Timing, basis: dict[str, Any]) -> Iterator[RunConfig]:
    for launch in range(of.launches):
        for strategy in of.strategies:
            place: dict[str, Any] = {
                "strategy": strategy, "launch": launch,
                "transport": "mpi" if strategy == "horovod" else ""}
            for count in of.replicas:
                for batch in of.replica_batches:
                    yield RunConfig(**basis, **place, replicas=count, experiment="weak_scaling",
                                    scaling="weak", global_batch=batch * count)
                for batch in of.global_batches:
                    yield RunConfig(**basis, **place, replicas=count, scaling="strong",
                                    experiment="strong_scaling", global_batch=batch)
    for launch in (0, 1):
        yield RunConfig(**basis, experiment="drift_guard", global_batch=256, launch=launch)
