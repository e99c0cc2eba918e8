"""What a RunFields must be like: every rule, checked before any rank starts.

Raises PlanError naming the first broken rule, its value, the choices and the fix.
"""

from __future__ import annotations

from dataclasses import fields

from ..config.choices import (DROP, EXCHANGES, GROUPS, INPUTS, KEEP, KINDS, LARGEST, LAST_BATCHES, NAME, PRECISIONS,
                              SEEDS)
from ..config.objectives import check
from ..config import optimizers
from ..config.optimizers import decaying
from ..config.strategies import STRATEGIES
from ..data.disk.names import is_on_disk
from ..errors import one_of, PlanError
from ..schedules.decays import DECAYS
from ..schedules.rates import warmup_length_epochs
from ..schedules.rules import RULES, TUNED_RULE
from .rule_validation import validate_rule
from ..config.fields import RunFields

FEWEST_SHARPNESS_EXAMPLES = 1000


def validate(config: RunFields) -> None:
    """Raise PlanError where a rule is broken, naming the first one, its value, the choices and the fix."""
    if not isinstance(config.experiment, str) or not NAME.fullmatch(config.experiment):
        raise PlanError(f"experiment={config.experiment!r} must be 1 to 60 letters, digits, '_' or '.', and start with "
                        "a letter or digit; it becomes part of a folder's name.")
    for name, choices in (("kind", KINDS), ("strategy", tuple(STRATEGIES)), ("precision", PRECISIONS),
                          ("input", INPUTS), ("rule", tuple(RULES)), ("decay", tuple(DECAYS)),
                          ("last_batch", LAST_BATCHES), ("exchange", EXCHANGES)):
        if getattr(config, name) not in choices:
            raise PlanError(one_of(name, getattr(config, name), choices))
    _validate_types(config)
    optimizers.check(config.optimizer)
    check(config.loss, config.metrics, config.from_logits)
    _validate_input(config)
    _validate_optimizer(config)
    _validate_placement(config)
    _validate_exchange(config)
    _validate_arithmetic(config)
    _validate_batches(config)
    _validate_last_batch(config)
    validate_rule(config)
    _validate_decay(config)
    _validate_trial(config)


def _validate_types(config: RunFields) -> None:
    for field in fields(RunFields):
        value, kind = getattr(config, field.name), str(field.type)
        if kind == "int" and (not isinstance(value, int) or isinstance(value, bool) or not abs(value) <= LARGEST):
            raise PlanError(f"{field.name}={value!r} must be a whole number, at most 2^53 in size.")
        if kind == "float" and (isinstance(value, bool) or not isinstance(value, (int, float))
                                or not abs(value) <= LARGEST):
            raise PlanError(f"{field.name}={value!r} must be a finite number, at most 2^53 in size.")
        if kind == "str" and not isinstance(value, str):
            raise PlanError(f"{field.name}={value!r} must be text in quotes.")
        if kind.startswith("bool") and not isinstance(value, bool) and not (value is None and "None" in kind):
            raise PlanError(f"{field.name}={value!r} must be true or false.")
    for name in ("replicas", "nodes", "cores_per_replica", "epochs", "windows", "reference_batch", "train_subset",
                 "global_batch", "base_learning_rate", "window_seconds", "accumulation", "decay_factor",
                 "decay_power", "memory_steps"):
        if getattr(config, name) <= 0:
            raise PlanError(f"{name}={getattr(config, name)} must be greater than 0.")
    for name in ("seed", "launch", "warmup_steps", "warmup_epochs", "weight_decay", "clip_norm",
                 "memory_limit_bytes", "legw_epochs", "noise_scale", "rate_exponent",
                 "sharpness_examples"):
        if getattr(config, name) < 0:
            raise PlanError(f"{name}={getattr(config, name)} must not be negative.")
    if config.seed >= SEEDS:
        raise PlanError(f"seed={config.seed} must be below 2^32, the most that TensorFlow takes.")
    if not 0 <= config.momentum < 1:
        raise PlanError(f"momentum={config.momentum} must be at least 0 and below 1.")
    if not 0 <= config.validation_fraction < 1:
        raise PlanError(f"validation_fraction={config.validation_fraction} must be at least 0 and below 1.")


def _validate_optimizer(config: RunFields) -> None:
    if config.weight_decay and config.optimizer not in decaying():
        raise PlanError(f"weight_decay={config.weight_decay} has no meaning for optimizer={config.optimizer!r}; leave "
                        f"it out, or choose one of {', '.join(decaying())}.")


def _validate_trial(config: RunFields) -> None:
    if config.trial < -1 or (config.rule == TUNED_RULE) != (config.trial >= 0):
        raise PlanError(f"trial={config.trial} with rule={config.rule!r}: trials are numbered from 0, and only "
                        f"rule={TUNED_RULE!r} has them; -1 stands for none.")
    if config.stops_after and (config.rule != TUNED_RULE or not 0 < config.stops_after < config.epochs):
        raise PlanError(f"stops_after={config.stops_after} with rule={config.rule!r} and epochs={config.epochs}: only "
                        f"a trial of rule={TUNED_RULE!r} ends before its epochs do; 0 stands for none.")


def _validate_input(config: RunFields) -> None:
    if config.input != "auto" and is_on_disk(config.dataset):
        raise PlanError(f"input={config.input!r} is for examples in memory, and {config.dataset!r} is read from disk "
                        "while training; leave input out, or write the examples to an npz file.")


def _validate_last_batch(config: RunFields) -> None:
    if config.last_batch != KEEP:
        return
    if config.kind != "accuracy":
        raise PlanError(f"last_batch={KEEP!r} belongs to kind='accuracy', and this run is of kind={config.kind!r}, "
                        f"whose steps are all of one size; use last_batch={DROP!r}.")
    if config.adapts:
        raise PlanError(f"last_batch={KEEP!r} has no meaning for rule={config.rule!r}, which counts steps of whole "
                        f"batches; use last_batch={DROP!r}.")


