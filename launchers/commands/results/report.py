"""`batchscale report RESULTS`: write the report of what has been measured so far."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ....analysis.decision.answer import answer_lines
from ....analysis.report import page
from ....analysis.report.findings import Findings
from ....benchmarks.errors import EXIT_OK
from ....benchmarks.records.store import open_store
from ....benchmarks.text import plain
from ..options import add_report_folder, add_results, seconds


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's own arguments to its parser."""
    add_results(parser)
    add_report_folder(parser)
    parser.add_argument("--deadline", default="", help="for one training, e.g. 2h: name the cheapest option "
                        "that meets it")


def run(arguments: Namespace) -> int:
    """Write the report and print where it is."""
    return write_report(arguments.results, arguments.output, arguments.deadline)


def write_report(results: Path, output: Path | None, deadline: str = "") -> int:
    """Write the report of a results folder, by default into it; print the answer and where the report is.

    Raises RecordError.
    """
    store, limit = open_store(results), seconds(deadline, "--deadline")
    findings = Findings.of(store, limit if limit < float("inf") else None)
    folder = page.write_findings(findings, output or store.folder / "report")
    print("\n".join([*(f"to know: {warning}" for warning in findings.decided.run_warnings),
                     *map(plain, answer_lines(findings.decided.recommendations)),
                     f"report: {folder / 'index.html'}"]))
    return EXIT_OK
