"""Texts as feeds carry them, whole numbers, and as a model takes them: those of a StringLookup, a TextVectorization."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

TYPE = "int32"
BYTES = 4  # of a character
_KINDS = "USO"


def of(array: NDArray[Any]) -> NDArray[np.str_] | None:
    """Return an array of texts or bytes, as UTF-8, as one of texts; None of anything else."""
    if array.dtype.kind not in _KINDS or not array.size:
        return None
    if array.dtype.kind == "S" or isinstance(array.flat[0], bytes):
        if not all(isinstance(value, bytes) for value in array.flat):
            return None
        return np.char.decode(array.astype(bytes), "utf-8")
    return array.astype(str) if all(isinstance(value, str) for value in array.flat) else None


def size_bytes(array: NDArray[Any]) -> int:
    """Return the bytes of an array of texts or bytes as it travels: the longest text sets the width of all."""
    return array.size * BYTES * max((len(value) for value in array.flat if isinstance(value, (str, bytes))), default=0)


def are(array: Any) -> bool:
    """Return whether an array is of texts."""
    return bool(array.dtype.kind == "U")


def encoded(array: NDArray[np.str_]) -> NDArray[np.int32]:
    """Return the characters' numbers, with an axis more than the texts; 0 behind a text's end."""
    array = np.ascontiguousarray(array.astype(np.str_))
    width = max(1, array.dtype.itemsize // BYTES)
    return array.astype(f"U{width}").view(np.uint32).reshape(*array.shape, width).astype(np.int32)


def decoded(codes: Any) -> Any:
    """Return the texts of such numbers, a tensor with an axis fewer."""
    shape = tf.shape(codes)
    rows = tf.RaggedTensor.from_tensor(tf.reshape(codes, [-1, codes.shape[-1]]), padding=0)
    found = tf.reshape(tf.strings.unicode_encode(rows, "UTF-8"), shape[:-1])
    found.set_shape(codes.shape[:-1])
    return found


def as_wide(array: NDArray[np.int32], width: int) -> NDArray[np.int32]:
    """Return the numbers with as many places for each text."""
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, width - array.shape[-1])])
