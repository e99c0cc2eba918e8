"""One process of an audit: `python -m batchscale.benchmarks.rank.audit.program FOLDER NAME REPLICAS SCRIPT WORDS...`.

The script runs as Python runs it, with the strategy or Horovod that it starts itself, up to its first `fit`; there the
facts are gathered and written, and it ends. Nothing of it is trained further, and it writes nothing after.
"""

from __future__ import annotations

import inspect
import json
import os
import runpy
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..imports import tensorflow_and_keras

tensorflow_and_keras()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from ...errors import frames, said  # noqa: E402
from ..own_fit import settings  # noqa: E402
from ..script import stand_ins  # noqa: E402
from . import compiled, examples, steps  # noqa: E402
from .facts import ALONE, Facts, read, write  # noqa: E402


class Reached(BaseException):
    """The script's first `fit`, where it ends."""


class _Gatherer:
    """Gathers the facts where the script calls `fit`."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.original = keras.Model.fit

    def fit(self, model: keras.Model, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Look at what `fit` was given, take some steps, write what was found, and end the script."""
        bound = inspect.signature(self.original).bind(model, *given, **named)
        bound.apply_defaults()
        arguments = dict(list(bound.arguments.items())[1:])
        facts = Facts(size=_size(), rank=_rank())
        arrays = self._guarded("the examples", facts, lambda: examples.look(arguments, facts)) or {}
        self._guarded("the model", facts, lambda: compiled.look(model, arguments, facts))
        for place, variable in enumerate(model.weights):
            arrays[f"weight_{place:04d}"] = np.asarray(variable.value)
        first = arrays if self.name == ALONE else read(self.folder, ALONE)[1]
        common: dict[str, Any] = {}
        if "batch_x" in first:
            common = self._guarded("the common step", facts,
                                   lambda: steps.together(self.original, model, first, facts)) or {}
        own = self._guarded("the first steps", facts, lambda: steps.own(self.original, model, arguments, facts)) or {}
        self._guarded("the rates", facts, lambda: compiled.rates(model, arguments["callbacks"], facts))
        if self.name != ALONE:  # what the judgement needs of every rank
            arrays = {name: arrays[name] for name in arrays if name == "order"}
        write(self.folder, self.name, facts, {**arrays, **own, **common})
        raise Reached

    def _guarded(self, what: str, facts: Facts, look: Any) -> Any:
        try:
            return look()
        except Exception as error:  # of the user's model or data; the audit goes on with the rest
            facts.skipped += (f"{what}: {said(error)}"[:400],)
            return None


def _size() -> int:
    return max(int(os.environ.get(name) or 1) for name in ("HOROVOD_SIZE", "OMPI_COMM_WORLD_SIZE"))


def _rank() -> int:
    return next((int(os.environ[name]) for name in ("HOROVOD_RANK", "OMPI_COMM_WORLD_RANK") if name in os.environ), 0)


def _replicas_here(count: int) -> None:
    """Let a machine without GPUs have so many devices, all of which MirroredStrategy takes."""
    if tf.config.list_physical_devices("GPU"):
        return
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    strategy = tf.distribute.MirroredStrategy

    def mirrored(devices: Any = None, *given: Any, **named: Any) -> Any:
        here = [f"/cpu:{place}" for place in range(count)] if not devices else list(devices)[:count]
        return strategy(here, *given, **named)
    tf.distribute.MirroredStrategy = mirrored


def main(words: Sequence[str]) -> int:
    """Run the script up to its fit; write the facts, or why there are none."""
    folder, name, replicas, script, *others = words
    path = Path(script).absolute()
    if name != ALONE and name.startswith("rank"):
        name = f"rank{_rank()}"
    _replicas_here(int(replicas))
    gatherer = _Gatherer(Path(folder).absolute(), name)

    def fit(model: keras.Model, *given: Any, **named: Any) -> None:
        gatherer.fit(model, given, named)
    keras.Model.fit = fit
    os.environ.setdefault("MPLBACKEND", "Agg")  # a script that draws opens no window
    sys.argv = [str(path), *others]
    sys.path.insert(0, str(path.parent))
    os.chdir(path.parent)
    why = f"script {path.name!r} never calls fit of a Keras model, so there is nothing to audit."
    try:
        with suppress(Reached), stand_ins.replaced(stand_ins.data_sets()):
            runpy.run_path(str(path), run_name="__main__")
    except (Exception, SystemExit) as error:
        why = f"script {path.name!r} {said(error)} before its first fit.{frames(error)}"
    if not (gatherer.folder / f"{name}.json").exists():
        (gatherer.folder / f"{name}.error").write_text(json.dumps(why))
        return 2
    _leave_together()
    return 0


def _leave_together() -> None:
    """Ranks of Horovod end at one time, so that none is taken for lost."""
    horovod = settings.horovod_here()
    if horovod is not None:
        with suppress(Exception):
            horovod.shutdown()


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # whatever threads the script left
