"""YAML that other tools write beside a run, as names and plain values: nothing in it is executed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ....benchmarks.errors import RecordError
from ....benchmarks.limits import nested_deeper
from ..imported_run import label
from ..sources import MOST_LEVELS, Sources

MOST_BYTES = 128 * 2 ** 10
MOST_WORDS = 1_000


class _Plain(yaml.SafeLoader):  # type: ignore[misc]
    """Loader for which an object of somebody's class is the text of its tag."""


def _unknown(loader: Any, suffix: str, node: Any) -> str:
    return f"!{suffix}"


_Plain.add_multi_constructor("!", _unknown)
_Plain.add_multi_constructor("tag:yaml.org,2002:python/", _unknown)


def yaml_words(sources: Sources, path: Path, hint: str) -> dict[str, Any]:
    """Return the plain values of a YAML file by their dotted names, such as model.layers.

    Raises RecordError for what is no YAML mapping, is larger than MOST_BYTES or nested deeper than MOST_LEVELS.
    """
    text = sources.content(path, hint, MOST_BYTES).decode("utf-8-sig", "replace")
    try:
        value = None if text.count("*") > MOST_WORDS else yaml.load(text, _Plain)  # references to references swell
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError, TypeError, AttributeError) as error:
        raise RecordError(f"{sources.named(path)} is no whole YAML: {' '.join(str(error).split())[:100]}.") from None
    if not isinstance(value, Mapping) or nested_deeper(value, MOST_LEVELS):
        raise RecordError(f"{sources.named(path)} is no YAML of names and values; give {hint}.")
    return plain_words(value)


def plain_words(value: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Return the texts and numbers of nested mappings by their dotted names, at most MOST_WORDS."""
    found: dict[str, Any] = {}
    for name, one in _flat(value, prefix):
        if len(found) < MOST_WORDS:
            found[name] = one
    return found


def _flat(value: Mapping[Any, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, one in value.items():
        name = label(f"{prefix}{key}" if isinstance(key, (str, int)) else "")
        if isinstance(one, Mapping):
            yield from _flat(one, f"{name}.")
        elif name and isinstance(one, (int, float)):
            yield name, one
        elif name and isinstance(one, str):
            yield name, label(one)
