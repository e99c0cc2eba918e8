"""What a script gives to `fit` as arrays of numbers, or of texts where those are inputs, within the memory there is."""

from __future__ import annotations

import resource
from typing import Any

import keras
import numpy as np
import psutil

from ...errors import DataError
from ...text import byte_count
from . import texts

MOST_OF_MEMORY = 0.4  # of what is free, which a pipeline's examples may take

Triple = tuple[Any, Any, Any]
"""Inputs, targets and weights of examples (None: none), each a structure of arrays."""


def free_bytes() -> int:
    """Return what this process may still take: of the machine's memory, and below a limit of its own (ulimit -v)."""
    own = psutil.Process().memory_info()
    limits = ((resource.RLIMIT_AS, own.vms), (resource.RLIMIT_DATA, own.data))
    left = (most - used for kind, used in limits if (most := resource.getrlimit(kind)[0]) != resource.RLIM_INFINITY)
    return max(0, min([psutil.virtual_memory().available, *left]))


def as_triple(x: Any, y: Any, weights: Any, path: str) -> Triple:
    """Return inputs, targets and weights as arrays; raises DataError for what cannot be."""
    return _arrays(x, path, with_texts=True), _arrays(y, path), _arrays(weights, path)


def _arrays(values: Any, path: str, with_texts: bool = False) -> Any:
    """A structure of arrays; raises DataError for texts where none are taken, and for rows of different lengths."""
    if isinstance(values, (dict, tuple)) or isinstance(values, list) and values and not np.isscalar(values[0]):
        return keras.tree.map_structure(lambda value: _array(value, path, with_texts), values)
    return None if values is None else _array(values, path, with_texts)


def _array(values: Any, path: str, with_texts: bool) -> Any:
    try:
        array = np.asarray(values)
    except ValueError:
        array = np.asarray(None)
    if array.ndim and with_texts and (size := texts.size_bytes(array) if array.dtype.kind in "USO" else 0):
        if size > MOST_OF_MEMORY * free_bytes():
            raise DataError(f"script {path!r} gives fit {len(array):,} texts, the longest of which sets the width of "
                            f"all: {byte_count(size)}, which does not fit in memory; cut the longest ones, or turn "
                            "texts into token ids before fit.")
        if (found := texts.of(array)) is not None:
            return found
    if array.dtype.kind not in "fiub" or not array.ndim:
        raise DataError(f"script {path!r} gives fit {type(values).__name__} of {array.dtype}, and a run takes arrays "
                        "of numbers, of equal rows, and texts as inputs: turn other things into numbers before fit, "
                        "and pad what is ragged.")
    return array.astype(np.int32) if array.dtype.kind == "b" else array
