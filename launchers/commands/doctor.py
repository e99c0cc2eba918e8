"""`batchscale doctor`: what this machine can run, what is missing, and the command that mends it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ...benchmarks.errors import EXIT_ENVIRONMENT, EXIT_OK
from ..machine import checks, gpu_trial


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's own arguments to its parser."""
    parser.add_argument("--deep", action="store_true", help="import TensorFlow too (seconds)")
    parser.add_argument("--gpu", action="store_true", help="try this machine's GPUs: placing, products, convolution, "
                        "copies, all-reduce (below a minute); writes batchscale-gpu.json here, to be sent")


def run(arguments: Namespace) -> int:
    """Print the table of checks; return 3 when not even a single-device run is possible."""
    if arguments.gpu:
        return _try_gpus()
    found = checks.diagnose(arguments.deep)
    print(checks.table(found))
    needed = (*checks.NEEDED, "TensorFlow import")
    if any(check.ok is False and check.name in needed for check in found):
        print("No study can run here yet.")
        return EXIT_ENVIRONMENT
    return EXIT_OK


def _try_gpus() -> int:
    """Print what was tried on the GPUs and where it is written; 3 where there is none, or one is not right."""
    found, everything = gpu_trial.tried()
    print(checks.table(found))
    if everything:
        print(f"written: {gpu_trial.write(everything, Path.cwd())}")
    return EXIT_OK if all(check.ok is not False for check in found) else EXIT_ENVIRONMENT
