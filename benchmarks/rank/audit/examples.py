"""The examples that a `fit` is given: labels, values that are no numbers, order, and what validation shares."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from itertools import islice
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.trainers.data_adapters.array_data_adapter import ArrayDataAdapter
from numpy.typing import NDArray

from ..script.callbacks import in_arrays
from .facts import Facts, MOST_EXAMPLES

Digests = NDArray[np.uint64]


def rows_of(x: Any) -> int:
    """Return the number of examples in arrays."""
    return int(keras.tree.flatten(x)[0].shape[0])


def picked(values: Any, rows: Any) -> Any:
    """Return these rows of arrays, one or a structure of them."""
    return keras.tree.map_structure(lambda array: np.asarray(array)[rows], values)


def digests(x: Any) -> Digests:
    """Return a digest of each example's inputs, the same in every process."""
    arrays = [np.ascontiguousarray(array) for array in keras.tree.flatten(x)]
    return np.asarray([int.from_bytes(hashlib.blake2b(b"".join(array[row].tobytes() for array in arrays),
                                                      digest_size=8).digest(), "little")
                       for row in range(min(len(arrays[0]), MOST_EXAMPLES))], np.uint64)


def look(arguments: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    """Fill in what the examples tell; return arrays: `order`, digests of an epoch's examples in their order, and
    `batch_x0`... with `batch_y`, some of them."""
    x, y = arguments["x"], arguments["y"]
    if in_arrays(x):
        return _of_arrays(x, y, arguments, facts)
    if isinstance(x, tf.data.Dataset):
        return _of_pipeline(x, arguments, facts)
    facts.skipped += (f"the examples: fit is given a {type(x).__name__}, which can be read once only",)
    return {}


def _of_arrays(x: Any, y: Any, arguments: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    validation, split = arguments["validation_data"], arguments["validation_split"]
    count = rows_of(x)
    if split and validation is None:
        count = int(count * (1 - split))
        validation = (picked(x, slice(count, None)), None)
        x, y = picked(x, slice(None, count)), None if y is None else picked(y, slice(None, count))
    facts.examples, facts.arrays = count, True
    facts.batch = int(arguments["batch_size"] or 32)
    _count_bad(x, y, facts)
    own, shuffle = digests(x), bool(arguments["shuffle"])
    _shared(own, validation, facts)
    batches = ArrayDataAdapter(x=np.arange(count), y=None, batch_size=facts.batch, shuffle=shuffle).get_tf_dataset()
    first, second = (np.concatenate([keras.tree.flatten(batch)[0].numpy() for batch in batches])
                     for _ in range(2))  # as fit goes through them, epoch after epoch
    steps = arguments["steps_per_epoch"]
    facts.seen = min(count, steps * facts.batch) if steps else count
    facts.same_order = bool(np.array_equal(first, second)) and facts.batch < count
    facts.shuffles_nothing = bool(np.array_equal(first, np.arange(count)))
    own = own[first[first < len(own)]][:facts.seen]
    return {"order": own, **_some(x, y)}


def _of_pipeline(x: Any, arguments: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    steps = arguments["steps_per_epoch"]
    endless = x.cardinality() == tf.data.INFINITE_CARDINALITY
    most = steps or (200 if endless else None)
    batches = _read(x, most)
    again = _read(x, most, len(batches[0]))
    xs, ys = ([batch[place] if len(batch) > place else None for batch in batches[0]] for place in (0, 1))
    first = np.concatenate([digests(part) for part in xs])
    second = np.concatenate([digests(batch[0]) for batch in again[0]])
    sizes = [rows_of(part) for part in xs]
    facts.batch, facts.seen, facts.examples = max(sizes), sum(sizes), len(np.unique(first))
    facts.same_order = bool(np.array_equal(first, second)) and len(sizes) > 1 and not endless
    some_x = keras.tree.map_structure(lambda *parts: np.concatenate(parts), *xs[:200])
    some_y = None if ys[0] is None else keras.tree.map_structure(lambda *parts: np.concatenate(parts), *ys[:200])
    _count_bad(some_x, some_y, facts)
    validation = arguments["validation_data"]
    if isinstance(validation, tf.data.Dataset):
        parts = [batch[0] for batch in _read(validation, arguments["validation_steps"] or 500)[0]]
        validation = (keras.tree.map_structure(lambda *found: np.concatenate(found), *parts), None)
    _shared(first, validation, facts)
    # One that draws its examples, or never ends, has no set of them that could be shared out.
    whole = not endless and np.array_equal(np.sort(first), np.sort(second))
    return {**({"order": first} if whole else {}), **_some(some_x, some_y)}


def _read(dataset: Any, steps: int | None, most: int | None = None) -> tuple[list[Any], int]:
    """Batches as tuples of arrays, of at most MOST_EXAMPLES examples in all."""
    found, rows = [], 0
    for batch in islice(dataset.as_numpy_iterator(), steps if most is None else most):
        found.append(batch if isinstance(batch, tuple) else (batch,))
        rows += rows_of(found[-1][0])
        if rows > MOST_EXAMPLES:
            break
    return found, rows


def _count_bad(x: Any, y: Any, facts: Facts) -> None:
    """Values that are no finite numbers, and the range of the labels."""
    for values, name in ((x, "bad_inputs"), (y, "bad_targets")):
        if values is None:
            continue
        for array in map(np.asarray, keras.tree.flatten(values)):
            if array.dtype.kind == "f":
                bad = ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
                setattr(facts, name, getattr(facts, name) + int(bad.sum()))
                if bad.any() and facts.first_bad is None:
                    facts.first_bad = int(bad.argmax())
    labels = np.asarray(y) if y is not None and not keras.tree.is_nested(y) else np.asarray([])
    if labels.size and labels.dtype.kind in "fiub":
        facts.label_low, facts.label_high = float(np.nanmin(labels)), float(np.nanmax(labels))


def _shared(own: Digests, validation: Any, facts: Facts) -> None:
    if not isinstance(validation, (tuple, list)) or not in_arrays(validation[0]):
        return
    others = digests(validation[0])
    facts.validation_examples, facts.shared = len(others), int(np.isin(others, own).sum())


def _some(x: Any, y: Any) -> dict[str, Any]:
    """Some finite examples, the same for all ranks, for a step that is done alone and together."""
    if y is None or keras.tree.is_nested(x) or keras.tree.is_nested(y):
        return {}
    rows = slice(None, min(rows_of(x), 4096))
    inputs, targets = np.asarray(x)[rows], np.asarray(y)[rows]
    good = np.ones(len(inputs), bool)
    for array in (inputs, targets):
        if array.dtype.kind == "f":
            good &= np.isfinite(array.reshape(len(array), -1)).all(axis=1)
    return {"batch_x": inputs[good][:256], "batch_y": targets[good][:256]}
