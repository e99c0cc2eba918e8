"""`batchscale where RESULTS`: where a result stands among public ones."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path

from ....analysis.comparison.public import standings, text
from ....analysis.study.study import Study
from ....analysis.tables.reading import read
from ....benchmarks.errors import EXIT_OK
from ....benchmarks.records.json_files import cannot_write
from ....benchmarks.records.schema import finite
from ....benchmarks.records.store import open_store
from ..options import add_results


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's own arguments to its parser."""
    add_results(parser)
    parser.add_argument("--output", type=Path, help="also write the statements here, as JSON with their numbers")


def run(arguments: Namespace) -> int:
    """Print a statement for each critical batch and each replica count that public results know."""
    study = Study(read(open_store(arguments.results)))
    found = standings(study)
    print(text(found, study))
    if arguments.output is not None:
        try:
            arguments.output.write_text(json.dumps(finite([one.to_json() for one in found]), indent=1) + "\n",
                                        encoding="utf-8")
        except OSError as error:
            raise cannot_write(arguments.output, error, "another --output") from None
    return EXIT_OK
