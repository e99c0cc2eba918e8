"""The calls of `fit` that stand after the one that is taken, which are not run: found in the script's source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from types import FrameType

import keras

from ...text import listed
from .evaluated import behind, parsed, receiver

# Arguments that the fit of a Keras model takes and that of other libraries does not.
OF_KERAS = {"epochs", "batch_size", "validation_data", "validation_split", "callbacks", "steps_per_epoch",
            "class_weight", "initial_epoch", "validation_steps"}


def note(frame: FrameType | None, path: str, number: int) -> str:
    """Return what to know of the fits behind the line at which each frame of the script stands, in a sentence; "" where
    there are none. `number`: which of the script's fits is taken, from 1."""
    if not (lines := _lines(frame, path)):
        return ""
    told, are, come = ("line", "is", "comes") if len(lines) == 1 else ("lines", "are", "come")
    fits = "its fit" if len(lines) == 1 else "its fits"
    return (f"{fits} in {told} {listed(map(str, lines))}, which {come} after this one, {are} left out: --fit "
            f"{number + 1} (in a plan fit = {number + 1}) takes the next one, after this one has trained as it stands")


def earlier(number: int) -> str:
    """Return what to know of the fits before the one that is taken; "" where it is the first."""
    if number == 1:
        return ""
    first = "its first fit trains as it stands" if number == 2 else f"its first {number - 1} fits train as they stand"
    return f"{first}, in every process before a run begins"


def _lines(frame: FrameType | None, path: str) -> list[int]:
    tree = parsed(path)
    fitting = _fitting(tree, _names(frame, path))
    own = {id(node) for scope in _functions(tree) for statement in scope.body for node in ast.walk(statement)}
    found = set()
    for call, place in behind(frame, path, tree):
        if id(call) in own and place.f_code.co_name == "<module>":
            continue  # of a function, which stands there and is not called there
        if isinstance(call.func, ast.Name) and call.func.id in fitting:
            found.add(call.lineno)
        elif isinstance(call.func, ast.Attribute) and call.func.attr == "fit":
            model = receiver(call.func, place)
            if isinstance(model, keras.Model) or model is None and _looks_like_keras(call, tree):
                found.add(call.lineno)
    return sorted(found)


def _names(frame: FrameType | None, path: str) -> Iterator[str]:
    """The functions of the script by which fit was reached."""
    while frame is not None:
        if frame.f_code.co_filename == path:
            yield frame.f_code.co_name
        frame = frame.f_back


def _functions(tree: ast.Module) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def _fitting(tree: ast.Module, known: Iterator[str]) -> set[str]:
    """The names of functions that fit a Keras model, or call one that does."""
    found, calls = set(known), {function.name: [node for node in ast.walk(function) if isinstance(node, ast.Call)]
                                for function in _functions(tree)}
    found |= {name for name, inside in calls.items() if any(
        isinstance(call.func, ast.Attribute) and call.func.attr == "fit" and _looks_like_keras(call, tree)
        for call in inside)}
    while more := {name for name, inside in calls.items() if name not in found and any(
            isinstance(call.func, ast.Name) and call.func.id in found for call in inside)}:
        found |= more
    return found


def _looks_like_keras(call: ast.Call, tree: ast.Module) -> bool:
    """Whether its arguments are those of Keras' fit, or the script compiles what it is called of."""
    assert isinstance(call.func, ast.Attribute)
    of = ast.unparse(call.func.value)
    return bool(OF_KERAS & {one.arg for one in call.keywords}) or any(
        isinstance(node, ast.Attribute) and node.attr == "compile" and ast.unparse(node.value) == of
        for node in ast.walk(tree))
