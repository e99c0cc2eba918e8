"""`batchscale study PLAN`: run a plan on this machine, then write its report."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from contextlib import suppress
from importlib import import_module
from threading import Thread

from ...local import study
from ..options import add_effort, add_placement, add_report_folder
from .asked_plan import add_plan, asked_plan
from .run import study_options


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's own arguments to its parser."""
    add_plan(parser)
    add_placement(parser)
    add_effort(parser)
    add_report_folder(parser)


def run(arguments: Namespace) -> int:
    """Run the plan, write the report, and return the exit code of the first that did not end well."""
    plan = asked_plan(arguments)
    Thread(target=_load_report, daemon=True).start()  # while another process says what data and model are
    code = study.run(plan, study_options(arguments))
    from ..results.report import write_report
    reported = write_report(arguments.results / plan.name, arguments.output)
    return code or reported


def _load_report() -> None:
    """Import what writes reports; whatever that raises is raised again where it is used."""
    with suppress(Exception):
        import_module("..results.report", __package__)
