"""`batchscale run PLAN`: do what of a plan is not done, on this machine or by Slurm; or one record's run again."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ....benchmarks.errors import PlanError
from ...local import study
from ...local.looks.budget import is_time
from ..options import add_effort, add_placement, seconds
from .asked_plan import add_plan, asked_plan


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's own arguments to its parser."""
    add_plan(parser, ", or a record.json to do again")
    add_placement(parser)
    add_effort(parser)
    parser.add_argument("--on", choices=("local", "slurm"), default="local", help="where ranks start")
    parser.add_argument("--site", default="", help="with --on slurm: a site profile, by path or bundled name")
    parser.add_argument("--dry-run", action="store_true", help="with --on slurm: write all, submit nothing")


def run(arguments: Namespace) -> int:
    """Run the plan where `--on` says and return the exit code."""
    options = study_options(arguments)
    if arguments.on == "slurm":
        from ...slurm import submit
        return submit.run(asked_plan(arguments), options, arguments.site, arguments.dry_run)
    if arguments.site or arguments.dry_run:
        raise PlanError("--site and --dry-run belong to --on slurm; `batchscale plan` is the dry run of this machine.")
    if arguments.plan.endswith(".json"):
        if arguments.sets:
            raise PlanError("--set belongs to a plan; a record is done again as it is.")
        from . import rerun
        return rerun.run(Path(arguments.plan), options)
    return study.run(asked_plan(arguments), options)


def study_options(arguments: Namespace) -> study.Options:
    """Return the options of a run from the command line. Raises PlanError for a budget that is neither a length of time
    nor a number of runs or an amount of money."""
    limit = seconds(arguments.budget) if is_time(arguments.budget) else float("inf")
    return study.Options(arguments.results, arguments.only, limit, arguments.retry,
                         arguments.launcher, arguments.continue_edited, arguments.budget)