def _validate_decay(config: RunFields) -> None:
    """Decay comes after warm-up and before the end. Needs valid batches."""
    if (config.decay == "piecewise") != bool(config.decay_epochs):
        raise PlanError(f"decay={config.decay!r} with decay_epochs={list(config.decay_epochs)}: the epochs belong to "
                        "decay='piecewise', which needs at least one.")
    if config.decay in ("cosine", "polynomial") and config.kind == "accuracy" and config.warmup_epochs >= config.epochs:
        raise PlanError(f"decay={config.decay!r} begins after warmup_epochs={config.warmup_epochs:g}, at or past the "
                        f"end of the run of {config.epochs} epochs; set warmup_epochs (0 is allowed) or raise epochs.")
    first = warmup_length_epochs(config)
    for before, epoch in zip((first, *config.decay_epochs), config.decay_epochs):
        if isinstance(epoch, bool) or not isinstance(epoch, (int, float)) or not epoch > 0 or epoch < before:
            raise PlanError(f"decay_epochs={list(config.decay_epochs)} must be numbers above 0, ascending, and not "
                            f"before the end of the warm-up of {first:g} epochs.")


def _validate_placement(config: RunFields) -> None:
    spec = STRATEGIES[config.strategy]
    if not spec.many_replicas and config.replicas != 1:
        others = _either([name for name, other in STRATEGIES.items() if other.many_replicas])
        raise PlanError(f"strategy={config.strategy!r} has one replica, not {config.replicas}; use {others}.")
    if spec.transports and config.transport not in spec.transports:
        raise PlanError(one_of("transport", config.transport, spec.transports))
    if config.transport and not spec.transports:
        owners = _either([repr(name) for name, other in STRATEGIES.items() if other.transports])
        raise PlanError(f"transport={config.transport!r} belongs to strategy={owners}, not {config.strategy!r}; "
                        "leave it out.")
    if not spec.many_nodes and config.nodes != 1:
        others = _either([name for name, other in STRATEGIES.items() if other.many_nodes])
        raise PlanError(f"strategy={config.strategy!r} runs on one node, not {config.nodes}; use {others}.")
    if config.replicas % config.nodes:
        raise PlanError(f"replicas={config.replicas} do not divide over {config.nodes} nodes; "
                        f"use a multiple of {config.nodes}.")


def _validate_exchange(config: RunFields) -> None:
    """Groups of gradients are sent while others are computed: there must be an exchange, and gradients that come one
    after another."""
    if config.exchange != GROUPS:
        return
    if not STRATEGIES[config.strategy].exchanges:
        others = _either([name for name, other in STRATEGIES.items() if other.exchanges])
        raise PlanError(f"exchange={GROUPS!r} with strategy={config.strategy!r}, which has no exchange of gradients; "
                        f"leave it out, or use {others}.")
    if config.accumulation > 1 or config.jit:
        why = "jit = true" if config.jit else f"accumulation={config.accumulation}"
        raise PlanError(f"exchange={GROUPS!r} with {why}: all gradients are there at once, at the end of "
                        f"{'the compiled function' if config.jit else 'the last micro-batch'}, so that no group could "
                        "be sent while others are computed; leave one of them out.")


def _either(names: list[str]) -> str:
    return " or ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _validate_arithmetic(config: RunFields) -> None:
    if config.tf32 is not None and config.precision != "float32":
        raise PlanError(f"tf32={config.tf32} is about products of float32, and precision={config.precision!r}; leave "
                        "it out.")
    if config.adapts and config.precision == "mixed_float16":
        raise PlanError(f"rule={config.rule!r} counts every step's gain, and precision='mixed_float16' leaves steps "
                        "out; use precision='mixed_bfloat16', or another rule.")
    if config.jit and config.synchronized_batch_norm and config.replicas > 1:
        raise PlanError("synchronized_batch_norm = true exchanges moments inside the loss, which jit = true compiles "
                        "by XLA, where replicas cannot exchange anything; leave one of them out.")


def _validate_batches(config: RunFields) -> None:
    for batch in config.batches:
        if not isinstance(batch, int) or batch <= 0:
            raise PlanError(f"global_batch={batch!r} must be a whole number greater than 0.")
        if batch % (parts := config.replicas * config.accumulation):
            low = max(batch // parts, 1) * parts
            near = (low,) if low > batch else (low, low + parts)
            micro = f" of {config.accumulation} micro-batches" if config.accumulation > 1 else ""
            raise PlanError(f"global_batch={batch} is not divisible by {config.replicas} replicas{micro}; "
                            f"nearest valid: {' and '.join(map(str, near))}.")
        if batch > config.train_examples and config.kind != "memory":
            raise PlanError(f"global_batch={batch} is larger than the {config.train_examples} training examples of "
                            f"{config.dataset!r} (validation split taken off); choose at most "
                            f"{config.train_examples}, or \"all\".")
    for batch in config.noise_batches:
        if not isinstance(batch, int) or batch < 1 or 2 * batch > config.train_examples:
            raise PlanError(f"noise_batches has {batch!r}; each must be a whole number from 1 to half the training "
                            f"examples ({config.train_examples // 2}).")
    fewest = min(FEWEST_SHARPNESS_EXAMPLES, config.train_examples)
    if config.sharpness_examples and not fewest <= config.sharpness_examples <= config.train_examples:
        raise PlanError(f"sharpness_examples={config.sharpness_examples} must be 0 (not measured) or a whole number "
                        f"from {fewest} to the training examples ({config.train_examples}).")
