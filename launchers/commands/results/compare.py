"""`batchscale compare BASE NEW`: the regression gate between two result sets."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from ....analysis.comparison.compare import compare
from ....analysis.comparison.markdown import markdown
from ....analysis.comparison.readable import readable
from ....analysis.comparison.sides import read_side
from ....benchmarks.records.json_files import cannot_write


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's own arguments to its parser."""
    parser.add_argument("base", type=Path, help="RESULTS/<plan>, or a JSON file of pytest-benchmark")
    parser.add_argument("new", type=Path, help="the same, measured later")
    parser.add_argument("--tolerance", type=float, default=0.05, help="change in speed or memory that counts as none "
                        "(default: 0.05); accuracies have the plan's margin")
    parser.add_argument("--allow", action="append", default=[], metavar="KEY", help="let this key differ, such as "
                        "processor or launch; may be repeated")
    parser.add_argument("--strict", action="store_true", help="return 4 where anything is not decided and nothing "
                        "regressed")
    parser.add_argument("--markdown", action="store_true", help="print Markdown, as in a pipe, in a terminal too")
    parser.add_argument("--output", type=Path, help="also write the table here, as Markdown")


def run(arguments: Namespace) -> int:
    """Print the comparison as Markdown, write it to `--output`, and return 1 on a regression, 4 on what `--strict` does
    not let pass."""
    comparison = compare(read_side(arguments.base), read_side(arguments.new), arguments.tolerance, arguments.allow)
    text = markdown(comparison, arguments.strict)
    print(text if arguments.markdown or not sys.stdout.isatty() else readable(text))
    if arguments.output is not None:
        _write(arguments.output, text)
    return comparison.exit_code(arguments.strict)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise cannot_write(path, error, "another --output") from None
