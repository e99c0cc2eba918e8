"""The source of a user's function as far as it matters: its statements and those that they use, in any module.

Comments, docstrings, layout and what the function does not use leave it as it is, so that a module may grow.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TypeVar

from ...config.script import parse
from ...data.fingerprint import DIGITS
from ...data.user_function import found_beside

AnyNode = TypeVar("AnyNode", bound=ast.AST)
INSTALLED = tuple(str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "purelib", "platlib"))
EVERYTHING = "*"
KNOWN = ("batchscale", "keras", "tensorflow", "numpy")  # in the versions, or without effect on what is trained


@dataclass
class Module:
    """Holds the top-level statements of one module of the user's. bound: names by statement. texts, using: of the
    statements that were asked for, which those of every run of a plan are; their source, and the parts that use names.
    """

    name: str
    package: str
    statements: list[ast.stmt] = field(default_factory=list)
    bound: list[set[str]] = field(default_factory=list)
    texts: dict[int, str] = field(default_factory=dict)
    using: dict[int, list[ast.Name | ast.Import | ast.ImportFrom]] = field(default_factory=dict)

    def text(self, number: int) -> str:
        """Return a statement's normalised source."""
        if number not in self.texts:
            self.texts[number] = ast.unparse(_without_docstrings(self.statements[number]))
        return self.texts[number]

    def users(self, number: int) -> list[ast.Name | ast.Import | ast.ImportFrom]:
        """Return what in a statement uses names, at any depth."""
        if number not in self.using:
            self.using[number] = [node for node in ast.walk(self.statements[number])
                                  if isinstance(node, (ast.Name, ast.Import, ast.ImportFrom))]
        return self.using[number]


@dataclass
class Reach:
    """Keeps what has been found to matter: statements by module and number, and versions of installed packages."""

    statements: set[tuple[str, int]] = field(default_factory=set)
    installed: set[str] = field(default_factory=set)
    asked: set[tuple[str, str]] = field(default_factory=set)


def text(reference: str) -> str:
    """Return what `package.module:function` consists of, as normalised source; of an installed package its version.

    The module must have been imported. "" where no source is to be had.
    """
    name, _, function = reference.partition(":")
    reach = Reach()
    _reach(reach, [(name, function)])
    lines = [f"# {module}\n{_module(module).text(number)}" for module, number in sorted(reach.statements)]
    return "\n".join([*lines, *sorted(reach.installed)])


def of_script(reference: str) -> str:
    """Return a digest of a script as it was run: its command line, its statements and those of modules beside it."""
    call = parse(reference)
    path = found_beside(call.path)
    beside = sorted(str(found) for name, module in list(sys.modules.items())
                    if name.partition(".")[0] not in ("batchscale", "__main__")
                    and (found := _file_of(module)) and found.is_relative_to(path.parent)
                    and not str(found).startswith(INSTALLED))
    texts = [ast.unparse(_without_docstrings(ast.parse(Path(name).read_bytes()))) for name in [str(path), *beside]]
    return hashlib.sha256("\n".join([*call.arguments, str(call.fit), *texts]).encode()).hexdigest()[:DIGITS]


def _file_of(module: object) -> Path | None:
    origin = getattr(module, "__file__", None)
    return Path(origin).resolve() if isinstance(origin, str) and origin.endswith(".py") else None


def _reach(reach: Reach, waiting: list[tuple[str, str]]) -> None:
    while waiting:
        name, wanted = waiting.pop()
        if (name, wanted) in reach.asked:
            continue
        reach.asked.add((name, wanted))
        module = _module(name)
        if not module.statements:
            reach.installed |= _version(name)
            continue
        for number, statement in enumerate(module.statements):
            bound = module.bound[number]
            effect = not bound and not _idle(statement)
            if effect or wanted == EVERYTHING or wanted in bound:
                if (name, number) not in reach.statements:
                    reach.statements.add((name, number))
                    waiting += _needs(module, number)


def _needs(module: Module, number: int) -> Iterator[tuple[str, str]]:
    """Names of this module and of other modules of the user's that a statement uses, at any depth."""
    for node in module.users(number):
        if isinstance(node, ast.Name):
            yield module.name, node.id
        elif isinstance(node, ast.Import):
            yield from ((alias.name, EVERYTHING) for alias in node.names)
        else:
            origin = importlib.util.resolve_name("." * node.level + (node.module or ""), module.package or None)
            for alias in node.names:
                inner = f"{origin}.{alias.name}"
                yield (inner, EVERYTHING) if _is_module(inner) else (origin, alias.name)


def _is_module(name: str) -> bool:
    if name in sys.modules:
        return True
    parent = sys.modules.get(name.rpartition(".")[0])
    return bool(hasattr(parent, "__path__") and importlib.util.find_spec(name))


@lru_cache
def _module(name: str) -> Module:
    """The statements of a module of the user's; none of an installed one or where there is no source."""
    path = _path(name)
    found = Module(name, name if path and path.name == "__init__.py" else name.rpartition(".")[0])
    if path is None or str(path).startswith(INSTALLED):
        return found
    try:
        found.statements = ast.parse(path.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return found
    found.bound = [set(_bound([statement])) for statement in found.statements]
    return found


def _path(name: str) -> Path | None:
    module = sys.modules.get(name)
    origin = getattr(module, "__file__", None)
    if module is None:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError, AttributeError):
            return None
        origin = spec.origin if spec else None
    return Path(origin).resolve() if origin and origin.endswith(".py") else None


def _version(name: str) -> set[str]:
    """Package and version, of one that others wrote."""
    package = name.partition(".")[0]
    if package in KNOWN or package in sys.stdlib_module_names:
        return set()
    try:
        return {f"{package} {metadata.version(package)}"}
    except metadata.PackageNotFoundError:
        return {package}


def _bound(statements: Iterable[ast.stmt]) -> Iterator[str]:
    """The names that statements give a value at the top level, those of which they change a part among them."""
    for statement in statements:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield statement.name
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            yield from ((alias.asname or alias.name).partition(".")[0] for alias in statement.names)
        else:
            for target in _targets(statement):
                yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name))
            handlers = getattr(statement, "handlers", ())
            for inner in (statement, *handlers):
                for part in ("body", "orelse", "finalbody"):
                    yield from _bound(getattr(inner, part, ()))


def _targets(statement: ast.stmt) -> list[ast.expr]:
    if isinstance(statement, (ast.Assign, ast.Delete)):
        return list(statement.targets)
    if isinstance(statement, (ast.AnnAssign, ast.AugAssign, ast.For, ast.AsyncFor)):
        return [statement.target]
    if isinstance(statement, (ast.With, ast.AsyncWith)):
        return [item.optional_vars for item in statement.items if item.optional_vars is not None]
    return []


def _idle(statement: ast.stmt) -> bool:
    """Whether a statement does nothing here: a docstring, or what stands under `if __name__ == "__main__"`."""
    if isinstance(statement, ast.If):
        return "__name__" in ast.unparse(statement.test)
    constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return constant or isinstance(statement, ast.Pass)


def _without_docstrings(statement: AnyNode) -> AnyNode:
    for node in ast.walk(statement):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            body = [inner for number, inner in enumerate(node.body) if number or not _idle(inner)]
            node.body = body or [ast.Pass()]
    return statement
