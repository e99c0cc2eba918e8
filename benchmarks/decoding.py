"""Typed records out of what JSON and TOML hold: msgspec checks the types, and our own sentences say what is wrong."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import inspect, Meta

from .errors import BatchscaleError, one_of

T = TypeVar("T")
LARGEST_WHOLE, LARGEST_NUMBER = 2**63 - 1, sys.float_info.max
# NaN passes as a float unless there is a range, and a number without one may be too large for a table.
Whole = Annotated[int, Meta(ge=-LARGEST_WHOLE, le=LARGEST_WHOLE)]
Number = Whole | Annotated[float, Meta(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)]
Count = Annotated[int, Meta(ge=0, le=LARGEST_WHOLE)]

MISSING, UNKNOWN = re.compile("missing required field `(.+?)`"), re.compile("contains unknown field `(.+?)`", re.DOTALL)
PLACE, STEP = re.compile(r" - at `\$([^`]*)`$"), re.compile(r"\.(\w+)|\[(\d+|\.\.\.)\]")
ANY_KEY = "..."  # of a mapping, whose keys msgspec does not name
BAR = r"\|"  # in a cell of a Markdown table
MOST_SHOWN = 40
MOST_TYPES = 64
WITH_FIELDS = (inspect.StructType, inspect.DataclassType)
JSON_WORDS = {"text": "text", "object": "an object"}
TOML_WORDS = {"text": "text in quotes", "object": "a table of keys"}


def decoded(value: object, kind: type[T], error: type[BatchscaleError], where: str = "",
            words: dict[str, str] = JSON_WORDS) -> T:
    """Return the value as a `kind`. Raises `error`, saying `where`, then the key, its value and what it must be.

    `words` are those of the file's format for text and objects.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as wrong:
        sentence = _sentence(value, kind, str(wrong), words)
    except (ValueError, RecursionError, OverflowError):  # half a surrogate pair, or no end
        sentence = f"{_shown(value)} is no text that can be read."
    raise error(where + sentence) from None


def _sentence(value: object, kind: type[Any], answer: str, words: dict[str, str]) -> str:
    """What msgspec answered, about the innermost value that it names."""
    found = PLACE.search(answer)
    known = _type_of(kind)  # type: ignore[arg-type]  # a type can be hashed
    place, inner, expected = _walk(value, known, found[1] if found else "")
    if missing := MISSING.search(answer):
        meaning = next((f" ({said})" for option in _options(expected) if isinstance(option, WITH_FIELDS)
                        for field in option.fields if field.encode_name == missing[1]
                        and (said := _notes(field.type).get("description"))), "")
        return f"{place}.{missing[1]} is missing{meaning}.".lstrip(".")
    if (unknown := UNKNOWN.search(answer)) and isinstance(expected, WITH_FIELDS):
        sentence = one_of("key", unknown[1][:MOST_SHOWN], [field.encode_name for field in expected.fields])
        return f"{place}: {sentence}".removeprefix(": ")
    if isinstance(choice := next(_options(expected)), inspect.LiteralType) and isinstance(inner, str):
        return one_of(place, inner[:MOST_SHOWN], map(str, choice.values))
    rule = describe(expected, words)
    return f"{place} = {_shown(inner)} must be {rule}." if place else f"{_shown(inner)} is not {rule}."


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def _walk(value: Any, kind: inspect.Type, path: str) -> tuple[str, Any, inspect.Type]:
    """The name, the value and the type at a path like `.trials[0].steps`, as far as one can follow it."""
    place = ""
    for name, index in STEP.findall(path):
        inner = _inner(kind, name, index)
        if index == ANY_KEY and inner is not None:
            name = next((key for key, item in value.items() if not _fits(item, inner)), None)
        try:
            value = value[int(index) if index.isdecimal() else name]
        except (LookupError, TypeError):
            break
        if inner is None:
            break
        place, kind = f"{place}[{index}]" if index.isdecimal() else f"{place}.{name[:MOST_SHOWN]}", inner
    return place.lstrip("."), value, kind


def _inner(kind: inspect.Type, name: str, index: str) -> inspect.Type | None:
    """The type of a field, of a mapping's values where `index` is ANY_KEY, else of a list's items."""
    for option in _options(kind):
        if name and isinstance(option, WITH_FIELDS):
            return next((field.type for field in option.fields if field.encode_name == name), None)
        if index == ANY_KEY and isinstance(option, inspect.DictType):
            return option.value_type
        if index.isdecimal() and isinstance(option, (inspect.ListType, inspect.VarTupleType)):
            return option.item_type
    return None


def _fits(value: object, kind: inspect.Type) -> bool:
    """Whether a value of a mapping is of its type; True for a type that is no number, text or list of those."""
    options = list(_options(kind))
    if _is_whole(value) and any(isinstance(option, inspect.IntType) for option in options):
        options = [option for option in options if not isinstance(option, inspect.FloatType)]  # as msgspec has it
    return any(_is(value, option) for option in options)


def _is(value: object, kind: inspect.Type) -> bool:
    if isinstance(kind, (inspect.IntType, inspect.FloatType)):
        right = _is_whole(value) or isinstance(kind, inspect.FloatType) and isinstance(value, float)
        low, high = (sign * math.inf if end is None else end for sign, end in ((-1, kind.ge), (1, kind.le)))
        return right and isinstance(value, (int, float)) and low <= value <= high
    if isinstance(kind, (inspect.ListType, inspect.VarTupleType)):
        return isinstance(value, (list, tuple)) and all(_fits(item, kind.item_type) for item in value)
    types: dict[type[inspect.Type], type] = {inspect.StrType: str, inspect.BoolType: bool, inspect.NoneType: type(None)}
    return isinstance(value, types.get(type(kind), object))


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _options(kind: inspect.Type) -> Iterator[inspect.Type]:
    """A type without its notes; of a union each of its types."""
    if isinstance(kind, inspect.Metadata):
        yield from _options(kind.type)
    elif isinstance(kind, inspect.UnionType):
        for option in kind.types:
            yield from _options(option)
    else:
        yield kind


