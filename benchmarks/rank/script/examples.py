"""What a script gave to `fit` as arrays: training examples, those by which it validates, and the weights of examples.

Pipelines, PyDatasets and generators are read into memory once, since every batch of a study sees the same examples in
orders of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from types import GeneratorType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ...data.arrays import Arrays, each, leaves
from ...data.dataset import Dataset
from ...data.random_bits import permutation
from ...errors import DataError
from ...text import byte_count
from . import texts
from .callbacks import own, OWN_STEPS
from .conversion import as_triple, free_bytes, MOST_OF_MEMORY, Triple
from .packing import pack, Packing, SINGLE
from .running import Fit, in_its_place

USUAL_BATCH = 32  # of fit, where nobody says another
HELD_OUT = 0.2
# Kinds of operations that draw, by the beginnings of their names.
RANDOM = ("RandomUniform", "RandomStandardNormal", "RandomShuffle", "TruncatedNormal", "Multinomial", "StatelessRandom",
          "StatelessTruncatedNormal", "StatelessMultinomial", "StatefulRandom", "StatefulUniform",
          "StatefulStandardNormal", "StatefulTruncatedNormal")
STREAM = 0x5C21  # keeps the draw of held-out examples apart from other uses of random bits


@dataclass
class Given:
    """The examples of a fit. `judged`: where the test examples come from, in words."""

    train: Triple
    test: Triple
    batch_size: int
    judged: str
    notes: tuple[str, ...] = ()


def first(fit: Fit) -> Triple:
    """Return some of the examples of a fit, the first batch of a pipeline, on which a model can be built."""
    arguments, path = fit.arguments, fit.call.path
    with in_its_place(fit.call, fit.path):
        x, y, weights = _Source(path, 1).triple(arguments["x"], arguments["y"], arguments["sample_weight"])
    return x, y, _class_weights(y, arguments["class_weight"], weights, path)


def given(fit: Fit, looked_at_twice: bool = False) -> Given:
    """Return the examples of a fit in memory. `looked_at_twice`: read pipelines again, to see that they give the same
    examples. Raises DataError for what is endless, too large, or drawn anew each time."""
    with in_its_place(fit.call, fit.path):
        return _given(fit, looked_at_twice)


def _given(fit: Fit, looked_at_twice: bool) -> Given:
    arguments, path = fit.arguments, fit.call.path
    source = _Source(path, arguments["steps_per_epoch"], looked_at_twice)
    x, y, weights = source.triple(arguments["x"], arguments["y"], arguments["sample_weight"])
    batch = arguments["batch_size"] or source.batch_size or USUAL_BATCH
    if y is None and not own(fit.model, OWN_STEPS):
        raise DataError(f"script {path!r} gives no targets to fit, and its model has no train_step of its own that "
                        "needs none; a run needs x and y. For an autoencoder write model.fit(x, x).")
    if y is None and (weights is not None or arguments["class_weight"]):
        raise DataError(f"script {path!r} gives fit weights of examples and no targets; leave the weights out.")
    validation, judged, notes = arguments["validation_data"], "its validation_data", source.notes
    if validation is not None:
        test = _Source(path, arguments["validation_steps"]).whole(validation)
    elif arguments["validation_split"]:
        (x, y, weights), test = _cut((x, y, weights), math.floor(_count(x) * (1 - arguments["validation_split"])))
        judged = f"the last {arguments['validation_split']:g} of the examples, its validation_split"
    elif fit.evaluate and not fit.evaluate.lacking:
        asked = fit.evaluate.arguments
        test = _Source(path, asked.get("steps")).triple(asked.get("x"), asked.get("y"), asked.get("sample_weight"))
        judged = f"the data of its evaluate in line {fit.evaluate.line}"
        notes += (f"no validation data in its fit: a run is judged by {judged}",)
    else:
        (x, y, weights), test = _held_out((x, y, weights))
        judged = f"a random {HELD_OUT:g} of the examples"
        notes += (f"no validation data{_unknown(fit)}: {judged} is held out for judging, so that a run trains on the "
                  "others alone",)
    weights = _class_weights(y, arguments["class_weight"], weights, path)
    return Given((x, y, weights), test, int(batch), judged, notes)


def _unknown(fit: Fit) -> str:
    """Why the data by which the script itself evaluates are not taken; empty where it does not."""
    if fit.evaluate is None:
        return ""
    return f", and the data of its evaluate in line {fit.evaluate.line} cannot be had ({fit.evaluate.lacking})"


class _Source:
    """Reads one argument of fit into arrays."""

    def __init__(self, path: str, steps: int | None, twice: bool = False) -> None:
        self._path, self._steps, self._twice = path, steps, twice
        self.batch_size = 0
        self.notes: tuple[str, ...] = ()

    def whole(self, values: Any) -> Triple:
        """Return validation data, a tuple of arrays or a pipeline."""
        if isinstance(values, (tuple, list)):
            x, y, weights = (*values, None, None)[:3]
            return self.triple(x, y, weights)
        return self.triple(values, None, None)

    def triple(self, x: Any, y: Any, weights: Any) -> Triple:
        """Return inputs, targets and weights as arrays."""
        batches = self._batches(x)
        if batches is None:
            return as_triple(x, y, weights, self._path)
        found = self._read(batches())
        if self._twice and not isinstance(x, GeneratorType):
            self._look_again(x, found, batches)
        return found

    def _look_again(self, x: Any, found: Triple, batches: Callable[[], Iterable[Any]]) -> None:
        """Refuse a pipeline that draws its examples; one that shuffles and cuts takes others of the same each time."""
        operations = _operations(x)
        drawn = any(name.startswith(RANDOM) for name in operations)
        if drawn or _sum_of_rows(found) != _sum_of_rows(self._read(batches())):
            if drawn or not isinstance(x, tf.data.Dataset) or any("PyFunc" in name for name in operations):
                raise DataError(f"script {self._path!r} gives fit a pipeline that draws other examples each time, such "
                                "as random augmentation: read once, they would be the same in every epoch. Put "
                                "augmentation into the model as layers (keras.layers.RandomFlip and so on).")
            if not self._steps:
                self.notes += ("its pipeline shuffles and then leaves some out, by drop_remainder or take: the "
                               "examples of one reading are the data set, the same in every epoch",)

    def _batches(self, x: Any) -> Callable[[], Iterable[Any]] | None:
        """How to go through the batches of a pipeline; None of arrays. Raises DataError for an endless one."""
        if isinstance(x, tf.data.Dataset):
            if x.cardinality() == tf.data.INFINITE_CARDINALITY and not self._steps:
                raise self._endless()
            return lambda: x.as_numpy_iterator()
        if isinstance(x, keras.utils.PyDataset):
            if x.num_batches is None and not self._steps:
                raise self._endless()
            return lambda: (x[index] for index in range(x.num_batches or self._steps or 0))
        if isinstance(x, GeneratorType):
            return lambda: x
        return None

    def _read(self, batches: Iterable[Any]) -> Triple:
        """All batches, one after another. Raises DataError where they take too much memory."""
        parts: list[Triple] = []
        free, taken = MOST_OF_MEMORY * free_bytes(), 0
        for batch in islice(batches, self._steps):
            x, y, weights = (*batch, None, None)[:3] if isinstance(batch, (tuple, list)) else (batch, None, None)
            parts.append(as_triple(x, y, weights, self._path))
            taken += sum(array.nbytes for array in keras.tree.flatten(parts[-1]) if array is not None)
            if taken > free:
                raise DataError(f"script {self._path!r} gives fit a pipeline of more than {taken / 1e9:.1f} GB, which "
                                f"does not fit in memory ({free / 1e9:.1f} GB may be taken, {MOST_OF_MEMORY:g} of what "
                                "is free), or which never ends; write its examples to files that a run reads while "
                                "training (dataset = \"tfrecord:...\"), or give fit a part of them.")
        if not parts:
            raise DataError(f"script {self._path!r} gives fit a pipeline without a batch.")
        self.batch_size = self.batch_size or len(keras.tree.flatten(parts[0][0])[0])
        size = f"read into memory once ({byte_count(taken)})"
        self.notes = ((f"the first {self._steps} batches of its pipeline (steps_per_epoch) are the data set, {size}, "
                       "the same in every epoch") if self._steps else
                      f"its pipeline is {size}: every epoch has a new order of its examples",)
        return keras.tree.map_structure(lambda *arrays: None if arrays[0] is None else np.concatenate(arrays),
                                        *parts, none_is_leaf=True)

    def _endless(self) -> DataError:
        return DataError(f"script {self._path!r} gives fit a pipeline without an end; leave out .repeat(), or give fit "
                         "steps_per_epoch, whose batches are then the data set.")


def _operations(pipeline: Any) -> set[str]:
    """The operations of a tf.data pipeline's functions, none of another: a fixed seed, as a run's, hides from the
    values that one draws."""
    if not isinstance(pipeline, tf.data.Dataset):
        return set()
    written = tf.raw_ops.DatasetToGraphV2(input_dataset=pipeline._variant_tensor, external_state_policy=1)
    library = tf.compat.v1.GraphDef.FromString(written.numpy()).library
    return {node.op for function in library.function for node in function.node_def}


def _count(x: Any) -> int:
    return len(keras.tree.flatten(x)[0])


def _picked(triple: Triple, rows: Any) -> Triple:
    return tuple(None if part is None else keras.tree.map_structure(lambda array: array[rows], part)
                 for part in triple)  # type: ignore[return-value]


def _cut(triple: Triple, place: int) -> tuple[Triple, Triple]:
    return _picked(triple, slice(None, place)), _picked(triple, slice(place, None))


def _held_out(triple: Triple) -> tuple[Triple, Triple]:
    """A fixed random part, the same for every seed, for testing; the rest in its order."""
    count = _count(triple[0])
    order = permutation([STREAM], count)
    place = round(HELD_OUT * count)
    return _picked(triple, np.sort(order[place:])), _picked(triple, np.sort(order[:place]))


def _class_weights(y: Any, weights: Mapping[int, float] | None, of_examples: Any, path: str) -> Any:
    """The weight of each example, by its class, as Keras has it: a class that is not named has 1."""
    if not weights:
        return of_examples
    if of_examples is not None or keras.tree.is_nested(y):
        raise DataError(f"script {path!r} gives fit class_weight together with sample_weight or several outputs, which "
                        "Keras refuses too; give one of them.")
    labels = y.argmax(axis=-1) if y.ndim > 1 and y.shape[-1] > 1 else np.round(y.reshape(len(y)))
    found, place = np.unique(labels.astype(np.int64), return_inverse=True)
    return np.asarray([weights.get(int(label), 1.0) for label in found], np.float32)[place]


def _sum_of_rows(triple: Triple) -> int:
    """A number that the same examples give in any order."""
    arrays = [np.ascontiguousarray(array) for array in keras.tree.flatten(triple) if array is not None]
    return sum(hash(b"".join(array[row].tobytes() for array in arrays)) for row in range(len(arrays[0])))


def dataset(fit: Fit, name: str, found: Given) -> Dataset:
    """Return the examples as a data set. Raises DataError."""
    packing = Packing.of(fit.model, found.train)
    (train_x, train_y), (test_x, test_y) = pack(packing, found.train), pack(packing, found.test)
    if packing.texts:
        train_x, test_x = _as_wide(train_x, test_x, packing)
    for one, other, what in ((train_x, test_x, "inputs"), (train_y, test_y, "targets")):
        shapes = [[array.shape[1:] for array in leaves(part)] for part in (one, other)]
        if shapes[0] != shapes[1]:
            raise DataError(f"script {fit.call.path!r} gives fit {what} of shape {shapes[0]} to train on and "
                            f"{shapes[1]} to validate by; they must be the same.")
    targets = leaves(train_y)[0]
    classes = int(targets.max()) + 1 if not isinstance(train_y, Mapping) and targets.dtype.kind in "iu" else 0
    source = f"what {fit.call.path} gives to fit, tested by {found.judged}"
    return Dataset(name, train_x, train_y, test_x, test_y, classes, source)


def _as_wide(train_x: Arrays, test_x: Arrays, packing: Packing) -> list[Arrays]:
    """Inputs whose texts take as many places in both parts."""
    parts = [part if packing.inputs else {SINGLE: part} for part in (train_x, test_x)]
    widths = {name: max(part[name].shape[-1] for part in parts) for name in packing.texts}
    wide = [{name: texts.as_wide(array, widths[name]) if name in widths else array for name, array in part.items()}
            for part in parts]
    return [part if packing.inputs else part[SINGLE] for part in wide]


def first_rows(values: Arrays, count: int) -> Arrays:
    """Return the first examples."""
    return each(lambda array: array[:count], values)
