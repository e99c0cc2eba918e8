"""RunConfig: one run, fully specified and checked. Nothing that changes a result lives outside it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from ..config.fields import RunFields
from ..errors import PlanError, one_of
from .validation import validate


@dataclass(frozen=True, kw_only=True)
class RunConfig(RunFields):
    """The settings of one run, every rule of which holds. Raises PlanError naming the first one that is broken."""

    def __post_init__(self) -> None:
        validate(self)


def to_json(config: RunConfig) -> dict[str, Any]:
    """Return the configuration as `config.json` holds it: every field by its name."""
    return {one.name: getattr(config, one.name) for one in fields(config)}


def from_json(values: dict[str, Any]) -> RunConfig:
    """Return the configuration in a `config.json`. Raises PlanError for an unknown, missing or mistyped key, or a
    broken rule."""
    known = {field.name for field in fields(RunConfig)}
    for name in values:
        if name not in known:
            raise PlanError(one_of("configuration key", name, known))
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    try:
        return RunConfig(**values)
    except TypeError as error:
        raise PlanError(f"configuration is incomplete: {error}") from None
