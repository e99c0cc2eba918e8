"""Runs a user's script as Python would, unchanged, up to a call of `fit`, which hands over what it was given.

The script is `__main__`, has its own command line and folder, and draws from the run's seed. It is stopped by an
exception that its own `except Exception` does not catch.
"""

from __future__ import annotations

import ast
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import keras

from ...config.script import parse, ScriptCall
from ...data.user_function import found_beside, own_code
from ...errors import frames, PlanError, said
from . import further_fits, stand_ins
from .evaluated import after, Evaluate

BY_BATCHES = ("train_on_batch",)


class Reached(BaseException):
    """The call of `fit` that was asked for: the script ends here."""


class TrainsByBatches(BaseException):
    """The script trains by a way that gives no data set away."""


@dataclass
class Fit:
    """One call of `fit` in a script: the compiled model and the arguments by name, with defaults. `line`: of the call,
    0 where it is not in the script itself; `callers`: the lines from which the script came there, the nearest first.
    `evaluate`: the model's first call of it that stands after this one."""

    call: ScriptCall
    path: Path
    model: keras.Model
    arguments: Mapping[str, Any]
    line: int
    notes: tuple[str, ...]
    evaluate: Evaluate | None = None
    callers: tuple[int, ...] = ()


@dataclass
class _Watch:
    """Counts the calls of `fit` and keeps the one that is asked for."""

    call: ScriptCall
    path: Path
    notes: stand_ins.Notes
    fits: int = 0
    found: Fit | None = None

    def fit(self, original: Callable[..., Any], model: keras.Model, given: tuple[Any, ...],
            named: dict[str, Any]) -> Any:
        """Let an earlier call train; keep this one and end the script where it is the one that is asked for."""
        if self.found is None:
            self.fits += 1
            if self.fits < self.call.fit:
                return original(model, *given, **named)
            bound = inspect.signature(original).bind(model, *given, **named)
            bound.apply_defaults()
            arguments = dict(list(bound.arguments.items())[1:])
            evaluate = after(inspect.currentframe(), str(self.path), model)
            for note in (further_fits.earlier(self.fits),
                         further_fits.note(inspect.currentframe(), str(self.path), self.fits)):
                if note:
                    self.notes.add(note)
            stand_ins.note_backend(self.notes)
            line, *callers = self._lines()
            self.found = Fit(self.call, self.path, model, arguments, line, tuple(self.notes), evaluate, tuple(callers))
        raise Reached

    def _lines(self) -> list[int]:
        """The lines of the script from which `fit` was called, directly or not, the nearest first; [0] without any."""
        frame, lines = inspect.currentframe(), []
        while frame is not None:
            if frame.f_code.co_filename == str(self.path):
                lines.append(frame.f_lineno)
            frame = frame.f_back
        return lines or [0]


def fit_of(reference: str, seed: int) -> Fit:
    """Return what the script gives to its fit, with random numbers drawn from `seed`. Raises PlanError in one sentence
    for a script that is not there, never calls fit, raises or ends before."""
    call = parse(reference)
    path = found_beside(call.path)
    source = _source(call, path)
    watch = _Watch(call, path, stand_ins.Notes())
    try:
        with in_its_place(call, path), stand_ins.in_place(seed, watch.notes), _watching(watch):
            with suppress(Reached):
                _run(source, path)
    except TrainsByBatches as error:
        raise PlanError(f"script {call.path!r} trains by {error}, which gives no data set away: a run takes the model "
                        "and data of a call of model.fit. Train by fit, or give model and data as functions "
                        "(batchscale new --help).") from None
    except (Exception, SystemExit) as error:
        raise PlanError(f"script {call.path!r} {said(error)} before its {_nth(call.fit)} fit; it runs in its own "
                        f"folder, {path.parent}, with the arguments {list(call.arguments)}.{frames(error)}") from error
    if watch.found is None:
        raise PlanError(_never(call, watch.fits))
    return watch.found


def _source(call: ScriptCall, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise PlanError(f"cannot read script {call.path!r}, {path}: {why}.") from None


def _run(source: str, path: Path) -> None:
    """Run the source as `__main__`."""
    module = ModuleType("__main__")
    module.__file__ = str(path)
    before = sys.modules["__main__"]
    sys.modules["__main__"] = module
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)  # a user's script is run as Python runs it
    finally:
        sys.modules["__main__"] = before


@contextmanager
def in_its_place(call: ScriptCall, path: Path) -> Iterator[None]:
    """Let a script's code find its command line and its folder meanwhile; also that of its generators, which runs only
    as their examples are read."""
    folder = os.getcwd()
    sys.path.insert(0, str(path.parent))
    os.chdir(path.parent)
    try:
        with own_code([str(path), *call.arguments]):
            yield
    finally:
        os.chdir(folder)
        with suppress(ValueError):  # the script may have taken it out
            sys.path.remove(str(path.parent))


@contextmanager
def _watching(watch: _Watch) -> Iterator[None]:
    """Let `fit` of every Keras model come by the watch meanwhile."""
    original = keras.Model.fit

    def fit(model: keras.Model, *given: Any, **named: Any) -> Any:
        return watch.fit(original, model, given, named)

    def by_batches(model: keras.Model, *given: Any, **named: Any) -> Any:
        raise TrainsByBatches("model.train_on_batch")

    with stand_ins.replaced([(keras.Model, "fit", fit), *((keras.Model, name, by_batches) for name in BY_BATCHES)]):
        yield


def _never(call: ScriptCall, fits: int) -> str:
    if fits:
        return (f"script {call.path!r} calls fit {'once' if fits == 1 else f'{fits} times'}, and fit = {call.fit} was "
                "asked for; lower it.")
    return (f"script {call.path!r} never calls fit of a Keras model, so it gives no model and no data away; a loop of "
            "its own with GradientTape is not taken over. Call model.fit, or give model and data as functions "
            "(batchscale new --help).")


def _nth(number: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")


@dataclass(frozen=True)
class Loop:
    """Whether a call stands in a loop of the script, and whether that loop gives the model its weights anew."""

    found: bool = False
    rebuilds: bool = False


def loop_around(path: Path, line: int) -> Loop:
    """Return the loop of the script in which the call at this line stands, the innermost one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    loops = [node for node in ast.walk(tree) if isinstance(node, (ast.For, ast.While))
             and node.lineno < line <= (node.end_lineno or 0)]
    if not loops:
        return Loop()
    inner = max(loops, key=lambda node: node.lineno)
    calls = [node for node in ast.walk(inner) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
             and node.func.attr == "fit" and isinstance(node.func.value, ast.Name) and node.lineno <= line]
    models = {node.func.value.id for node in calls if isinstance(node.func, ast.Attribute)
              and isinstance(node.func.value, ast.Name)}
    bound = {name.id for node in ast.walk(inner) if isinstance(node, (ast.Assign, ast.AnnAssign, ast.For))
             for target in _targets(node) for name in ast.walk(target) if isinstance(name, ast.Name)}
    return Loop(found=True, rebuilds=not models or bool(models & bound))


def _targets(node: ast.Assign | ast.AnnAssign | ast.For) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]
