"""RunConfig: one run, fully specified. Nothing that changes a result lives outside it.

Numbers that follow from it (replica batch, steps, peak rate) are properties here and are written beside it in
`config.json` and in the record, so no reader has to derive them again.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, fields
from typing import Any

from .errors import PlanError, one_of
from .tuning import TUNED_RULE

KINDS = ("accuracy", "throughput", "memory")
STRATEGIES = ("single", "mirrored", "horovod")
TRANSPORTS = ("gloo", "mpi")
OPTIMIZERS = ("sgd", "momentum", "nesterov", "adam", "adamw", "lars", "lamb")
ADAMS = ("adam", "adamw")  # the optimizers that the rule adam_sqrt is made for
DECAYING = ("adamw", "lars", "lamb")  # the optimizers that take a weight_decay
LARGEST = 2**53  # whole numbers up to here are exact as float64, and products of two stay finite
SEEDS = 2**32
PRECISIONS = ("float32", "float64")
INPUTS = ("auto", "resident", "stream")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.]{0,59}")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One run: what is trained, how, on what, from which seed.

    `kind` decides what is collected: `accuracy` trains `epochs` and evaluates; `throughput` times `windows` windows
    after `warmup_steps`; `memory` takes a few steps in a fresh process and reads the peak.
    """

    experiment: str
    kind: str
    dataset: str
    model: str
    optimizer: str
    global_batch: int
    train_examples: int
    seed: int
    rule: str = "constant"
    trial: int = -1
    base_learning_rate: float = 0.01
    reference_batch: int = 32
    momentum: float = 0.9
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    accumulation: int = 1
    warmup_epochs: float = 5.0
    decay: str = ""
    decay_epochs: tuple[float, ...] = ()
    decay_factor: float = 0.1
    decay_power: float = 2.0
    epochs: int = 1
    earlier_batches: tuple[int, ...] = ()
    validation_fraction: float = 0.2
    train_subset: int = 10_000
    noise_batches: tuple[int, ...] = ()
    strategy: str = "single"
    transport: str = ""
    replicas: int = 1
    nodes: int = 1
    cores_per_replica: int = 1
    scaling: str = ""
    launch: int = 0
    warmup_steps: int = 20
    windows: int = 10
    window_seconds: float = 0.2
    precision: str = "float32"
    jit: bool = False
    input: str = "auto"

    def __post_init__(self) -> None:
        validate(self)

    @property
    def replica_batch(self) -> int:
        """Examples a replica holds at once, n = B / (R accumulation); batch norm normalizes over them."""
        return self.global_batch // (self.replicas * self.accumulation)

    @property
    def batches(self) -> tuple[int, ...]:
        """The global batch of each phase; several only where batches follow one another on the same weights."""
        return (*self.earlier_batches, self.global_batch)

    @property
    def steps_per_epoch(self) -> int:
        return self.train_examples // self.global_batch

    @property
    def steps(self) -> int:
        """Steps of the last phase: epochs floor(N / B); the remainder of each epoch is dropped."""
        return self.epochs * self.steps_per_epoch

    @property
    def kappa(self) -> float:
        """B / B0: how many times the reference batch this global batch is."""
        return self.global_batch / self.reference_batch

    @property
    def shape(self) -> str:
        """Runs of one shape can share a worker; a timing launch and a memory run get a process of their own."""
        name = "-".join(p for p in (self.strategy, self.transport) if p)
        key = f"{name}-{self.replicas}r-{self.nodes}n-{self.cores_per_replica}c"
        if self.kind == "throughput":
            return f"{key}-timing-{self.experiment if self.scaling == '' else 'scaling'}-{self.launch}"
        return f"{key}-memory-{self.digest}" if self.kind == "memory" else key

    @property
    def alone(self) -> bool:
        """Whether nothing else may run on the machine meanwhile."""
        return self.kind != "accuracy"

    @property
    def digest(self) -> str:
        text = json.dumps(to_json(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    @property
    def run_id(self) -> str:
        """Readable, and unique by the digest of the whole configuration. Never parsed."""
        parts = (self.experiment, self.strategy, self.transport, f"{self.replicas}r", f"b{self.global_batch}",
                 self.rule, f"t{self.trial}" if self.trial >= 0 else "", f"s{self.seed}",
                 f"l{self.launch}" if self.kind == "throughput" else "", self.digest)
        return "-".join(part for part in parts if part)


def to_json(config: RunConfig) -> dict[str, Any]:
    return asdict(config)


def from_json(values: dict[str, Any]) -> RunConfig:
    """The configuration in a `config.json`. Raises PlanError for an unknown, missing or mistyped key."""
    known = {field.name for field in fields(RunConfig)}
    for name in values:
        if name not in known:
            raise PlanError(one_of("configuration key", name, known))
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    try:
        return RunConfig(**values)
    except TypeError as error:
        raise PlanError(f"configuration is incomplete: {error}") from None


def derived(config: RunConfig) -> dict[str, Any]:
    """What follows from the configuration, for records and people."""
    from .rules import flags, peak_rate, warmup_step_count
    return {
        "replica_batch": config.replica_batch, "steps_per_epoch": config.steps_per_epoch, "steps": config.steps,
        "peak_learning_rate": peak_rate(config), "warmup_steps": warmup_step_count(config),
        "kappa": config.kappa, "shape": config.shape, "alone": config.alone, "flags": flags(config),
    }


def validate(config: RunConfig) -> None:
    """Raises PlanError naming the first broken rule, its value, the choices and the fix."""
    from .decays import DECAYS
    from .rules import RULES
    if not isinstance(config.experiment, str) or not NAME.fullmatch(config.experiment):
        raise PlanError(f"experiment={config.experiment!r} must be 1 to 60 letters, digits, '_' or '.', and start with "
                        "a letter or digit; it becomes part of a folder's name.")
    for name, choices in (("kind", KINDS), ("strategy", STRATEGIES), ("optimizer", OPTIMIZERS),
                          ("precision", PRECISIONS), ("input", INPUTS), ("rule", tuple(RULES)),
                          ("decay", tuple(DECAYS))):
        if getattr(config, name) not in choices:
            raise PlanError(one_of(name, getattr(config, name), choices))
    _validate_types(config)
    _validate_optimizer(config)
    _validate_placement(config)
    _validate_batches(config)
    _validate_decay(config)
    _validate_trial(config)


def _validate_types(config: RunConfig) -> None:
    for field in fields(RunConfig):
        value, kind = getattr(config, field.name), str(field.type)
        if kind == "int" and (not isinstance(value, int) or isinstance(value, bool) or not abs(value) <= LARGEST):
            raise PlanError(f"{field.name}={value!r} must be a whole number, at most 2^53 in size.")
        if kind == "float" and (isinstance(value, bool) or not isinstance(value, (int, float))
                                or not abs(value) <= LARGEST):
            raise PlanError(f"{field.name}={value!r} must be a finite number, at most 2^53 in size.")
        if kind == "str" and not isinstance(value, str):
            raise PlanError(f"{field.name}={value!r} must be text in quotes.")
        if kind == "bool" and not isinstance(value, bool):
            raise PlanError(f"{field.name}={value!r} must be true or false.")
    for name in ("replicas", "nodes", "cores_per_replica", "epochs", "windows", "reference_batch", "train_subset",
                 "global_batch", "base_learning_rate", "window_seconds", "accumulation", "decay_factor",
                 "decay_power"):
        if getattr(config, name) <= 0:
            raise PlanError(f"{name}={getattr(config, name)} must be greater than 0.")
    for name in ("seed", "launch", "warmup_steps", "warmup_epochs", "weight_decay", "clip_norm"):
        if getattr(config, name) < 0:
            raise PlanError(f"{name}={getattr(config, name)} must not be negative.")
    if config.seed >= SEEDS:
        raise PlanError(f"seed={config.seed} must be below 2^32, the most that TensorFlow takes.")
    if not 0 <= config.momentum < 1:
        raise PlanError(f"momentum={config.momentum} must be at least 0 and below 1.")
    if not 0 <= config.validation_fraction < 1:
        raise PlanError(f"validation_fraction={config.validation_fraction} must be at least 0 and below 1.")


def _validate_optimizer(config: RunConfig) -> None:
    if config.weight_decay and config.optimizer not in DECAYING:
        raise PlanError(f"weight_decay={config.weight_decay} has no meaning for optimizer={config.optimizer!r}; leave "
                        f"it out, or choose one of {', '.join(DECAYING)}.")
    if config.rule == "adam_sqrt" and config.optimizer not in ADAMS:
        raise PlanError(f"rule='adam_sqrt' scales Adam's coefficients, which optimizer={config.optimizer!r} has not; "
                        f"use rule='sqrt', or choose one of {', '.join(ADAMS)}.")


def _validate_trial(config: RunConfig) -> None:
    if config.trial < -1 or (config.rule == TUNED_RULE) != (config.trial >= 0):
        raise PlanError(f"trial={config.trial} with rule={config.rule!r}: trials are numbered from 0, and only "
                        f"rule={TUNED_RULE!r} has them; -1 stands for none.")


def _validate_decay(config: RunConfig) -> None:
    """Decay comes after warm-up and before the end. Needs valid batches."""
    from .rules import warmup_step_count
    if (config.decay == "piecewise") != bool(config.decay_epochs):
        raise PlanError(f"decay={config.decay!r} with decay_epochs={list(config.decay_epochs)}: the epochs belong to "
                        "decay='piecewise', which needs at least one.")
    if config.decay in ("cosine", "polynomial") and config.kind == "accuracy" and config.warmup_epochs >= config.epochs:
        raise PlanError(f"decay={config.decay!r} begins after warmup_epochs={config.warmup_epochs:g}, at or past the "
                        f"end of the run of {config.epochs} epochs; set warmup_epochs (0 is allowed) or raise epochs.")
    first = config.warmup_epochs if warmup_step_count(config) else 0.0
    for before, epoch in zip((first, *config.decay_epochs), config.decay_epochs):
        if isinstance(epoch, bool) or not isinstance(epoch, (int, float)) or not epoch > 0 or epoch < before:
            raise PlanError(f"decay_epochs={list(config.decay_epochs)} must be numbers above 0, ascending, and not "
                            f"before the end of the warm-up of {first:g} epochs.")


def _validate_placement(config: RunConfig) -> None:
    if config.strategy == "single" and config.replicas != 1:
        raise PlanError(f"strategy='single' has one replica, not {config.replicas}; use mirrored or horovod.")
    if config.strategy == "horovod" and config.transport not in TRANSPORTS:
        raise PlanError(one_of("transport", config.transport, TRANSPORTS))
    if config.strategy != "horovod" and config.transport:
        raise PlanError(f"transport={config.transport!r} belongs to strategy='horovod', not {config.strategy!r}; "
                        "leave it out.")
    if config.strategy in ("single", "mirrored") and config.nodes != 1:
        raise PlanError(f"strategy={config.strategy!r} runs on one node, not {config.nodes}; use horovod.")
    if config.replicas % config.nodes:
        raise PlanError(f"replicas={config.replicas} do not divide over {config.nodes} nodes; "
                        f"use a multiple of {config.nodes}.")


def _validate_batches(config: RunConfig) -> None:
    for batch in config.batches:
        if not isinstance(batch, int) or batch <= 0:
            raise PlanError(f"global_batch={batch!r} must be a whole number greater than 0.")
        if batch % (parts := config.replicas * config.accumulation):
            low = max(batch // parts, 1) * parts
            near = (low,) if low > batch else (low, low + parts)
            micro = f" of {config.accumulation} micro-batches" if config.accumulation > 1 else ""
            raise PlanError(f"global_batch={batch} is not divisible by {config.replicas} replicas{micro}; "
                            f"nearest valid: {' and '.join(map(str, near))}.")
        if batch > config.train_examples:
            raise PlanError(f"global_batch={batch} is larger than the {config.train_examples} training examples of "
                            f"{config.dataset!r} (validation split taken off); choose at most "
                            f"{config.train_examples}, or \"all\".")
    for batch in config.noise_batches:
        if not isinstance(batch, int) or batch < 1 or 2 * batch > config.train_examples:
            raise PlanError(f"noise_batches has {batch!r}; each must be a whole number from 1 to half the training "
                            f"examples ({config.train_examples // 2}).")
