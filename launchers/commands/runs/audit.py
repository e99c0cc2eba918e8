"""`batchscale audit train.py`: whether a script of one's own trains correctly, alone and with several replicas."""

from __future__ import annotations

import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

from ....benchmarks.errors import EXIT_OK, EXIT_RUNS_FAILED
from ....benchmarks.text import counted


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's own arguments to its parser."""
    parser.add_argument("script", type=Path, help="a Python file that calls model.fit, by Horovod or a strategy if it "
                        "likes")
    parser.add_argument("-np", type=int, default=2, metavar="N", help="replicas to train with (default: 2)")
    parser.add_argument("--strategy", default="", help="single, mirrored or horovod (default: what the script's text "
                        "names)")
    parser.add_argument("--arg", action="append", default=[], metavar="WORD", help="of the script's own command line, "
                        "repeated: --arg=--width --arg=64")


def run(arguments: Namespace) -> int:
    """Print what was found, and return 1 where there is a fault. Raises PlanError where there is nothing to look at."""
    from ...audit import alone, processes, together  # numpy, after the arguments are known to be good
    from ...audit.finding import FAULT, Finding
    named = processes.strategy_of(arguments.script)
    strategy = arguments.strategy or named
    processes.check(strategy, arguments.np)
    print(f"running {arguments.script} up to its fit" + (f", alone and with {arguments.np} replicas by {strategy}"
                                                         if processes.has_replicas(strategy, arguments.np) else ""),
          file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="batchscale-audit-") as folder:
        seen = processes.seen(arguments.script, arguments.arg, strategy, arguments.np, Path(folder))

    def told(one: Finding) -> Iterator[str]:
        yield f"{one.kind}: {one.what} [{one.name}]"
        for label, text in (("seen", one.seen), ("effect", one.effect), ("fix", one.fix)):
            yield f"  {label:7} {text}"
    found = sorted([*alone.findings(seen), *together.findings(seen)], key=lambda one: one.kind != FAULT)
    print(processes.facts_line(seen))
    for line in (line for one in found for line in told(one)):
        print(line)
    for skipped in dict.fromkeys((*seen.alone.skipped, *seen.together.skipped)):
        print(f"not looked at: {skipped}")
    faults = sum(one.kind == FAULT for one in found)
    print(counted(faults, "fault") if faults else "no fault found")
    return EXIT_RUNS_FAILED if faults else EXIT_OK
