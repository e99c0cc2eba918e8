"""plan.toml -> Plan -> run configurations. Plans are static: every run is listed before the first one starts.

The seeds, batches, rules and replicas of an experiment are multiplied out; runs that are the same configuration (every
rule at the reference batch, say) are listed once.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.choices import NAME
from ..config import optimizers
from ..data.user_function import search_beside
from ..errors import one_of, PlanError
from ..limits import nested_deeper
from . import coherence, derived_keys, keys, scripts, tuning
from .variants import set_keys
from .writing import of_tables

LONGEST_TEXT = 2**20
MOST_LEVELS = 8
MOST_EXPERIMENTS = 1_000
DOTTED = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){20}""")


@dataclass(frozen=True)
class StandIn:
    """A data set that the plan asks for, the one that may stand in for it, and which is used. here: whether what was
    asked for is on this machine."""

    asked: str
    stand_in: str
    used: str
    here: bool


@dataclass(frozen=True)
class Plan:
    """Checked plan: the name of its results folder, its text as it is run, the table [plan] with defaults filled in,
    and its experiments. source: the file's path; words: of the command line that it was made of, where it is no file;
    sets: what --set gave; notes: what of it fits not everywhere."""

    name: str
    text: str
    settings: Mapping[str, Any]
    experiments: tuple[Mapping[str, Any], ...]
    source: str = ""
    words: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    stand_ins: tuple[StandIn, ...] = ()

    @property
    def margin(self) -> float:
        """Accuracy difference, as a fraction, that counts as the same."""
        return float(self.settings.get("margin", 0.005))

    @property
    def datasets(self) -> list[str]:
        """Return the names of the data sets, sorted, each once."""
        return sorted({str(e["dataset"]) for e in self.experiments})


def _takes_momentum(optimizer: str) -> bool:
    spec = optimizers.known(optimizer)
    return spec is not None and spec.momentum


def bundled() -> dict[str, Path]:
    """Return the plans that come with the suite: name -> path."""
    return {p.stem: p for p in sorted((Path(__file__).parents[1] / "plans").glob("*.toml"))}


def find(plan: str) -> Path:
    """Return the path of a plan, given as a path or as a bundled plan's name. Raises PlanError where there is no such
    plan."""
    path = Path(plan)
    if _is_file(path):
        return path
    for name in (plan, path.stem if path.parent.name == "plans" else plan):
        if name in bundled():
            return bundled()[name]
    if path.suffix == ".toml" or "/" in plan:
        raise PlanError(f"there is no plan file {plan}; bundled plans, by name: {', '.join(bundled())}.")
    raise PlanError(one_of("plan", plan, bundled()) + " Or give a path to a .toml file.")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long, or holds NUL
        return False


def read(plan: str, sets: Sequence[str] = ()) -> Plan:
    """Read, parse and check a plan with what --set gives; users' modules are looked for beside it from here on.

    Raises PlanError naming the file, the key, the value, the choices and the fix.
    """
    path = find(plan)
    search_beside(str(path))
    try:
        with open(path, encoding="utf-8-sig") as file:  # Windows' editors begin a text with a mark
            text = file.read(LONGEST_TEXT + 1)
    except OSError as error:
        raise PlanError(f"cannot read {path}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise PlanError(f"{path} is not UTF-8 text; save it as UTF-8.") from None
    return parse(text, str(path), sets)


def parse(text: str, source: str = "plan", sets: Sequence[str] = ()) -> Plan:
    """Parse and check the text of a plan, TOML, with what --set gives; `source` names it in messages.

    Raises PlanError naming the source, the key, the value, the choices and the fix.
    """
    tables = _tables(text, source)
    given = keys.defaults(tables.get("defaults", {}), f"{source} [defaults]")
    varied = set_keys.changed(tables, sets, lambda own, index: _experiment(given, own, index, source))
    tables = varied.tables
    settings = keys.settings(tables.get("plan", {}), f"{source} [plan]")
    coherence.check_margins(settings, f"{source} [plan]")
    if not NAME.fullmatch(settings["name"]):
        raise PlanError(f"{source} [plan] name={settings['name']!r} must be 1 to 60 letters, digits, '_' or '.', and "
                        "start with a letter or digit; it names the results folder.")
    checked = tuple(_experiment(given, own, index, source) for index, own in enumerate(tables["experiment"]))
    for name, count in Counter(e["name"] for e in checked).items():
        if count > 1:
            raise PlanError(f"{source}: experiment name {name!r} is used {count} times; names must differ.")
    coherence.check_stand_ins(checked, source)
    name = set_keys.folder_name(settings["name"], varied.words)
    if varied.words:
        text = of_tables(tables, f"{source} with --set {' --set '.join(varied.words)}")
    return Plan(name, text, settings, checked, source, sets=varied.words, notes=varied.notes)


def _tables(text: str, source: str) -> dict[str, Any]:
    """What the text holds, of which the sections are known and there is an experiment. Raises PlanError."""
    if len(text) > LONGEST_TEXT:
        raise PlanError(f"{source} has more than {LONGEST_TEXT:,} characters, which is no plan.")
    if DOTTED.search(text):  # before parsing, whose memory grows with the square of their number
        raise PlanError(f"{source} has a key of very many parts between dots, which no key of a plan has.")
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is a ValueError alone
        raise PlanError(f"{source} is not valid TOML: {str(error)[:200]}.") from None
    if nested_deeper(values, MOST_LEVELS):
        raise PlanError(f"{source} is nested more than {MOST_LEVELS} levels deep, which no key of a plan is.")
    if isinstance(values.get("experiment"), dict):
        raise PlanError(f"{source} has [experiment]; write [[experiment]], in two pairs of brackets, for it is a list.")
    for key in values:
        if key not in ("plan", "defaults", "experiment"):
            raise PlanError(f"{source}: " + one_of("section", key, ("plan", "defaults", "experiment")))
    if not isinstance(values.get("plan", {}), dict):
        keys.settings(values["plan"], f"{source} [plan]")  # says what it must be
    if not isinstance(values.get("experiment"), list) or not values["experiment"]:
        raise PlanError(f"{source} has no [[experiment]]; add at least one.")
    if (count := len(values["experiment"])) > MOST_EXPERIMENTS:
        raise PlanError(f"{source} has {count:,} experiments; the most is {MOST_EXPERIMENTS:,}. Give several batches, "
                        "rules or replicas to one experiment, or make several plans of it.")
    for experiment in values["experiment"]:
        if not isinstance(experiment, dict):
            keys.experiment(experiment, source)  # says what it must be
    return values


def _experiment(given: Mapping[str, Any], own: Mapping[str, Any], index: int, source: str) -> dict[str, Any]:
    """One experiment with what it takes from [defaults], and the keys' defaults filled in. Raises PlanError."""
    where = f"{source} experiment {own.get('name', index + 1)!r}"
    merged = coherence.merged(given, own)
    checked = scripts.with_given(keys.experiment(scripts.named(merged, where), where), merged)
    tuning.check(checked, where)
    coherence.check_scaling(checked, where)
    coherence.check_placements(checked, where)
    derived_keys.check_seeds(checked, where)
    checked["scaling"] = coherence.scaling(checked, where)
    coherence.check_kept(checked, own, where)
    if "momentum" in own and not _takes_momentum(checked["optimizer"]):
        raise PlanError(f"{where}: momentum = {own['momentum']} does nothing under optimizer = "
                        f"{checked['optimizer']!r}; take optimizer = \"momentum\", or leave it out.")
    return checked
