"""`batchscale search largest-batch PLAN`: the largest batch per replica that fits in memory."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ...search import largest_batch
from ..options import add_placement, example
from .asked_plan import add_plan, asked_plan

HELP = "the largest batch per replica that fits in memory: each size in a fresh process, the one found verified"
WHOLE_NUMBERS = (
    ("start", 0, "the first size per replica (default: what memory runs of the plan let expect, else 32)"),
    ("most", 2**20, "the largest size tried (default: 2^20)"),
    ("multiple", 1, "try multiples of this only (default: 1)"),
    ("verify-steps", 30, "training steps of the verifying run (default: 30)"),
)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's own arguments to its parser."""
    kinds = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    kind = kinds.add_parser("largest-batch", help=HELP, description=HELP)
    add_plan(kind, ": its models, data, optimizers, replicas")
    add_placement(kind)
    example(kind, "batchscale search largest-batch mine.toml --memory-limit 4GiB")
    for name, value, meaning in WHOLE_NUMBERS:
        kind.add_argument(f"--{name}", type=int, default=value, metavar="N", help=meaning)
    kind.add_argument("--resolution", type=float, default=1 / 16, help="stop this close, as a fraction (default: 1/16)")
    kind.add_argument("--margin", type=float, default=0.05, help="kept free below the size found (default: 0.05)")
    kind.add_argument("--memory-limit", default="", metavar="SIZE", help="e.g. 4GiB: of each GPU, or, without one, of "
                      "the data of each rank's process, which has no limit of its own")
    kind.add_argument("--retry", action="store_true", help="a trial that failed otherwise once more")


def run(arguments: Namespace) -> int:
    """Search for the largest batch of each of the plan's placements and return the exit code."""
    options = largest_batch.Options(
        results=arguments.results, only=arguments.only, start=arguments.start, most=arguments.most,
        multiple=arguments.multiple, resolution=arguments.resolution, margin=arguments.margin,
        verify_steps=arguments.verify_steps, memory_limit_bytes=largest_batch.byte_size(arguments.memory_limit),
        retry=arguments.retry, launcher=arguments.launcher)
    return largest_batch.run(asked_plan(arguments), options)
