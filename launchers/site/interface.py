"""The reference of `import batchscale`, from the docstrings, as a page of the site."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

HEAD = """# Reference of import batchscale

From the docstrings. [From Python and notebooks](python.md) shows how the parts are used together.
"""
QUOTED = re.compile(r"(: |-> )'([^']*)'")  # as a signature writes annotations that are not evaluated
DIRECTIVE = re.compile(r"\s*# doctest: .*")
INDENT = "    "


def page() -> str:
    """Return the page as MyST Markdown: every name that the package offers, classes with all that is public in them."""
    package = import_module(__name__.partition(".")[0])
    entries = (_entry(f"{package.__name__}.{name}", getattr(package, name)) for name in package.__all__)
    return "\n".join([HEAD, *entries])


def _entry(name: str, what: Any) -> str:
    title = f"## {name.rpartition('.')[2]}\n"
    if not inspect.isclass(what):
        return f"{title}\n{_directive('function', name + signature(what), _text(what), 3)}"
    inside = "\n".join(_member(label, value) for label, value in vars(what).items()
                       if not label.startswith("_") and (callable(value) or _documented(value)))
    return f"{title}\n{_directive('class', name, f'{_text(what)}{inside}', 4)}"


def _documented(value: Any) -> bool:
    return isinstance(value, staticmethod) or (inspect.isdatadescriptor(value) or hasattr(value, "func")) and bool(
        inspect.getdoc(value))


def _member(name: str, value: Any) -> str:
    """A method, or a value that is read like an attribute."""
    if isinstance(value, staticmethod):
        return _directive("staticmethod", name + signature(value.__func__), _text(value.__func__), 3)
    if callable(value):
        return _directive("method", name + signature(value, bound=True), _text(value), 3)
    getter = getattr(value, "fget", None) or value.func  # of a property, or of one that is kept
    kind = inspect.signature(getter).return_annotation
    return _directive("property", name, _text(value), 3, f":type: {kind}\n")


def signature(function: Any, bound: bool = False) -> str:
    """Return the parameters and the result of a function as its source writes them. bound: without `self`."""
    found = inspect.signature(function)
    if bound:
        found = found.replace(parameters=list(found.parameters.values())[1:])
    return QUOTED.sub(r"\1\2", str(found))


def _directive(kind: str, head: str, body: str, ticks: int, options: str = "") -> str:
    fence = "`" * (ticks + 1)  # more than any block inside has
    return f"{fence}{{py:{kind}}} {head}\n{options}\n{body}{fence}\n"


def _text(what: Any) -> str:
    return "".join(f"{block}\n\n" for block in blocks(inspect.getdoc(what) or ""))


def blocks(docstring: str) -> Iterator[str]:
    """Yield the paragraphs of a docstring as Markdown: examples and indented lines are code, the rest is text."""
    for block in re.split(r"\n[ \t]*\n", docstring.strip("\n")):
        lines = block.splitlines()
        if block.startswith(">>>"):
            shown = "\n".join(DIRECTIVE.sub("", line) for line in lines)
            yield f"```pycon\n{shown}\n```"
        elif all(line.startswith(INDENT) for line in lines):
            yield "```python\n{}\n```".format("\n".join(line.removeprefix(INDENT) for line in lines))
        else:
            yield block.replace("<", "&lt;")