def describe(kind: inspect.Type, words: dict[str, str] = JSON_WORDS) -> str:
    """Return a type in words, with its limits and an example where it has one."""
    options = list(dict.fromkeys(_named(option, words) for option in _options(kind)))
    if any(option.startswith("a number") for option in options):  # which whole numbers are
        options = [option for option in options if not option.startswith("a whole number")]
    return " or ".join(options) + "".join(f", for example {item}" for item in _notes(kind).get("examples", ()))


def _named(kind: inspect.Type, words: dict[str, str]) -> str:
    """One type in words; a name for it where it is neither a number, text, a list nor an object."""
    if isinstance(kind, (inspect.IntType, inspect.FloatType)):
        whole = isinstance(kind, inspect.IntType) or kind.multiple_of == 1
        return f"a {'whole ' if whole else ''}number{_limits(kind)}"
    if isinstance(kind, (inspect.ListType, inspect.VarTupleType)):
        most = "" if kind.max_length is None else f" at most {kind.max_length:,}"
        items = _plural(kind.item_type)
        return f"a list of{most}{items}" if most or items else "a list"
    if isinstance(kind, inspect.LiteralType):
        return f"one of: {', '.join(map(str, kind.values))}" if len(kind.values) > 1 else f'"{kind.values[0]}"'
    if isinstance(kind, inspect.StrType) and kind.max_length is not None:
        return f"{words['text']}, at most {kind.max_length:,} characters"
    named: dict[type[inspect.Type], str] = {
        inspect.StrType: words["text"], inspect.BoolType: "true or false", inspect.NoneType: "null",
        inspect.StructType: words["object"], inspect.DictType: words["object"], inspect.DataclassType: words["object"]}
    return named.get(type(kind), "another value")


def _plural(kind: inspect.Type) -> str:
    """The items of a list in words; "" for what is neither a number nor text."""
    options = list(_options(kind))
    if any(isinstance(option, inspect.FloatType) for option in options):
        return " numbers"
    words = [" whole numbers" if isinstance(option, inspect.IntType) else " texts" if
             isinstance(option, inspect.StrType) else "".join(f' "{value}"' for value in option.values)
             for option in options if isinstance(option, (inspect.IntType, inspect.StrType, inspect.LiteralType))]
    return " or".join(words)


def _limits(kind: inspect.IntType | inspect.FloatType) -> str:
    """The range of a number, where it is narrower than what can be stored."""
    least, most = ("2^53" if end == 2**53 else end for end in (kind.ge, kind.le))
    low = kind.ge is not None and abs(kind.ge) < LARGEST_WHOLE
    high = kind.le is not None and abs(kind.le) < LARGEST_WHOLE
    if low and high:
        return f" from {least} to {most}"
    return f" of at least {least}" if low else f" of at most {most}" if high else ""


def meanings(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Return the description of each field, by its name in a file."""
    return {field.encode_name: str(_notes(field.type).get("description", "")) for field in _fields(kind)}


def choices(kind: type[msgspec.Struct]) -> dict[str, list[str]]:
    """Return the texts that a field may be, by its name, where its note lists them."""
    return {field.encode_name: names for field in _fields(kind) if (names := _notes(field.type).get("enum"))}


def lists(kind: type[msgspec.Struct]) -> set[str]:
    """Return the names of the fields that hold lists."""
    return {field.encode_name for field in _fields(kind)
            if any(isinstance(option, inspect.VarTupleType) for option in _options(field.type))}


def parts(kind: type[msgspec.Struct]) -> dict[str, type[msgspec.Struct]]:
    """Return the record type that a field holds, or holds a list of, by the field's name; others are left out."""
    return {field.encode_name: inner.cls for field in _fields(kind) for option in _options(field.type)
            if isinstance(inner := getattr(option, "item_type", option), inspect.StructType)}


def table(kind: type[msgspec.Struct]) -> str:
    """Return the fields of a record as a Markdown table: name, meaning, whether it may be absent."""
    said = meanings(kind)
    rows = "\n".join(f"| `{field.encode_name}` | {said[field.encode_name].replace('|', BAR)} | "
                     f"{'' if field.required else 'may be absent'} |" for field in _fields(kind))
    return f"| field | what it is | |\n|---|---|---|\n{rows}\n"


def _fields(kind: type[msgspec.Struct]) -> tuple[inspect.Field, ...]:
    """Its own first, then those it inherits."""
    found = _type_of(kind)
    assert isinstance(found, inspect.StructType)
    return tuple(sorted(found.fields, key=lambda field: field.name not in kind.__annotations__))


@lru_cache(maxsize=MOST_TYPES)
def _type_of(kind: type[Any]) -> inspect.Type:
    """What msgspec knows of a type: it takes milliseconds to say, and the same few types are asked for again and again.
    """
    return inspect.type_info(kind)


def _notes(kind: inspect.Type) -> dict[str, Any]:
    return (kind.extra_json_schema or {}) if isinstance(kind, inspect.Metadata) else {}
