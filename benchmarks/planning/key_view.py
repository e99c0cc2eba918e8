"""The keys of a plan one by one, for those who write a plan or make a flag of each: kind, default, meaning, choices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from msgspec import inspect, NODEFAULT, Struct, UNSET

from ..decoding import choices, meanings
from .keys import Experiment, PlanSettings

REQUIRED, ABSENT = object(), object()


@dataclass(frozen=True)
class Key:
    """One key. kind: text, whole, number, flag, or in the plural a list of them; batches are whole numbers or "all",
    and a batch, as that of seeds, is one whole number or one word.
    default: REQUIRED where there is none, ABSENT where the key is left out."""

    kind: str
    default: Any
    meaning: str
    choices: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """Return what the key means, with its choices."""
        return self.meaning + (f"; one of: {', '.join(filter(None, self.choices))}" if self.choices else "")


def _kind(of: inspect.Type) -> str:
    """The kind of a value, whatever limits and notes its type has."""
    if isinstance(of, inspect.Metadata):
        return _kind(of.type)
    if isinstance(of, inspect.UnionType):  # with the word "all" beside whole numbers, or with what stands for absent
        return "batch" if any(isinstance(each, inspect.LiteralType) for each in of.types) else _kind(of.types[0])
    if isinstance(of, inspect.VarTupleType):
        return "batches" if _kind(of.item_type) == "batch" else f"{_kind(of.item_type)}s"
    return {inspect.StrType: "text", inspect.IntType: "whole", inspect.FloatType: "number",
            inspect.BoolType: "flag"}[type(of)]


def _keys(of: type[Struct]) -> dict[str, Key]:
    said, known, info = meanings(of), choices(of), inspect.type_info(of)
    assert isinstance(info, inspect.StructType)
    found = {}
    for field in info.fields:
        default = REQUIRED if field.required else ABSENT if field.default in (UNSET, NODEFAULT) else field.default
        found[field.name] = Key(_kind(field.type), default, said[field.name], tuple(known.get(field.name, ())))
    return found


PLAN, EXPERIMENT = _keys(PlanSettings), _keys(Experiment)
