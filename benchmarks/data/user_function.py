"""module:function: data sets (and other things) that a user's own code makes."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import BatchscaleError, DataError, frames, said
from .dataset import checked_dataset, Dataset

_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_FIX = "return ((x_train, y_train), (x_test, y_test)) or a batchscale.benchmarks.data.Dataset"
_beside: list[str] = []


def from_function(reference: str) -> Dataset:
    """Call `package.module:function` and check the data set that it returns. Raises DataError."""
    function = import_function(reference, "dataset")
    try:
        with own_code():
            made = function()
    except (Exception, SystemExit) as error:
        raise DataError(f"dataset={reference!r}: the function {said(error)}; it is called without arguments and must "
                        f"{_FIX}.{frames(error)}") from error
    if isinstance(made, Dataset):
        return checked_dataset(reference, (made.train_x, made.train_y), (made.test_x, made.test_y),
                               made.source, made.classes)
    train, test = _two_pairs(reference, made)
    return checked_dataset(reference, train, test, f"examples made by {reference}")


def search_beside(plan: str) -> None:
    """Look for users' modules in the folder of this plan file first, from here on; "" is no file."""
    folder = str(Path(plan).absolute().parent) if plan else ""
    _beside[:] = [folder] if folder and os.path.isdir(folder) else []


def _folders() -> list[str]:
    """Where users' modules are looked for, in this order: beside the plan, then the working directory."""
    return list(dict.fromkeys([*_beside, os.getcwd()]))


def found_beside(path: str) -> Path:
    """Return the absolute path of a user's file: beside the plan, else in the working directory."""
    places = [Path(folder, path) for folder in _folders()]
    return next((place for place in places if place.is_file()), places[0]).absolute()


@contextmanager
def own_code(words: Sequence[str] = ()) -> Iterator[None]:
    """Run a user's code meanwhile, which finds these words in sys.argv, and no arguments of ours."""
    given = sys.argv
    sys.argv = list(words) or given[:1]
    try:
        yield
    finally:
        sys.argv = given


def import_function(reference: str, what: str,
                    error: type[BatchscaleError] = DataError) -> Callable[..., Any]:
    """Import the function that `package.module:function` names, from beside the plan, the working directory or the
    environment, in this order.

    `what` names the setting in the message of the `error` raised when there is no such function.
    """
    if not _REFERENCE.fullmatch(reference):
        raise error(f"{what}={reference!r} is not of the form package.module:function.")
    module_name, _, name = reference.partition(":")
    try:
        with own_code():
            module = _imported(module_name, f"{what}={reference!r}", error)
    except BatchscaleError:
        raise
    except (Exception, SystemExit) as problem:
        absent = isinstance(problem, ModuleNotFoundError) and module_name.startswith(str(problem.name))
        where = f"; it is searched in {', in '.join(_folders())} and in the environment"
        raise error(f"{what}={reference!r}: importing {module_name} {said(problem)}"
                    f"{where if absent else ''}.{'' if absent else frames(problem)}") from problem
    function = getattr(module, name, None)
    if not callable(function):
        choices = [key for key, value in vars(module).items()
                   if callable(value) and not key.startswith("_")]
        raise error(f"{what}={reference!r}: {module_name} ({getattr(module, '__file__', 'no file')}) has no function "
                    f"{name}; it has: {', '.join(sorted(choices)) or 'none'}.")
    return function  # type: ignore[no-any-return]


def _imported(name: str, what: str, error: type[BatchscaleError]) -> ModuleType:
    """The module; the user's own comes before another of the same name, unless that is Python's."""
    folders = _folders()
    sys.path += [folder for folder in folders if folder not in sys.path]
    importlib.invalidate_caches()
    top = name.partition(".")[0]
    own = importlib.machinery.PathFinder.find_spec(top, folders)
    if own is None or own.origin is None:
        return importlib.import_module(name)
    loaded = sys.modules.get(top)
    if loaded is not None and os.path.realpath(getattr(loaded, "__file__", None) or "") == os.path.realpath(own.origin):
        return importlib.import_module(name)
    if top in sys.stdlib_module_names:
        raise error(f"{what}: {own.origin} has the name of a module of Python itself, {top}, which others need; rename "
                    f"the file, to my_{top}.py say.")
    module = importlib.util.module_from_spec(own)
    sys.modules[top] = module
    try:
        own.loader.exec_module(module)  # type: ignore[union-attr]
    except BaseException:
        sys.modules.pop(top, None)
        raise
    return importlib.import_module(name)


def _two_pairs(reference: str, made: Any) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    try:
        (train_x, train_y), (test_x, test_y) = made
    except (TypeError, ValueError):
        raise DataError(f"dataset={reference!r}: the function returned {type(made).__name__}; it "
                        f"must {_FIX}.") from None
    return (train_x, train_y), (test_x, test_y)
