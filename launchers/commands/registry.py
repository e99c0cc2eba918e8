"""The commands of `batchscale` in the order of its help; the module of each is imported when the command is called.

A module has `add_arguments(parser)` and `run(arguments)`, which returns the exit code.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast


class CommandModule(Protocol):
    """The two functions that a command's module has."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the command's own arguments to its parser."""

    def run(self, arguments: Namespace) -> int:
        """Do the command and return its exit code."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """The name and help text of a command, and its module below this package.

    description: the first line of the command's own help; by default its help text.
    """

    name: str
    help: str
    module: str
    description: str = ""

    def load(self) -> CommandModule:
        """Import the command's module."""
        return cast(CommandModule, import_module(f".{self.module}", __package__))


COMMANDS = (
    Command(name="study", module="runs.study", help="run a plan here, then write the report"),
    Command(name="run", module="runs.run", help="run a plan here"),
    Command(name="plan", module="runs.plan",
            help="dry run: the runs, the exact commands, what is skipped, the cost"),
    Command(name="status", module="results.status", help="what is done, running, failed, lost; how to go on"),
    Command(name="report", module="results.report", help="write the report of what has been measured so far"),
    Command(name="verify", module="results.verify", help="check every record; name what is corrupt, and why"),
    Command(name="clean", module="results.clean", help="list what nothing needs any more; remove it with --yes"),
    Command(name="import", module="results.import_results",
            help="read another tool's results into the same table and report"),
    Command(name="export", module="results.export",
            help="the measured tables as CSV, and the curves for TensorBoard"),
    Command(name="predict", module="results.predict",
            help="throughput, time and cost at replica counts not measured, with intervals"),
    Command(name="compare", module="results.compare",
            help="regression gate between two result sets: a table for a pull request, exit code 1 on a regression"),
    Command(name="search", module="runs.search", description="find a limit by trying",
            help="the largest batch per replica that fits in memory, found by trying"),
    Command(name="doctor", module="doctor", help="what this machine can run, what is missing, and how to mend it"),
)
