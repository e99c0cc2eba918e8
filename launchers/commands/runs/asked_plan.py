"""The plan that a command line asks for: by name, file or script, with what --set gives, on the data that is here."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ....benchmarks import data
from ....benchmarks.errors import RecordError
from ....benchmarks.planning.plan import Plan
from ....benchmarks.planning.variants import stand_ins
from ....benchmarks.records.store import Store
from ...local import scripts
from .script_options import add_script, script_words

PLAN = "a bundled plan's name, a .toml file, or a Keras script, train.py"


def add_plan(parser: ArgumentParser, also: str = "") -> None:
    """Add the plan and --set to a command's parser; `also`: what else the plan's help says."""
    parser.add_argument("plan", help=f"{PLAN}{also}")
    parser.add_argument("--set", dest="sets", action="append", default=[], metavar="KEY=VALUE",
                        help="another value for a key of the plan, in every experiment that may have it, e.g. "
                        "dataset=fashion_mnist; EXPERIMENT.KEY=VALUE for one; repeatable; results go to a folder of "
                        "their own, RESULTS/<plan>-KEY=VALUE")
    add_script(parser)


def asked_plan(arguments: Namespace) -> Plan:
    """Return the plan, its stand-ins decided and its scripts run up to their fit. Raises PlanError, and DataError where
    its data is not here."""
    return ready(scripts.read(arguments.plan, arguments.sets, script_words(arguments)), arguments.results)


def ready(plan: Plan, results: Path) -> Plan:
    """Return a plan that was read with its stand-ins decided and its scripts run up to their fit. Raises PlanError, and
    DataError where its data is not here."""
    store = Store(results / plan.name)
    return scripts.with_scripts(stand_ins.settled(plan, data.absent, begun_on(store), store.folder))


def begun_on(store: Store) -> dict[str, str]:
    """Return the data set that the runs in a folder are on in the place of each that has a stand-in; nothing where no
    run was begun."""
    try:
        begun = any(run.has_record or run.attempts() for run in store.runs())
        return {one.asked: one.used for one in store.manifest.stand_ins} if begun else {}
    except RecordError:  # of no plan yet, or of one that cannot be read, which is said where it is used
        return {}
