"""What of a script stands after its `fit` and is not run: the data of `model.evaluate`.

Names, attributes, items and constants are looked up where `fit` was called; nothing of the script is run for it.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import keras

# What an argument may be made of that is looked up without running anything of the script's.
PLAIN = (ast.Name, ast.Attribute, ast.Subscript, ast.Slice, ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.UnaryOp,
         ast.USub, ast.Load)
TAKEN = ("x", "y", "sample_weight", "steps")


@dataclass(frozen=True)
class Evaluate:
    """A call of `evaluate` after `fit`. `arguments`: those of TAKEN; `lacking`: why they cannot be had, else ""."""

    line: int
    arguments: Mapping[str, Any] = field(default_factory=dict)
    lacking: str = ""


def after(frame: FrameType | None, path: str, model: keras.Model) -> Evaluate | None:
    """Return the first call of the model's `evaluate` behind the line at which each frame of the script stands, the
    innermost frame first, or one whose data cannot be had where there is no other; None without any."""
    first: Evaluate | None = None
    for call, place in behind(frame, path, parsed(path)):
        if not (isinstance(call.func, ast.Attribute) and call.func.attr == "evaluate"
                and receiver(call.func, place) is model):
            continue
        found = _evaluate(call, place)
        if not found.lacking:
            return found
        first = first or found
    return first


def parsed(path: str) -> ast.Module:
    """Return a script's statements."""
    with open(path, encoding="utf-8") as file:
        return ast.parse(file.read())


def behind(frame: FrameType | None, path: str, tree: ast.Module) -> Iterator[tuple[ast.Call, FrameType]]:
    """Yield the calls of a script that stand behind the line of each of its frames, with the frame, the innermost
    first."""
    while frame is not None:
        if frame.f_code.co_filename == path:
            scope = _scope(tree, frame)
            skipped = _skipped(scope, frame.f_lineno)
            calls = [node for node in ast.walk(scope) if isinstance(node, ast.Call)
                     and node.lineno > frame.f_lineno and node.lineno not in skipped]
            yield from ((call, frame) for call in sorted(calls, key=lambda node: node.lineno))
        frame = frame.f_back


def _skipped(scope: ast.AST, line: int) -> set[int]:
    """The lines of branches that are not taken where this line is."""
    found: set[int] = set()
    for node in ast.walk(scope):
        if isinstance(node, ast.If) and node.orelse:
            branches = [range(part[0].lineno, (part[-1].end_lineno or 0) + 1) for part in (node.body, node.orelse)]
            if any(line in branch for branch in branches):
                found.update(*(branch for branch in branches if line not in branch))
    return found


def receiver(method: ast.Attribute, frame: FrameType) -> Any:
    """Return the object whose method it is; None where that is not there yet, or is made by a call."""
    try:
        return _value(method.value, frame)
    except _Unknown:
        return None


def _scope(tree: ast.Module, frame: FrameType) -> ast.AST:
    """The function in which the frame stands, or the whole script."""
    first = frame.f_code.co_firstlineno
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
                 and node.name == frame.f_code.co_name
                 and min([node.lineno, *(one.lineno for one in node.decorator_list)]) == first]
    return functions[0] if functions else tree


def _evaluate(call: ast.Call, frame: FrameType) -> Evaluate:
    names = list(inspect.signature(keras.Model.evaluate).parameters)[1:]
    given = [*zip(names, call.args), *((one.arg, one.value) for one in call.keywords if one.arg)]
    try:
        return Evaluate(call.lineno, {name: _value(node, frame) for name, node in given if name in TAKEN})
    except _Unknown as error:
        return Evaluate(call.lineno, lacking=str(error))


class _Unknown(Exception):
    """A value that is not there yet, or that something of the script would have to be run for."""


def _value(node: ast.expr, frame: FrameType) -> Any:
    odd = [part for part in ast.walk(node) if not isinstance(part, PLAIN)]
    text = ast.unparse(node)
    if odd:
        raise _Unknown(f"{text} would have to be run")
    try:
        code = compile(ast.Expression(node), "<evaluate>", "eval")
        return eval(code, frame.f_globals, frame.f_locals)  # only looks up what is there
    except Exception:
        raise _Unknown(f"{text} is not there yet when fit is called") from None
