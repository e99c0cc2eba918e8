"""`batchscale doctor`: what this machine can run, what is missing, and the command that mends it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ...benchmarks.errors import EXIT_ENVIRONMENT, EXIT_OK
from ..machine import checks


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's own arguments to its parser."""
    parser.add_argument("--deep", action="store_true", help="import TensorFlow too (seconds)")


def run(arguments: Namespace) -> int:
    """Print the table of checks; return 3 when not even a single-device run is possible."""
    found = checks.diagnose(arguments.deep)
    print(checks.table(found))
    needed = (*checks.NEEDED, "TensorFlow import")
    if any(check.ok is False and check.name in needed for check in found):
        print("No study can run here yet.")
        return EXIT_ENVIRONMENT
    return EXIT_OK
