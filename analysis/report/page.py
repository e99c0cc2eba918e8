"""The report: one HTML page that needs nothing else, the same as Markdown, the numbers as CSV and JSON, next.toml."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import escape, Markup

from ...benchmarks.records.json_files import cannot_write
from ...benchmarks.records.schema import finite
from ...benchmarks.records.store import Store
from ..columns import RUN, readme
from ..exporters import csv
from ..figures.drawing import Figure
from ..figures.svg import standalone
from ..figures.theme import palette
from ..formatting import plain
from . import sections
from .blocks import Section
from .findings import Findings
from .first_screen import first_screen, FirstScreen
from .live import Live, live_of
from .not_measured import not_measured

CODE = re.compile(r"`([^`<>]+)`")


def write(store: Store, folder: Path, deadline_seconds: float | None = None) -> Path:
    """Write index.html, report.md with figures/*.svg, results.csv and figures/*.csv, decision.json and, where something
    is left open that a run would tell, the plan next.toml into `folder`.

    deadline_seconds: for one training, to name the cheapest option that meets it. Returns the folder. Raises
    RecordError when it cannot be written or the store holds no plan.
    """
    return write_findings(Findings.of(store, deadline_seconds), folder)


def write_findings(findings: Findings, folder: Path) -> Path:
    """Write the same files from findings at hand."""
    results, decided, chapters = findings.results, findings.decided, chapters_of(findings)
    first, found = first_screen(findings), findings.to_json()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        csv.write_runs(results, folder / csv.RUNS)
        (folder / csv.README).write_text(readme({csv.RUNS: RUN}, figures=True), encoding="utf-8")
        (folder / "decision.json").write_text(json.dumps(finite(found), indent=1) + "\n", encoding="utf-8")
        (folder / "report.md").write_text(markdown(first, chapters), encoding="utf-8")
        _write_figures((*first.figures, *(one for chapter in chapters for one in chapter.figures)), folder / "figures")
        _write_next_plan(decided.next_plan, folder / "next.toml")
        (folder / "index.html").write_text(html(first, chapters, live_of(findings)), encoding="utf-8")
    except OSError as error:
        raise cannot_write(folder, error, "another folder with --output") from None
    return folder


def chapters_of(findings: Findings) -> tuple[Section, ...]:
    """Return the sections that stand in the report of these findings, in the order of the page, and last what was not
    measured; each warning stands once."""
    built = [(one, one.shown(findings)) for one in sections.SECTIONS]  # once: their figures take most of the time
    made = [*(section for _, section in built), not_measured(findings, built)]
    told = {*map(str, findings.decided.run_warnings), *findings.decided.warnings}
    return tuple(_once(chapter, told) for chapter in made if chapter is not None)


def _once(chapter: Section, told: set[str]) -> Section:
    """Without the warnings that stand further up, which are added to `told`."""
    new = tuple(warning for warning in dict.fromkeys(chapter.warnings) if warning not in told)
    told.update(new)
    return replace(chapter, warnings=new)


def _write_figures(figures: Sequence[Figure], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    for figure in figures:
        (folder / f"{figure.name}.svg").write_text(standalone(figure.svg), encoding="utf-8")
    csv.write_figures(figures, folder)


def _write_next_plan(text: str, path: Path) -> None:
    """None, and none of an earlier report, where nothing is left open."""
    if text:
        path.write_text(text, encoding="utf-8")
    else:
        path.unlink(missing_ok=True)


def _templates(escape: bool) -> Environment:
    return Environment(loader=PackageLoader("batchscale.analysis.report"), autoescape=escape, trim_blocks=True,
                       lstrip_blocks=True, undefined=StrictUndefined)


def html(first: FirstScreen, chapters: Sequence[Section], live: Live) -> str:
    """Return the page as HTML; all text is escaped, figures alone are markup, made by this package."""
    page = _templates(escape=True)
    page.filters |= {"markup": Markup, "coded": coded}
    return page.get_template("report.html").render(
        first=first, sections=chapters, live=live, light=Markup(palette(dark=False)), dark=Markup(palette(dark=True)))


def coded(text: str) -> Markup:
    """Return escaped text in which what stands in `backticks` is code."""
    return Markup(CODE.sub(r"<code>\1</code>", str(escape(text))))


def markdown(first: FirstScreen, chapters: Sequence[Section]) -> str:
    """Return the same sections as Markdown; figures are files beside it."""
    page = _templates(escape=False)
    page.filters |= {"plain": plain, "unfenced": lambda text: str(text).replace("```", "` ` `")}
    return page.get_template("report.md").render(first=first, sections=chapters)
