"""Every key a plan may hold: its type, default and meaning, once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..config.choices import INPUTS, KINDS, LARGEST, PRECISIONS
from ..config.objectives import CROSS_ENTROPY, LOSSES, METRICS
from ..config.optimizers import OPTIMIZERS
from ..config.strategies import STRATEGIES, strategy_variants
from ..errors import one_of, PlanError
from ..schedules.decays import DECAYS
from ..schedules.rules import PUBLISHED_RULE, RULES

LONGEST_LIST = 256
LONGEST_TEXT = 2000
REQUIRED = object()
ABSENT = object()
STRATEGY_NAMES = tuple(dict.fromkeys(name for strategy in STRATEGIES
                                     for name in (strategy, *strategy_variants(strategy))))
RULE_NAMES = tuple(name for name in RULES if name != PUBLISHED_RULE)


@dataclass(frozen=True)
class Key:
    """One key: what kind of value, its default (REQUIRED: none; ABSENT: left out), its choices, what it means."""

    kind: str
    default: Any
    meaning: str
    choices: tuple[str, ...] = ()


PLAN: dict[str, Key] = {
    "name": Key("text", REQUIRED, "names the results folder"),
    "question": Key("text", "", "what the study is to answer, printed at the top of the report"),
    "margin": Key("number", 0.005, "difference in accuracy, as a fraction of at most 0.2, that counts as the same: "
                  "0.005 are 0.5 points"),
    "loss_margin": Key("number", 0.02, "of experiments without an accuracy: difference in loss that counts as the "
                       "same, as a share of the loss at the reference batch"),
    "first_seed": Key("whole", 0, "seeds are first_seed, first_seed + 1, ..."),
    "leaves_out": Key("texts", (), "what this plan does not measure, printed in the report"),
    "drift_guard": Key("flag", True, "time one short run at the start and again at the end"),
    "checkpoint_seconds": Key("number", 600.0, "a run that trains longer keeps its state at the first end of an epoch "
                              "after each such time; 0: at each. The next attempt goes on from there"),
    "watchdog_seconds": Key("number", 1800.0, "a run that gets on nowhere for so long is ended as timed_out, with the "
                            "stacks of all ranks; longer than the longest compilation or evaluation; 0: never. It "
                            "changes no result, so it may be edited between two commands"),
    "price_per_device_hour": Key("number", ABSENT, "for costs; absent: no costs"),
}
EXPERIMENT: dict[str, Key] = {
    "name": Key("text", REQUIRED, "names the experiment"),
    "kind": Key("text", "accuracy", "what is collected", KINDS),
    "dataset": Key("text", REQUIRED, "built-in name, npz:PATH, tfrecord:PATH,... or images:PATH,... (read "
                   "while training), synthetic:SHAPE,... or module:function"),
    "model": Key("text", REQUIRED, "built-in name or module:function"),
    "loss": Key("text", CROSS_ENTROPY, f"what is minimized: {', '.join(LOSSES)}, or module:function, (targets, "
                "outputs) -> one number per example"),
    "metrics": Key("texts", ABSENT, f"what evaluations measure beside the loss: {', '.join(METRICS)}, or "
                   "module:function as for the loss; default: accuracy with a cross-entropy, else none"),
    "optimizer": Key("text", "sgd", "update rule", tuple(OPTIMIZERS)),
    "momentum": Key("number", 0.9, "of the optimizers momentum, nesterov and lars"),
    "weight_decay": Key("number", ABSENT, "of adamw (default: Keras', 0.004), lars and lamb (default: 0); not on "
                        "biases and normalization parameters"),
    "learning_rate": Key("number", ABSENT, "eta0, at the reference batch; default: Keras' (adam, adamw and lamb 0.001, "
                         "sgd, momentum and nesterov 0.01); lars has none"),
    "reference_batch": Key("whole", ABSENT, "B0, at which every rule gives eta0, one of the batches; default: 32 where "
                           "it is one, else the smallest"),
    "warmup_epochs": Key("number", ABSENT, "length of the gradual warm-up of the rules linear and tuned; cosine and "
                         "polynomial decay begin here under every rule; default: 5, or half of the epochs of a run of "
                         "fewer than 10"),
    "legw_epochs": Key("number", ABSENT, "epochs of warm-up at the reference batch under the rule legw, which needs it "
                       "and multiplies it by kappa"),
    "noise_scale": Key("number", ABSENT, "Bn in examples, which the rules noise_scale and surge need: measure it "
                       "first, with noise_batches"),
    "decay": Key("text", "", "how the rate falls after warm-up, by epochs, the same at every batch", tuple(DECAYS)),
    "decay_epochs": Key("numbers", (), "epochs after which piecewise decay multiplies the rate by decay_factor"),
    "decay_factor": Key("number", 0.1, "of piecewise decay"),
    "decay_power": Key("number", 2.0, "of polynomial decay, (1 - p) ^ power"),
    "clip_norm": Key("number", 0.0, "largest global norm of the gradient, clipped after the average over replicas; 0: "
                     "no clipping"),
    "accumulation": Key("whole", 1, "micro-batches a replica takes one after another in a step, to reach a global "
                        "batch that does not fit"),
    "global_batches": Key("batches", ABSENT, "global batches; \"all\" is the whole training set"),
    "replica_batches": Key("wholes", ABSENT, "batches per replica, multiplied by replicas and accumulation (weak "
                           "scaling)"),
    "rules": Key("texts", ("constant",), "learning-rate rules", RULE_NAMES),
    "trials": Key("whole", 8, "learning rates that the rule tuned tries at each batch, with every seed"),
    "search": Key("numbers", (0.1, 10.0), "lowest and highest rate tried, as factors of the square-root rule's rate"),
    "as_published": Key("flag", False, "also train the batches one after another on the same weights"),
    "seeds": Key("whole", 6, "runs per point, paired over batches"),
    "epochs": Key("whole", 10, "length of an accuracy run"),
    "validation_fraction": Key("number", 0.2, "of the training data, for choosing"),
    "train_subset": Key("whole", 10_000, "training examples evaluated for the train metrics"),
    "noise_batches": Key("wholes", (), "batches of the gradient-norm probe, at the reference batch's runs"),
    "sharpness_examples": Key("whole", 0, "training examples, at least 1000, on which every accuracy run ends with its "
                              "top Hessian eigenvalue and SAM sharpness; 0: not measured"),
    "strategies": Key("texts", ("single",), "how replicas train together", STRATEGY_NAMES),
    "replicas": Key("wholes", (1,), "numbers of replicas"),
    "nodes": Key("wholes", (1,), "numbers of nodes that the replicas of horovod and multiworker are spread over; more "
                 "than 1: on Slurm"),
    "cores_per_replica": Key("whole", 1, "CPU cores a replica owns"),
    "scaling": Key("text", "", "what a throughput experiment keeps fixed", ("", "weak", "strong")),
    "launches": Key("whole", 3, "independent launches of each timing point"),
    "warmup_steps": Key("whole", 20, "steps before timing"),
    "windows": Key("whole", 10, "timed windows per launch"),
    "window_seconds": Key("number", 0.2, "length of a window; its step count is fixed before timing"),
    "precision": Key("text", "float32", "of weights and arithmetic; mixed: arithmetic in 16 bits, weights, losses and "
                     "updates in float32, with dynamic loss scaling for float16", PRECISIONS),
    "jit": Key("flag", False, "XLA compilation of each replica's loss and gradient, the same in all arms"),
    "synchronized_batch_norm": Key("flag", False, "batch norm over the examples of all replicas, instead of each "
                                   "replica's own"),
    "input": Key("text", "auto", "resident on the device, or streamed from memory; data sets on disk are always "
                 "read from there", INPUTS),
}
PASSED_THROUGH = ("dataset", "model", "loss", "optimizer", "momentum", "reference_batch",
                  "warmup_epochs", "decay", "decay_epochs", "decay_factor", "decay_power", "clip_norm", "accumulation",
                  "epochs", "validation_fraction", "train_subset", "cores_per_replica", "scaling",
                  "warmup_steps", "windows", "window_seconds", "precision", "jit", "synchronized_batch_norm", "input")
WATCHDOG_SECONDS = float(PLAN["watchdog_seconds"].default)


def setting_seconds(settings: Mapping[str, Any], name: str) -> float:
    """A [plan] key in seconds, by plan.json's settings; its default where they say none. It is in no run's
    configuration."""
    found = _number(settings.get(name))
    return float(PLAN[name].default) if found is None else found


def check(values: Any, keys: Mapping[str, Key], where: str, partial: bool = False) -> dict[str, Any]:
    """The values with defaults filled in. `partial`: nothing is required or filled in. Raises PlanError."""
    if not isinstance(values, dict):
        raise PlanError(f"{where} must be a table of keys.")
    for name in values:
        if name not in keys:
            raise PlanError(f"{where}: " + one_of("key", name, keys))
    result = {name: _convert(value, keys[name], f"{where}: {name}") for name, value in values.items()}
    if partial:
        return result
    for name, key in keys.items():
        if name not in result and key.default is REQUIRED:
            raise PlanError(f"{where}: {name} is missing ({key.meaning}).")
        if name not in result and key.default is not ABSENT:
            result[name] = key.default
    return result


def check_scaling(experiment: Mapping[str, Any], where: str) -> None:
    """Weak scaling keeps the batch of each replica, strong scaling the global one. Raises PlanError."""
    kept, other = {"weak": ("replica_batches", "global_batches"), "strong": ("global_batches", "replica_batches")}.get(
        experiment["scaling"], ("", ""))
    if kept and (other in experiment or kept not in experiment):
        raise PlanError(f"{where}: scaling = {experiment['scaling']!r} keeps the batches of {kept} fixed over the "
                        f"replica counts; give {kept}" + (f", and not {other}." if other in experiment else "."))


def _convert(value: Any, key: Key, where: str) -> Any:
    """Check one value. Raises PlanError with the rule, the value and the choices."""
    checked = _CONVERT[key.kind](value)
    if checked is None:
        raise PlanError(f"{where} = {value!r} must be {_WORDS[key.kind]}.")
    for item in checked if isinstance(checked, tuple) else (checked,):
        if key.choices and item not in key.choices:
            raise PlanError(f"{where}: " + one_of(where.rsplit(" ", 1)[-1], item, key.choices))
    return checked


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST else None


def _number(value: Any) -> float | None:
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= LARGEST
    return float(value) if good else None


def _list(item: Any) -> Any:
    def convert(value: Any) -> tuple[Any, ...] | None:
        if isinstance(value, (list, tuple)) and len(value) > LONGEST_LIST:
            return None
        items = tuple(item(v) for v in (value if isinstance(value, (list, tuple)) else [value]))
        return None if any(v is None for v in items) else items
    return convert


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and len(value) <= LONGEST_TEXT else None


def _batch(value: Any) -> int | str | None:
    return "all" if value == "all" else _whole(value)


_CONVERT = {"text": _text, "whole": _whole, "number": _number, "texts": _list(_text), "wholes": _list(_whole),
            "numbers": _list(_number), "batches": _list(_batch),
            "flag": lambda value: value if isinstance(value, bool) else None}
_MOST = f"a list of at most {LONGEST_LIST}"
_WORDS = {"text": f"text in quotes, at most {LONGEST_TEXT:,} characters", "flag": "true or false",
          "whole": "a whole number, not negative, at most 2^53", "number": "a number, not negative, at most 2^53",
          "texts": f"{_MOST} texts", "wholes": f"{_MOST} whole numbers", "numbers": f"{_MOST} numbers, not negative",
          "batches": f'{_MOST} whole numbers or "all"'}


def reference() -> str:
    """The keys as Markdown tables."""
    def row(name: str, key: Key) -> str:
        default = "required" if key.default is REQUIRED else "" if key.default is ABSENT else f"`{key.default!r}`"
        choices = f" One of: {', '.join(c or '(none)' for c in key.choices)}." if key.choices else ""
        return f"| `{name}` | {default} | {key.meaning}.{choices} |"
    parts = []
    for title, keys in (("[plan]", PLAN), ("[[experiment]], and [defaults] for all", EXPERIMENT)):
        rows = "\n".join(row(name, key) for name, key in keys.items())
        parts.append(f"### {title}\n\n| key | default | meaning |\n|---|---|---|\n{rows}\n")
    return "\n".join(parts)
