"""Options that several commands share, and how their values are read."""

from __future__ import annotations

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path
from textwrap import fill

from ...benchmarks.errors import PlanError

SECONDS = {"s": 1, "m": 60, "h": 3600}


def example(parser: ArgumentParser, command: str) -> None:
    """End the parser's help with a command that can be typed as it stands."""
    parser.formatter_class = RawDescriptionHelpFormatter
    parser.description = fill(parser.description or "", 100)
    parser.epilog = f"example:\n  {command}"


def add_placement(parser: ArgumentParser) -> None:
    """Add the options that say which runs of a plan are meant, where they are kept and how ranks start."""
    parser.add_argument("--results", type=Path, default=Path("results"), help="results folder (default: results)")
    parser.add_argument("--only", default="", help="only the runs that fit, e.g. 'experiment=adam,seed<3', in quotes")
    parser.add_argument("--launcher", default="auto",
                        help="how Horovod's ranks start: horovodrun or mpirun (default: mpirun for MPI)")


def add_effort(parser: ArgumentParser) -> None:
    """Add the options that say how long runs may be started and whether failed ones are done again."""
    parser.add_argument("--budget", default="", help="start no run after this time, e.g. 2h, or no more than "
                        "40runs, or 20usd by the plan's price; what decides most comes first")
    parser.add_argument("--retry", action="store_true", help="also do invalid and failed runs again")
    parser.add_argument("--continue-edited", action="store_true", help="count runs of an edited model or data with "
                        "those made before, instead of making all anew beside them")


def add_results(parser: ArgumentParser) -> None:
    """Add the results folder that a command reads."""
    parser.add_argument("results", type=Path, help="RESULTS, or RESULTS/<plan>")


def add_report_folder(parser: ArgumentParser) -> None:
    """Add the option for the folder that a report is written to."""
    parser.add_argument("--output", type=Path, help="where the report goes (default: RESULTS/<plan>/report)")


def seconds(text: str, option: str = "--budget") -> float:
    """Return a length of time, such as 90s, 10m, 1.5h or plain seconds; "" is no limit. Raises PlanError.

    >>> seconds("10m")
    600.0
    """
    if not text:
        return float("inf")
    unit = SECONDS.get(text[-1])
    try:
        value = float(text[:-1] if unit else text) * (unit or 1)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise PlanError(f"{option} {text!r} is no length of time; write for example 90s, 10m or 1.5h"
                        + (", or 40runs or 20usd." if option == "--budget" else "."))
    return value
