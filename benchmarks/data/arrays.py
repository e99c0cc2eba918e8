"""Inputs and targets: one array, or several by name, of the same examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

Arrays: TypeAlias = Any
"""An array [N, ...], or a mapping from names to such arrays of the same N examples."""
Shapes: TypeAlias = Any
"""The shape of one example, tuple[int, ...], or a mapping from names to shapes."""
Classes: TypeAlias = Any
"""Number of classes (of tokens: the vocabulary), 0 for a regression; several outputs: a mapping from names to it."""


def by_name(arrays: Arrays, what: str) -> Iterator[tuple[str, Any]]:
    """Yield ("x_train", array), or ("x_train['left']", array) and so on for several arrays; the names serve messages.
    """
    if isinstance(arrays, Mapping):
        yield from ((f"{what}[{name!r}]", array) for name, array in arrays.items())
    else:
        yield what, arrays


def leaves(arrays: Arrays) -> list[Any]:
    """Return all arrays in a list, without their names."""
    return [array for _, array in by_name(arrays, "")]


def count(arrays: Arrays) -> int:
    """Return N, the number of examples."""
    return len(leaves(arrays)[0])


def each(function: Callable[[Any], Any], arrays: Arrays) -> Any:
    """Apply `function` to the array, or to every named one."""
    if isinstance(arrays, Mapping):
        return {name: function(array) for name, array in arrays.items()}
    return function(arrays)


def size_bytes(arrays: Arrays) -> int:
    """Return the bytes of all arrays together."""
    return int(sum(array.nbytes for array in leaves(arrays)))
