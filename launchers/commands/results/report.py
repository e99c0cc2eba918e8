"""`batchscale report RESULTS`: write the report of what has been measured so far."""

from __future__ import annotations

import math
import webbrowser
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from ....analysis.report import page
from ....analysis.report.cards.on_terminal import card_lines
from ....analysis.report.findings import Findings
from ....benchmarks.errors import EXIT_OK, PlanError
from ....benchmarks.planning.coherence import check_margins
from ....benchmarks.records.store import open_store
from ....benchmarks.text import plain
from ..options import add_report_folder, add_results, seconds

HARMLESS = 0.01  # a margin that every rule allows


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's own arguments to its parser."""
    add_results(parser)
    add_report_folder(parser)
    parser.add_argument("--deadline", default="", help="for one training, e.g. 2h: name the cheapest option "
                        "that meets it")
    parser.add_argument("--margin", type=float, help="loss of accuracy that counts as the same, a fraction such as "
                        "0.01 (default: the plan's)")
    parser.add_argument("--loss-margin", type=float, help="the same of a loss, as a share of the reference batch's "
                        "(default: the plan's)")
    parser.add_argument("--price", type=float, help="per device-hour (default: the plan's)")
    parser.add_argument("--open", action="store_true", help="open the page in a browser")


def run(arguments: Namespace) -> int:
    """Write the report, print where it is, and open it where that is asked for."""
    settings = checked_settings(arguments.margin, arguments.loss_margin, arguments.price)
    code = write_report(arguments.results, arguments.output, arguments.deadline, settings)
    if arguments.open:
        _open((arguments.output or open_store(arguments.results).folder / "report") / "index.html")
    return code


def checked_settings(margin: float | None, loss_margin: float | None, price: float | None) -> dict[str, float | None]:
    """Return settings of a plan to judge by; None leaves one as it is. Raises PlanError by the rules of a plan's keys
    of the same names."""
    margins = {"margin": margin, "loss_margin": loss_margin}
    for name, value in margins.items():
        if value is not None and not math.isfinite(value):
            raise PlanError(f"--{name.replace('_', '-')} {value} is no number; give a fraction, such as 0.01.")
    check_margins({name: HARMLESS if value is None else value for name, value in margins.items()}, "batchscale report")
    if price is not None and not 0 <= price < math.inf:
        raise PlanError(f"--price {price} must be 0 or more, per device and hour.")
    return {**margins, "price_per_device_hour": price}


def _open(page_path: Path) -> None:
    try:
        done = webbrowser.open(page_path.resolve().as_uri())
    except webbrowser.Error:
        done = False
    if not done:
        print(f"no browser was found on this machine; open {page_path.resolve()} in one, here or elsewhere")


def write_report(results: Path, output: Path | None, deadline: str = "",
                 settings: Mapping[str, float | None] = MappingProxyType({})) -> int:
    """Write the report of a results folder, by default into it; print the answer and where the report is.

    settings: of the plan that the report is written under instead; None leaves one as it is. Raises RecordError.
    """
    store, limit = open_store(results), seconds(deadline, "--deadline")
    findings = Findings.of(store, limit if limit < float("inf") else None, settings)
    folder = page.write_findings(findings, output or store.folder / "report")
    print("\n".join([*(f"to know: {plain(str(warning))}" for warning in findings.decided.run_warnings),
                     *map(plain, card_lines(findings.cards)), f"report: {folder / 'index.html'}"]))
    return EXIT_OK
