"""Public docstrings are sentences: a function's begins with a verb, and none begins with a bare preposition."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# All packages.
COVERED = ("analysis", "benchmarks", "launchers", "slurm")
EXAMPLES = ROOT / "benchmarks" / "examples"  # users' modules, which are shown as users write them
BARE = set("Of On In At By For From To With Without Before After Where When Under As What Whether How Why".split())
# A function's first word is none of these; it is a verb such as Return, Fit, Raise, Write.
NOUN_MARKS = BARE | {"A", "An", "The", "All", "Every", "Each", "One", "No", "This", "These",
                     "That", "It", "Its", "Raises"}
PROPERTIES = {"property", "cached_property"}
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def modules() -> Iterator[Path]:
    for name in COVERED:
        path = ROOT / name
        assert path.exists(), f"{name} is covered but does not exist"
        yield from (one for one in (sorted(path.rglob("*.py")) if path.is_dir() else [path])
                    if EXAMPLES not in one.parents)


def definitions(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Definition, bool]]:
    """Yield each public definition with its dotted name, and whether it may override a documented method."""
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield prefix + node.name, node, False
            if isinstance(node, ast.ClassDef):
                for name, inner, _ in definitions(node.body, f"{prefix}{node.name}."):
                    yield name, inner, bool(node.bases)


def is_property(node: Definition) -> bool:
    return any(ast.unparse(decorator).rpartition(".")[2] in PROPERTIES for decorator in node.decorator_list)


def fault(docstring: str | None, function: bool) -> str:
    """Return what is wrong with a docstring in a few words; "" when nothing is."""
    if not docstring:
        return "no docstring"
    first = re.split(r"[\s,:;.]", docstring, maxsplit=1)[0]
    if first in BARE and not (first == "Whether" and not function):
        return f"begins with {first!r}"
    if function and (first in NOUN_MARKS or not re.fullmatch(r"[A-Z][a-z]+", first)):
        return f"begins with {first!r} instead of a verb"
    if not (docstring[0].isupper() or docstring[0].isdigit() or not function):
        return "begins with a small letter"
    if not docstring.endswith((".", ":")) and ">>>" not in docstring and "\n    " not in docstring:
        return "does not end with a full stop, a colon or a code block"
    return ""


@pytest.mark.parametrize("path", list(modules()), ids=lambda path: str(path.relative_to(ROOT)))
def test_public_docstrings_are_sentences(path: Path) -> None:
    tree = ast.parse(path.read_text())
    faults = []
    for name, node, may_override in definitions(tree.body):
        docstring = ast.get_docstring(node)
        if docstring is None and may_override:
            continue
        if wrong := fault(docstring, not isinstance(node, ast.ClassDef) and not is_property(node)):
            faults.append(f"{path.relative_to(ROOT)}:{node.lineno} {name}: {wrong}")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(("docstring", "function"), [
    (None, True), ("Of one further launch.", True), ("The sum.", True), ("return the sum.", True),
    ("Return the sum", True), ("For people.", False)])
def test_riddles_are_found(docstring: str | None, function: bool) -> None:
    assert fault(docstring, function)


@pytest.mark.parametrize(("docstring", "function"), [
    ("Return the sum of all parts.", True), ("Fitted law of memory.", False), ("Whether a record exists.", False)])
def test_sentences_pass(docstring: str, function: bool) -> None:
    assert not fault(docstring, function)
