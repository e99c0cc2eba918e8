"""What a script finds in place of Keras' and TensorFlow's own while it is run: seeds that follow the run's, data files
that are on this machine, and nothing that would set up devices a second time."""

from __future__ import annotations

import inspect
import os
import random
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.backend.common import global_state

from ... import data
from ...errors import DataError

STRIDE = 7919  # between the seeds of two runs, so that small seeds of a script do not meet those of other runs
SEEDS = 2**32
ABSENT = object()
DATA_SETS = ("mnist", "fashion_mnist", "cifar10")
STRATEGIES = ("MirroredStrategy", "MultiWorkerMirroredStrategy", "OneDeviceStrategy", "CentralStorageStrategy")
INITIALIZER = keras.initializers.GlorotUniform.__mro__[2]  # of all that draw and take a seed
BACKEND = "KERAS_BACKEND"
# What a script sets for its whole process, whose devices and threads TensorFlow has set up by then.
OF_PROCESS = (
    (tf.config.threading, ("set_intra_op_parallelism_threads", "set_inter_op_parallelism_threads")),
    (tf.config, ("set_visible_devices", "set_logical_device_configuration", "run_functions_eagerly")),
    (tf.config.experimental, ("set_visible_devices", "set_virtual_device_configuration", "enable_op_determinism")),
)
Replacement = tuple[Any, str, Any]


class Notes(list[str]):
    """Sentences on what was noticed while the script ran, each once."""

    def add(self, sentence: str) -> None:
        """Keep the sentence where it is new."""
        if sentence not in self:
            self.append(sentence)


class NoStrategy:
    """Stands for a tf.distribute strategy of the script's: replicas are the run's."""

    num_replicas_in_sync = 1

    def __init__(self, notes: Notes) -> None:
        notes.add(f"tf.distribute.{type(self).__name__} of the script: replicas are the run's own")

    def scope(self) -> Any:
        """Return a scope that does nothing."""
        return nullcontext()


@contextmanager
def replaced(replacements: Sequence[Replacement]) -> Iterator[None]:
    """Set (owner, name, value) meanwhile; what an owner only inherited is taken away again."""
    before = [(owner, name, vars(owner).get(name, ABSENT)) for owner, name, _ in replacements]
    for owner, name, value in replacements:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in reversed(before):
            if value is ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, value)


@contextmanager
def in_place(seed: int, notes: Notes) -> Iterator[None]:
    """Let the script find the stand-ins; what it sets by itself and a run does otherwise is noted."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    _forget_flags()
    backend = os.environ.get(BACKEND)
    # Names of layers as in a fresh process, for compile may go by them.
    global_state.set_global_attribute("object_name_uids", defaultdict(int))
    with replaced([*_seeds(seed, notes), *data_sets(), *_strategies(notes), *_loading(notes), *_of_process(notes),
                   (tf.config.experimental, "set_memory_growth", lambda *_: None)]):
        try:
            yield
        finally:
            _set_again(BACKEND, backend)


def note_backend(notes: Notes) -> None:
    """Note where the script asks for another of Keras' backends, which is chosen as Keras is imported."""
    if (asked := os.environ.get(BACKEND, "")) not in ("", keras.backend.backend()):
        notes.add(f"{BACKEND}={asked} of the script: runs train by {keras.backend.backend()}")


def _forget_flags() -> None:
    """Forget the flags of absl's that an earlier run of a script defined, which may be defined but once."""
    if flags := sys.modules.get("absl.flags"):
        for flag in flags.FLAGS.flags_by_module_dict().get(sys.argv[0], []):
            delattr(flags.FLAGS, flag.name)


def _set_again(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def _seeds(seed: int, notes: Notes) -> list[Replacement]:
    """A fixed seed of the script's would give every run the same weights: each run shifts it."""
    def shifting(original: Callable[..., Any]) -> Callable[..., Any]:
        def shifted(given: Any = None, *more: Any, **named: Any) -> Any:
            return original(shift(given), *more, **named)
        return shifted

    def shifting_init(original: Callable[..., None]) -> Callable[..., None]:
        def shifted(self: Any, seed: Any = None, *more: Any, **named: Any) -> None:
            original(self, shift(seed) if _made_by_user() else seed, *more, **named)
        return shifted

    def shift(given: Any) -> Any:
        if not isinstance(given, (int, np.integer)):
            return given
        notes.add("its fixed seed: every run shifts it by its own seed, since all weights would begin alike otherwise")
        return int((int(given) + STRIDE * seed) % SEEDS)
    places = ((keras.utils, "set_random_seed"), (tf.keras.utils, "set_random_seed"), (tf.random, "set_seed"),
              (np.random, "seed"), (random, "seed"))
    return [*((owner, name, shifting(getattr(owner, name))) for owner, name in places),
            (INITIALIZER, "__init__", shifting_init(INITIALIZER.__init__))]


def _made_by_user() -> bool:
    """Whether an initializer is made by other code than Keras', whose layers make more of one with its seed."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "") in (__name__, INITIALIZER.__module__):
        frame = frame.f_back
    return frame is not None and not frame.f_globals.get("__name__", "").startswith("keras.")


def _loading(notes: Notes) -> list[Replacement]:
    """Weights that are read from a file are the same in every run."""
    def noting(original: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*given: Any, **named: Any) -> Any:
            notes.add("weights that it loads: every run begins with them alike, and draws the others by its seed")
            return original(*given, **named)
        return noted
    places = ((keras.Model, "load_weights"), *((module, "load_model") for module in (
        keras.models, keras.saving, tf.keras.models)))
    return [(owner, name, noting(getattr(owner, name))) for owner, name in places]


def _of_process(notes: Notes) -> list[Replacement]:
    def unchanged(*_: Any, **__: Any) -> None:
        notes.add("what it sets by tf.config: devices, threads and how a step is compiled are the run's own")
    return [(owner, name, unchanged) for owner, names in OF_PROCESS for name in names if hasattr(owner, name)]


def _strategies(notes: Notes) -> list[Replacement]:
    """Classes, since Keras asks which one a strategy is of."""
    def stand_in(name: str) -> type[NoStrategy]:
        return type(name, (NoStrategy,), {"__init__": lambda self, *_, **__: NoStrategy.__init__(self, notes)})
    return [(tf.distribute, name, stand_in(name)) for name in STRATEGIES if hasattr(tf.distribute, name)]


def data_sets() -> list[Replacement]:
    """Return stand-ins for the loaders of keras.datasets, which download: the files of this machine are read first."""
    def local(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def load_data(*given: Any, **named: Any) -> Any:
            try:
                return _as_keras_has_it(data.load(name))
            except DataError:
                return original(*given, **named)
        return load_data
    modules = [(name, getattr(root.datasets, name)) for root in (keras, tf.keras) for name in DATA_SETS]
    return [(module, "load_data", local(name, module.load_data)) for name, module in modules]


def _as_keras_has_it(dataset: data.Dataset) -> Any:
    """Pixels as bytes, without the axis of a single channel; labels as bytes, of colour pictures (N, 1)."""
    grey = dataset.train_x.shape[-1] == 1

    def part(x: Any, y: Any) -> tuple[Any, Any]:
        pixels, labels = np.rint(x * 255).astype(np.uint8), y.astype(np.uint8)
        return (pixels[..., 0], labels) if grey else (pixels, labels[:, None])
    return part(dataset.train_x, dataset.train_y), part(dataset.test_x, dataset.test_y)
