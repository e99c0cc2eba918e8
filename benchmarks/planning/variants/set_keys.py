"""--set KEY=VALUE: keys of a plan given on the command line, in the place of what its text says.

KEY is one of an experiment, set in every experiment that may have it, or of [plan]; EXPERIMENT.KEY is set in that one.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from ...errors import one_of, PlanError
from ...text import listed
from ..keys import Experiment, PlanSettings

NAMES = "name"
ALL = sorted({*Experiment.__struct_fields__, *PlanSettings.__struct_fields__} - {NAMES})
# Only where an experiment has one of them already: one that lists batches per replica takes no global ones beside them.
BATCHES = ("global_batches", "replica_batches")
LONGEST_FOLDER = 80
UNFIT = re.compile(r"[^A-Za-z0-9_.=]+")
DIGITS = 6

Tables = dict[str, Any]
Check = Callable[[Mapping[str, Any], int], object]
"""Raises PlanError where an experiment, the one of this place in the list, is not valid."""


@dataclass(frozen=True)
class Setting:
    """One --set. experiment: its name, "" for all that may have the key; text: as it was given."""

    key: str
    value: Any
    text: str
    experiment: str = ""


@dataclass(frozen=True)
class Changed:
    """The tables of a plan with what was set, the settings that are in effect, and what a user must know of them."""

    tables: Tables
    settings: tuple[Setting, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """Return the settings as KEY=VALUE."""
        return tuple(setting.text for setting in self.settings)


def changed(tables: Tables, words: Sequence[str], check: Check) -> Changed:
    """Return the tables with the settings that the words describe; of two for the same key the last. Raises PlanError.
    """
    last = {word.partition("=")[0].strip(): word for word in words}
    settings = [parsed(last[key], _names(tables)) for key in sorted(last)]
    settings.sort(key=lambda setting: (bool(setting.experiment), setting.key != "dataset"))
    tables, notes = deepcopy(tables), list[str]()
    for setting in settings:
        notes += _applied(tables, setting, check)
    return Changed(tables, tuple(settings), tuple(notes))


def _names(tables: Tables) -> list[str]:
    return [str(experiment.get(NAMES)) for experiment in tables["experiment"]]


def parsed(word: str, experiments: Sequence[str]) -> Setting:
    """Return what KEY=VALUE or EXPERIMENT.KEY=VALUE sets. Raises PlanError with the nearest key or experiment."""
    left, equals, right = (part.strip() for part in word.partition("="))
    experiment, dot, key = left.rpartition(".")
    if not equals or not key:
        raise PlanError(f"--set {word!r} sets nothing; write KEY=VALUE or EXPERIMENT.KEY=VALUE, such as "
                        "dataset=fashion_mnist or adam.epochs=3.")
    if key not in ALL:
        raise PlanError(one_of("--set key", key, ALL))
    if dot and experiment not in experiments:
        raise PlanError(one_of("--set experiment", experiment, experiments))
    if dot and key not in Experiment.__struct_fields__:
        raise PlanError(f"--set {word!r}: {key} is a key of the whole plan; write {key}={right}.")
    return Setting(key, _value(word, right), f"{left}={right}", experiment)


def _value(word: str, text: str) -> Any:
    """The value as TOML has it; a bare word is text."""
    try:
        found = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError) as error:
        if text[:1] in "[{\"'" or "\n" in text:
            raise PlanError(f"--set {word!r}: the value is not valid TOML ({str(error)[:100]}); write for example "
                            "rules='[\"constant\", \"linear\"]'.") from None
        return text
    if list(found) != ["value"]:
        raise PlanError(f"--set {word!r} has several lines; give one --set for each key.")
    return found["value"]


def _applied(tables: Tables, setting: Setting, check: Check) -> list[str]:
    """Put one setting into the tables; return what a user must know. Raises PlanError where it fits nowhere."""
    if setting.key not in Experiment.__struct_fields__:
        tables.setdefault("plan", {})[setting.key] = setting.value
        return []
    problems, fits = list[tuple[str, PlanError]](), 0
    for index, name in enumerate(_names(tables)):
        if setting.experiment in ("", name):
            try:
                tables["experiment"][index] = _tried(tables, index, setting, check)
                fits += 1
            except PlanError as error:
                problems.append((name, error))
    if problems and not fits:
        raise problems[0][1]
    reasons: dict[str, list[str]] = {}
    for name, problem in problems:
        reasons.setdefault(str(problem).partition(f"experiment {name!r}: ")[2] or str(problem), []).append(name)
    return [f"--set {setting.text} leaves {listed(names)} as before: {reason}" for reason, names in reasons.items()]


def _tried(tables: Tables, index: int, setting: Setting, check: Check) -> Tables:
    """The experiment with the key set. Raises PlanError where that is not valid, though it was before."""
    before = tables["experiment"][index]
    if setting.key in BATCHES and setting.key not in {**tables.get("defaults", {}), **before}:
        raise PlanError(f"there is no {setting.key} to change.")
    after = {**before, setting.key: setting.value}
    if setting.key == "dataset":
        after.pop("stand_in", None)  # which was for the data set that the plan names
    check(after, index)
    return after


def set_words(settings: Sequence[str]) -> list[str]:
    """Return the words of a command line that give these settings, KEY=VALUE, again."""
    return [word for setting in settings for word in ("--set", setting)]


def folder_name(plan: str, words: Sequence[str]) -> str:
    """Return the name of the results folder: the plan's, and what was set, so that settings never share a folder.

    >>> folder_name("quick", ["dataset=fashion_mnist", "seeds=2"])
    'quick-dataset=fashion_mnist-seeds=2'
    """
    if not words:
        return plan
    told = "-".join(UNFIT.sub("_", word).replace("=_", "=").strip("_") for word in words)
    if told != "-".join(words) or len(plan) + len(told) > LONGEST_FOLDER:
        digest = hashlib.sha256("\n".join(words).encode(errors="surrogateescape")).hexdigest()[:DIGITS]
        told = f"{told[:max(0, LONGEST_FOLDER - len(plan))]}-{digest}"
    return f"{plan}-{told}"
