"""What a run trains, in digests by part: the data, the model, the losses' and metrics' source, and the versions.

Two runs with equal digests train the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from ...config.objectives import LOSSES, METRICS
from ...config.optimizers import is_own
from ...config.script import is_script
from ...data.fingerprint import DIGITS
from ...runs.run_config import RunConfig
from . import source

NAME_LISTS = ("input_layers", "output_layers", "keras_history")
DROPPED = ("dtype", "build_config", "compile_config")


def code(config: RunConfig) -> dict[str, str]:
    """Return the digests of the user's functions, whose modules must have been imported; "" for the suite's own."""
    if is_script(config.model):
        return {"model source": source.of_script(config.model), "loss source": "", "metrics source": ""}
    own = [name for name in config.metrics if name not in METRICS]
    made = {"optimizer source": _source([config.optimizer])} if is_own(config.optimizer) else {}
    return {**made, "model source": _source([config.model] if ":" in config.model else []),
            "loss source": _source([config.loss] if config.loss not in LOSSES else []),
            "metrics source": _source(own)}


def _source(references: Sequence[str]) -> str:
    return _digest([source.text(reference) for reference in references]) if references else ""


def model(built: keras.Model, fixed: Sequence[Any] | None) -> dict[str, str]:
    """Return the digests of a built model: of its layers and shapes, its types, and what does not depend on the seed.

    `fixed`: the first values that do not, of a user's function; None for a model of the suite's, whose name and version
    say what its weights begin with.
    """
    types = [str(variable.dtype) for variable in built.variables]
    types += [str(getattr(layer, "dtype_policy", "")) for layer in built._flatten_layers()]
    found = {"layers": layers(built), "types": _digest(types), "weights": ""}
    if fixed is not None:
        digest = hashlib.sha256()
        for values in fixed:
            digest.update(values.tobytes())
        found["weights"] = digest.hexdigest()[:DIGITS]
    return found


def layers(built: keras.Model) -> str:
    """Return the digest of a model's configuration and the shapes of its weights, whatever its layers are called.

    Types are left out, since a run's precision is a setting of its own.
    """
    try:
        config = built.get_config()
    except Exception:  # of a class of the user's that does not say; its source is looked at
        config = [type(layer).__name__ for layer in built._flatten_layers()]
    shapes = [(tuple(variable.shape), bool(variable.trainable)) for variable in built.variables]
    return _digest([type(built).__name__, _plain(config, {}), shapes])


def _plain(value: Any, names: dict[str, str]) -> Any:
    """A configuration without names, types and what changes from process to process; `names`: those replaced so far."""
    if isinstance(value, dict):
        if value.get("class_name") == "__lambda__":
            return "function"
        return {str(key): _renamed(item, names) if key in NAME_LISTS or key == "name" else _plain(item, names)
                for key, item in value.items() if key not in DROPPED}
    if isinstance(value, (list, tuple)):
        return [_plain(item, names) for item in value]
    if isinstance(value, np.ndarray):
        return hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
    return value if isinstance(value, (str, int, float, bool, type(None))) else type(value).__name__


def _renamed(value: Any, names: dict[str, str]) -> Any:
    """With numbers, in the order of their first mention, for names of layers."""
    if isinstance(value, str):
        return names.setdefault(value, f"#{len(names)}")
    if isinstance(value, dict):
        return {str(key): _renamed(item, names) for key, item in value.items()}
    return [_renamed(item, names) for item in value] if isinstance(value, (list, tuple)) else value


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:DIGITS]
