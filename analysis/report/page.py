"""The report: one HTML page that needs nothing else, the same as Markdown, the numbers as CSV and JSON, next.toml."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ...benchmarks.records.json_files import cannot_write
from ...benchmarks.records.schema import finite
from ...benchmarks.records.store import Store
from ..columns import RUN, readme
from ..decision.decision import decide_study, Decision
from ..decision.imported import decide_imported
from ..exporters import csv
from ..figures.svg import standalone
from ..figures.theme import palette
from ..formatting import plain
from ..importers import imported_store
from ..study.convergence import convergences
from ..study.timing.input_bound import three_ways
from ..study.timing.step_fits import goodputs, step_fits
from ..tables.reading import read
from ..tables.results import Results
from ..tables.selections import timing_runs
from .blocks import Section
from .first_screen import first_screen, FirstScreen
from .sections.accuracy import accuracy, curves, gradient, published, rates, sharpness, tuned
from .sections.decision import critical
from .sections.decision.claims import claims
from .sections.decision.decision import decision
from .sections.imported import imported
from .sections.memory import memory, search
from .sections.runs import runs as sections_runs
from .sections.speed import forecast, input, ranks, scaling as sections_scaling, step


def write(store: Store, folder: Path, deadline_seconds: float | None = None) -> Path:
    """Write index.html, report.md with figures/*.svg, results.csv and figures/*.csv, decision.json and, where something
    is left open that a run would tell, the plan next.toml into `folder`.

    deadline_seconds: for one training, to name the cheapest option that meets it. Returns the folder. Raises
    RecordError when it cannot be written or the store holds no plan.
    """
    results = read(store)
    return write_results(results, folder, deadline_seconds)


def write_results(results: Results, folder: Path, deadline_seconds: float | None = None) -> Path:
    """The same, from tables at hand."""
    decided, chapters, facts = _decided(results, deadline_seconds)
    first = first_screen(results, decided)
    found = {**decided.to_json(), **{name: [one.to_json() for one in those] for name, those in facts.items()}}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        csv.write_runs(results, folder / csv.RUNS)
        (folder / csv.README).write_text(readme({csv.RUNS: RUN}, figures=True), encoding="utf-8")
        (folder / "decision.json").write_text(json.dumps(finite(found), indent=1) + "\n", encoding="utf-8")
        (folder / "report.md").write_text(markdown(first, chapters), encoding="utf-8")
        _write_figures(chapters, folder / "figures")
        _write_next_plan(decided.next_plan, folder / "next.toml")
        (folder / "index.html").write_text(html(first, chapters), encoding="utf-8")
    except OSError as error:
        raise cannot_write(folder, error, "another folder with --output") from None
    return folder


def _decided(results: Results, deadline_seconds: float | None
             ) -> tuple[Decision, tuple[Section, ...], dict[str, Sequence[Any]]]:
    """The decision, every section, and what decision.json holds besides; imported runs have a report like a study's
    where they are of the kinds that a decision is made of."""
    given, brought = imported_store.of(results.plan), convergences(results)
    if given is not None and not set(results.runs["kind"]) & {"accuracy", "memory"}:
        decided = decide_imported(results, brought, deadline_seconds)
        return decided, imported.sections(results, brought, decided.scaling), {"convergence": brought}
    bare = given is not None and not imported.has_curves(results)
    decided = decide_study(results, [] if bare else None, deadline_seconds)
    chapters, facts = sections(results, decided)
    return decided, chapters if given is None else imported.with_data(chapters, results), facts


def sections(results: Results, decided: Decision) -> tuple[tuple[Section, ...], dict[str, Sequence[Any]]]:
    """Every section in the order of the page, and what decision.json holds besides the decision."""
    runs, scaling = sections_runs, sections_scaling
    steps, good = step_fits(results), goodputs(results, decided.critical)
    halves = three_ways(timing_runs(results))
    chapters = (decision(decided), claims(decided.verdicts), accuracy.accuracy(results),
                tuned.tuned(results), rates.rates(results),
                published.as_published(results), curves.curves(results),
                scaling.throughput(results), scaling.scaling(results, decided.scaling),
                ranks.slow_ranks(results), input.input_from_disk(halves),
                step.step(steps, good), forecast.forecast(results),
                gradient.noise(results), sharpness.sharpness(results),
                critical.critical(results, decided.critical),
                memory.memory(results, decided.memory), *search.largest_batch(results),
                runs.time_spent(results), runs.failures(results), runs.drift(results),
                runs.agreement(results), runs.provenance(results), runs.repeat(results))
    return chapters, {"steps": steps, "goodput": good, "tuned": results.tuned, "input": halves}


def _write_figures(chapters: Sequence[Section], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    for chapter in chapters:
        for figure in chapter.figures:
            (folder / f"{figure.name}.svg").write_text(standalone(figure.svg), encoding="utf-8")
    csv.write_figures((figure for chapter in chapters for figure in chapter.figures), folder)


def _write_next_plan(text: str, path: Path) -> None:
    """None, and none of an earlier report, where nothing is left open."""
    if text:
        path.write_text(text, encoding="utf-8")
    else:
        path.unlink(missing_ok=True)


def _templates(escape: bool) -> Environment:
    return Environment(loader=PackageLoader("batchscale.analysis.report"), autoescape=escape, trim_blocks=True,
                       lstrip_blocks=True, undefined=StrictUndefined)


def html(first: FirstScreen, chapters: Sequence[Section]) -> str:
    """The page; all text is escaped, figures alone are markup, made by this package."""
    page = _templates(escape=True)
    page.filters["markup"] = Markup
    return page.get_template("report.html").render(
        first=first, sections=chapters, light=Markup(palette(dark=False)), dark=Markup(palette(dark=True)))


def markdown(first: FirstScreen, chapters: Sequence[Section]) -> str:
    """The same sections; figures are files beside it."""
    page = _templates(escape=False)
    page.filters |= {"plain": plain, "unfenced": lambda text: str(text).replace("```", "` ` `")}
    return page.get_template("report.md").render(first=first, sections=chapters)
