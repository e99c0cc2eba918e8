"""`batchscale export RESULTS`: the measured tables as CSV with a README, and the curves for TensorBoard."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ....analysis.exporters import csv, tensorboard
from ....analysis.tables.reading import read
from ....benchmarks.errors import EXIT_OK
from ....benchmarks.records.json_files import cannot_write
from ....benchmarks.records.store import open_store
from ..options import add_results


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's own arguments to its parser."""
    add_results(parser)
    parser.add_argument("--output", type=Path, help="where the CSV files go (default: RESULTS/<plan>/export)")
    parser.add_argument("--tidy", action="store_true", help="also tidy.csv, one number a row with the columns to begin "
                        "with: rule, batch, replicas, repeat, measure, value")
    parser.add_argument("--tensorboard", type=Path, metavar="DIR", help="also one event file per run, in DIR/<run>")


def run(arguments: Namespace) -> int:
    """Write the tables and print where. Raises RecordError when a folder cannot be written or holds no plan."""
    store = open_store(arguments.results)
    results = read(store)
    folder = csv.write(results, arguments.output or store.folder / "export", arguments.tidy)
    print(f"tables: {folder}, described in {folder / csv.README}")
    if arguments.tensorboard is not None:
        try:
            count = tensorboard.write(results, arguments.tensorboard)
        except OSError as error:
            raise cannot_write(arguments.tensorboard, error, "another folder") from None
        print(f"TensorBoard: {count:,} event files; to see them: tensorboard --logdir {arguments.tensorboard}")
    return EXIT_OK
