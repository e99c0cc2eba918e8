"""A new plan as commented TOML: what was chosen, what is left at its default, and what each key means."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from textwrap import fill
from typing import Any

from ..text import plain
from .derived_keys import USUAL_REFERENCE
from .key_view import ABSENT, EXPERIMENT, Key, PLAN, REQUIRED

WIDTH = 100
FIRST_BATCHES = (32, 128, 512)
# Where a new plan differs from the keys' defaults.
START: Mapping[str, Any] = {"global_batches": FIRST_BATCHES, "rules": ("constant", "linear", "sqrt"), "seeds": 5}
WHAT = ("dataset", "model", "loss", "metrics")
TRAINED = ("optimizer", "momentum", "weight_decay", "learning_rate", "reference_batch", "warmup_epochs", "decay",
           "decay_epochs", "epochs", "seeds", "validation_fraction", "precision")
ACCURACY_ALONE = ("global_batches", "rules")
SCALING = ("strategies", "exchange", "replicas", "nodes", "launches", "scaling")


def text(name: str, chosen: Mapping[str, Any], file: str = "") -> str:
    """Return the plan as TOML: an accuracy experiment, and a weak-scaling one where several replicas are asked for.

    chosen: keys of an experiment or of [plan] with their values, as TOML has them; dataset and model must be among
    them. Keys with a good default stand in it as comments. file: where the plan will be, for the commands at its top.
    """
    values = {**START, **chosen}
    numbers = [batch for batch in values["global_batches"] if batch != "all"]
    values.setdefault("reference_batch", min(numbers, default=USUAL_REFERENCE))
    return "\n".join([
        *_top(file or f"{name}.toml"),
        "[plan]", *_keys(PLAN, {"name": name, **values}, ("name", "margin")),
        "[defaults]", *_keys(EXPERIMENT, values, (*WHAT, *_others(values))),
        "# One run for each batch, rule and seed. What every rule gives at the reference batch is run once.",
        "[[experiment]]", 'name = "accuracy"', "",
        *_keys(EXPERIMENT, values, (*TRAINED, *ACCURACY_ALONE)), *_scaling(values, numbers)]).rstrip("\n") + "\n"


def of_script(name: str, chosen: Mapping[str, Any]) -> str:
    """Return the plan of one accuracy experiment with a script; what it does not say is the script's."""
    keys = "\n".join(f"{key} = {_toml(value)}" for key, value in {"name": name, **chosen}.items())
    return f"[plan]\n{f'name = {_toml(name)}'}\n\n[[experiment]]\n{keys}\n"


def _top(file: str) -> list[str]:
    quoted = plain(shlex.quote(file))
    commands = ((f"batchscale plan {quoted}", "what will be run; builds the model and tries a step"),
                (f"batchscale study {quoted}", "runs it, then writes the report; repeat it to go on"))
    width = max(len(command) for command, _ in commands)
    return ["# How large may the batch be for this model on this data?", "#",
            *(f"#   {command:{width}}   {meaning}" for command, meaning in commands), "#",
            "# Lines that begin with # and a key are defaults: remove the # to change one. All keys:",
            "# `batchscale new --help`, or docs/reference.md.", ""]


def _others(values: Mapping[str, Any]) -> list[str]:
    """The keys that were chosen and have no place of their own."""
    timed = _scaling_keys(values) if _several(values) else ()
    placed = {*WHAT, *TRAINED, *ACCURACY_ALONE, *timed}
    return [name for name in values if name in EXPERIMENT and name not in placed]


def _several(values: Mapping[str, Any]) -> bool:
    """Whether more than one replica is asked for, which an experiment of its own times."""
    return any(count != 1 for count in values.get("replicas", ()))


def _scaling_keys(values: Mapping[str, Any]) -> tuple[str, ...]:
    return (*SCALING, "global_batches" if values.get("scaling") == "strong" else "replica_batches")


def _keys(known: Mapping[str, Key], values: Mapping[str, Any], names: Sequence[str]) -> Iterator[str]:
    """Each key below what it means; one that is not among the values with its default, as a comment."""
    chosen = [name for name in known if name in values and (name in names or known is PLAN)]
    for name in (*names, *(name for name in chosen if name not in names)):
        key = known[name]
        yield fill(key.sentence, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
        if name in values:
            yield f"{name} = {_toml(values[name])}"
        else:
            yield f"# {name} =" + ("" if key.default in (ABSENT, REQUIRED) else f" {_toml(key.default)}")
        yield ""


def _scaling(values: Mapping[str, Any], batches: Sequence[int]) -> Iterator[str]:
    """A scaling experiment with the same model, where the plan asks for more than one replica."""
    if _several(values):
        replicas = [1, *(count for count in values["replicas"] if count != 1)]
        placed = {"scaling": "weak", "strategies": ["mirrored"], "replica_batches": batches or FIRST_BATCHES, **values,
                  "replicas": replicas}
        yield from ("# How fast more replicas are: timed alone on the machine, without looking at accuracy.",
                    "[[experiment]]", 'name = "scaling"', 'kind = "throughput"', "",
                    *_keys(EXPERIMENT, placed, _scaling_keys(values)))


def _toml(value: Any) -> str:
    """A value of a plan as TOML: text as JSON writes it, which TOML reads alike."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)


def of_tables(tables: Mapping[str, Any], comment: str) -> str:
    """Return the tables of a plan as TOML below a comment."""
    lines = [f"# {plain(comment)}"]
    for title, table in (*((f"[{name}]", tables[name]) for name in ("plan", "defaults") if name in tables),
                         *(("[[experiment]]", experiment) for experiment in tables["experiment"])):
        lines += ["", title, *(f"{name} = {_toml(value)}" for name, value in table.items())]
    return "\n".join(lines) + "\n"
