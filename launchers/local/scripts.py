"""A plan's scripts, run up to their fit by a child process, and a plan made of a script and the words of a command."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...benchmarks.config.script import is_script
from ...benchmarks.data.user_function import search_beside
from ...benchmarks.decoding import decoded
from ...benchmarks.errors import PlanError
from ...benchmarks.planning import plan as plans, scripts, writing
from ...benchmarks.planning.keys import setting_seconds
from ...benchmarks.planning.plan import Plan
from ...benchmarks.text import counted
from .describe import Describer

SUFFIX = ".py"


@dataclass(frozen=True)
class Words:
    """Options of a command beside the script: keys of its experiment, and the words that say them again."""

    keys: Mapping[str, Any]
    words: Sequence[str] = ()


def read(plan: str, sets: Sequence[str], given: Words) -> Plan:
    """Return the plan of this file, name or script with what --set gives, before any script was run. Raises PlanError.
    """
    if plan.endswith(SUFFIX):
        return of_script(plan, given, sets)
    if given.keys:
        raise PlanError(f"{given.words[0].partition('=')[0]} belongs to a script, train.py; {plan} is a plan, whose "
                        "keys say it.")
    return plans.read(plan, sets)


def of_script(script: str, given: Words, sets: Sequence[str] = ()) -> Plan:
    """Return the plan that a script and the words of a command amount to, before the script was run. Raises
    PlanError."""
    path = Path(script)
    if not path.is_file():
        raise PlanError(f"there is no script {script}; give the path of a Python file that calls model.fit.")
    search_beside(script)
    name = re.sub(r"[^A-Za-z0-9_.]", "_", path.stem).lstrip("_.") or "script"
    text = writing.of_script(name[:60], {"script": path.name, **given.keys})
    return replace(plans.parse(text, script, sets), words=(script, *given.words))


def with_scripts(plan: Plan) -> Plan:
    """Return the plan with what its scripts give to fit, which is said; as it is without one. Raises PlanError."""
    calls = scripts.calls(plan.experiments)
    if not calls:
        return plan
    print("running the script up to its fit", file=sys.stderr, flush=True)
    found = look(calls, plan)
    experiments: list[Mapping[str, Any]] = []
    notes: dict[str, None] = {}
    for experiment in plan.experiments:
        if is_script(experiment["model"]):
            taken = found[experiment["model"]]
            experiment = scripts.resolved(experiment, taken)
            notes |= dict.fromkeys(scripts.notes(experiment, taken))
        experiments.append(experiment)
    for reference, taken in found.items():
        print(sentence(calls[reference].path, taken), flush=True)
    return replace(plan, experiments=tuple(experiments), settings=scripts.with_notes(plan.settings, notes))


def sentence(path: str, taken: scripts.Taken) -> str:
    """Return what a script gives to fit, in a sentence."""
    metrics = ", ".join(name.rpartition(":")[2] for name in taken.metrics) or "no metric"
    return (f"{path} gives to fit: {counted(taken.train_examples, 'example')} and {taken.test_examples:,} to test by, "
            f"{counted(taken.epochs, 'epoch')} at batch {taken.batch_size:,}, {taken.optimizer} at "
            f"{taken.learning_rate:g}, {taken.loss}, {metrics}")


def look(references: Iterable[str], plan: Plan) -> dict[str, scripts.Taken]:
    """Return what each script gives to fit, by a child process, since only ranks import TensorFlow. Raises
    PlanError."""
    with Describer(plan.source, setting_seconds(plan.settings, "watchdog_seconds")) as asked:
        return {reference: decoded(asked.taken(reference), scripts.Taken, PlanError, "a script's fit: ")
                for reference in references}
