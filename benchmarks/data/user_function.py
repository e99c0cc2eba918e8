"""module:function: data sets (and other things) that a user's own code makes."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable
from typing import Any

from ..errors import BatchscaleError, DataError
from .dataset import checked_dataset, Dataset

_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_FIX = "return ((x_train, y_train), (x_test, y_test)) or a batchscale.benchmarks.data.Dataset"


def from_function(reference: str) -> Dataset:
    """Call `package.module:function` and check the data set that it returns. Raises DataError."""
    function = import_function(reference, "dataset")
    try:
        made = function()
    except Exception as error:
        raise DataError(f"dataset={reference!r}: the function raised {type(error).__name__}: "
                        f"{error}; it is called without arguments and must {_FIX}.") from error
    if isinstance(made, Dataset):
        return checked_dataset(reference, (made.train_x, made.train_y), (made.test_x, made.test_y),
                               made.source, made.classes)
    train, test = _two_pairs(reference, made)
    return checked_dataset(reference, train, test, f"examples made by {reference}")


def import_function(reference: str, what: str,
                    error: type[BatchscaleError] = DataError) -> Callable[..., Any]:
    """Import the function that `package.module:function` names; the working directory is searched last.

    `what` names the setting in the message of the `error` raised when there is no such function.
    """
    if not _REFERENCE.fullmatch(reference):
        raise error(f"{what}={reference!r} is not of the form package.module:function.")
    module_name, _, name = reference.partition(":")
    here = os.getcwd()
    if here not in sys.path:
        sys.path.append(here)
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(module_name)
    except Exception as problem:
        raise error(f"{what}={reference!r}: importing {module_name} raised "
                    f"{type(problem).__name__}: {problem}; it is searched in the environment and "
                    f"in {here}.") from problem
    function = getattr(module, name, None)
    if not callable(function):
        choices = [key for key, value in vars(module).items()
                   if callable(value) and not key.startswith("_")]
        raise error(f"{what}={reference!r}: {module_name} has no function {name}; it has: "
                    f"{', '.join(sorted(choices)) or 'none'}.")
    return function  # type: ignore[no-any-return]


def _two_pairs(reference: str, made: Any) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    try:
        (train_x, train_y), (test_x, test_y) = made
    except (TypeError, ValueError):
        raise DataError(f"dataset={reference!r}: the function returned {type(made).__name__}; it "
                        f"must {_FIX}.") from None
    return (train_x, train_y), (test_x, test_y)
