"""`--only experiment=adam,seed<3`: which of a plan's runs are meant. All conditions must hold."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from ..errors import one_of, PlanError
from ..runs.run_config import RunConfig

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
CONDITION = re.compile(r"\s*(\w+)\s*(<=|>=|!=|=|<|>)\s*(.+?)\s*")
COMPARED = {f.name: str(f.type) for f in fields(RunConfig) if str(f.type) in ("str", "int", "float", "bool")}
CONVERT: dict[str, Callable[[str], Any]] = {
    "str": str, "int": int, "float": float, "bool": lambda text: {"true": True, "false": False}[text.lower()]}

Selection = Callable[[RunConfig], bool]


def parse(text: str) -> Selection:
    """Return the selection that `text` describes, true for the runs that are meant; "" selects every run. Raises
    PlanError."""
    conditions = [_condition(part) for part in text.split(",") if part.strip()]
    return lambda config: all(condition(config) for condition in conditions)


def _condition(text: str) -> Selection:
    match = CONDITION.fullmatch(text)
    if not match:
        raise PlanError(f"--only {text!r} is no condition; write key, one of {' '.join(OPERATORS)}, value, for "
                        "example experiment=adam,seed<3.")
    name, symbol, value = match.groups()
    if name == "run":
        return lambda config: OPERATORS[symbol](config.run_id, value)
    if name not in COMPARED:
        raise PlanError(one_of("--only key", name, (*COMPARED, "run")))
    wanted = _value(name, value)
    return lambda config: OPERATORS[symbol](getattr(config, name), wanted)


def _value(name: str, value: str) -> Any:
    kind = COMPARED[name]
    try:
        return CONVERT[kind](value)
    except (ValueError, KeyError):
        raise PlanError(f"--only {name}={value!r}: {name} is compared with a value of type {kind}.") from None
