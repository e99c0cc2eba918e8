"""OPTIMIZERS: everything that the suite knows of each update rule, apart from the update itself."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import one_of, PlanError
from .script import is_script

Decay = Literal["none", "coupled", "decoupled"]


@dataclass(frozen=True, kw_only=True)
class OptimizerSpec:
    """One optimizer.

    `words`: its name in a sentence. `default_rate`: Keras' learning rate; None where Keras has no such optimizer.
    `default_decay`: Keras' weight decay. `momentum`: whether the key momentum acts. `decay`: whether weight decay is
    added to the gradient (coupled), applied beside it (decoupled), or not taken. `adaptive`: whether each weight has a
    step size of its own. `stability`: momentum -> the eta lambda_max beyond which the update diverges on a quadratic;
    None for optimizers that rescale gradients.
    """

    words: str
    default_rate: float | None
    default_decay: float = 0.0
    momentum: bool = False
    decay: Decay = "none"
    adaptive: bool = False
    stability: Callable[[float], float] | None = None


def _heavy_ball_bound(momentum: float) -> float:
    """Return 2 (1 + m): where a root of z^2 - (1 + m - eta lambda) z + m reaches -1."""
    return 2 * (1 + momentum)


def _nesterov_bound(momentum: float) -> float:
    """Return 2 (1 + m) / (1 + 2 m): where a root of z^2 - (1 + m)(1 - eta lambda) z + m (1 - eta lambda) reaches -1."""
    return 2 * (1 + momentum) / (1 + 2 * momentum)


OPTIMIZERS: dict[str, OptimizerSpec] = {
    "sgd": OptimizerSpec(words="SGD", default_rate=0.01, stability=lambda momentum: 2.0),
    "momentum": OptimizerSpec(words="SGD with momentum", default_rate=0.01, momentum=True,
                              stability=_heavy_ball_bound),
    "nesterov": OptimizerSpec(words="nesterov", default_rate=0.01, momentum=True, stability=_nesterov_bound),
    "adam": OptimizerSpec(words="Adam", default_rate=0.001, adaptive=True),
    "adamw": OptimizerSpec(words="adamw", default_rate=0.001, default_decay=0.004, decay="decoupled", adaptive=True),
    "lars": OptimizerSpec(words="lars", default_rate=None, momentum=True, decay="coupled"),
    "lamb": OptimizerSpec(words="lamb", default_rate=0.001, decay="decoupled", adaptive=True),
}


# Keras' own, by their classes' names -> learning rates by default. A test holds them to what is installed.
KERAS_RATES: dict[str, float] = {
    "SGD": 0.01, "RMSprop": 0.001, "Adam": 0.001, "AdamW": 0.001, "Adadelta": 0.001, "Adagrad": 0.001, "Adamax": 0.001,
    "Adafactor": 0.001, "Nadam": 0.001, "Ftrl": 0.001, "Lion": 0.001, "Lamb": 0.001, "Muon": 0.001}
KERAS = "keras:"
KERAS_EXAMPLE = "keras:Lion beta_1=0.95"
_ARGUMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def decaying() -> tuple[str, ...]:
    """Return the names of the optimizers that take a weight_decay."""
    return tuple(name for name, spec in OPTIMIZERS.items() if spec.decay != "none")


def is_adaptive(name: str) -> bool:
    """Return whether this optimizer gives each weight a step size of its own; False for one that is not known."""
    spec = known(name)
    return spec is not None and spec.adaptive


def known(name: str) -> OptimizerSpec | None:
    """Return what is known of an optimizer: of the suite's own, or of one of Keras', keras:NAME; None of others.

    >>> known("keras:Lion beta_1=0.95").words
    'Lion'
    """
    if name in OPTIMIZERS or not name.startswith(KERAS):
        return OPTIMIZERS.get(name)
    words = name.removeprefix(KERAS).partition(" ")[0]
    return OptimizerSpec(words=words, default_rate=KERAS_RATES[words], adaptive=words != "SGD") \
        if words in KERAS_RATES else None


def is_own(name: str) -> bool:
    """Return whether a user's code makes the optimizer: module:function, or a script."""
    return ":" in name and not name.startswith(KERAS)


def check(name: str) -> None:
    """Raise PlanError for an optimizer that is neither the suite's, nor one of Keras' with arguments that can be read,
    nor a user's."""
    if name.startswith(KERAS):
        keras_call(name)
    elif name not in OPTIMIZERS and not is_script(name) and not _FUNCTION.fullmatch(name):
        raise PlanError(not_known(name))


def not_known(name: str) -> str:
    """Return the sentence for an optimizer that is none of the suite's, with what Keras' own of that name is called.

    >>> not_known("rmsprop").partition("sgd. ")[2]
    "Keras' RMSprop is 'keras:RMSprop' here. Or give package.module:function."
    """
    plain = name.lower().replace("_", "")
    same = next((own for own in KERAS_RATES if own.lower() == plain and plain not in OPTIMIZERS), "")
    own = f"Keras' {same} is {KERAS + same!r} here. Or give" if same else \
        f"Or give one of Keras', such as {KERAS_EXAMPLE!r}, or"
    return one_of("optimizer", name, OPTIMIZERS) + f" {own} package.module:function."


def keras_call(name: str) -> tuple[str, dict[str, Any]]:
    """Return the class and the arguments of `keras:NAME argument=value ...`, values as JSON. Raises PlanError.

    >>> keras_call("keras:SGD momentum=0.9 nesterov=true")
    ('SGD', {'momentum': 0.9, 'nesterov': True})
    """
    try:
        words, *rest = shlex.split(name.removeprefix(KERAS)) or [""]
    except ValueError as error:
        raise PlanError(f"optimizer={name!r} cannot be read ({error}); write for example {KERAS_EXAMPLE!r}.") from None
    if words not in KERAS_RATES:
        raise PlanError(one_of("optimizer of Keras", words, KERAS_RATES))
    found: dict[str, Any] = {}
    for word in rest:
        match = _ARGUMENT.fullmatch(word)
        if not match or match[1] in found or match[1] == "learning_rate":
            raise PlanError(f"optimizer={name!r}: {word!r} must be argument=value, each argument once, and the rate is "
                            f"the plan's learning_rate; write for example {KERAS_EXAMPLE!r}.")
        found[match[1]] = _value(match[2])
    return words, found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def keras_name(words: str, arguments: Mapping[str, Any]) -> str:
    """Return the name of Keras' optimizer with these arguments, from which `keras_call` gives both again.

    >>> keras_name("SGD", {"momentum": 0.9, "nesterov": True})
    'keras:SGD momentum=0.9 nesterov=true'
    """
    return KERAS + shlex.join([words, *(f"{key}={json.dumps(value)}" for key, value in arguments.items())])
