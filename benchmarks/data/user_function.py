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
MOST_PARTS = 6  # of a tuple or list that are named one by one
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
        return checked_dataset(reference, (made.held_train_x, made.train_y), (made.held_test_x, made.test_y),
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
    parts: Sequence[Any] = made if _is_tuple(made) else ()  # others would be taken apart, a pipeline of two batches say
    if len(parts) != 2 or not all(_is_tuple(item) and len(item) == 2 for item in parts):
        raise DataError(f"dataset={reference!r}: the function returned {_parts(made)}; it must {_FIX}.{_way(made)}")
    return tuple(parts[0]), tuple(parts[1])


def _is_tuple(value: Any) -> bool:
    return isinstance(value, (tuple, list))


def _parts(made: Any, deep: bool = True) -> str:
    """What something is in words, with the parts of a tuple or list."""
    name = type(made).__name__
    if not _is_tuple(made):
        return "None" if made is None else name
    if len(made) > MOST_PARTS or not deep:
        return f"{name} of {len(made)}"
    return f"({', '.join(_parts(item, deep=False) for item in made)})"


def _way(made: Any) -> str:
    """The way to take for what cannot be given so: pipelines, and weights of the examples; "" of others."""
    parts = made if _is_tuple(made) else [made]
    if any(hasattr(item, "element_spec") or hasattr(item, "__next__") for item in parts):
        return " Give the arrays of a pipeline or generator, or take a Keras script with it as it stands, " \
               "`batchscale study SCRIPT.py`."
    if len(parts) == 2 and all(_is_tuple(item) and len(item) == 3 for item in parts):
        return (" Where the third are weights of the examples: give y as {'label': y, 'weight': weights} to a loss of "
                "your own, or take a Keras script as it stands, `batchscale study SCRIPT.py`.")
    if len(parts) == 3:
        return " Give two of the three: a validation set is split off the first, by validation_fraction."
    return ""
