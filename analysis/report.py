"""The report: one HTML page that needs nothing else, the same as Markdown, the numbers as CSV and JSON, next.toml."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..benchmarks.errors import RecordError
from ..benchmarks.schema import finite
from ..benchmarks.store import Store
from . import (export, imported, sections_accuracy, sections_critical, sections_curves, sections_forecast,
               sections_gradient, sections_imported, sections_input, sections_memory, sections_published,
               sections_ranks, sections_rates, sections_runs, sections_scaling, sections_search, sections_sharpness,
               sections_step, sections_tuned)
from .claims_cost import timing_runs
from .columns import readme
from .content import Section, Table, counted, listed
from .convergence import convergences
from .decision import Decision, decide_study
from .decision_imported import decide_imported
from .importers.found import CONVERGENCE
from .input_bound import three_ways
from .plots import palette, standalone
from .rows import RUN
from .sections_claims import claims
from .sections_decision import decision
from .step_fits import goodputs, step_fits
from .table import Results, experiments, read

QUESTION = "How does the batch size affect accuracy, speed and memory?"
# What has a meaning in Markdown; a run's name must stay text.
MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+!|~$])")


@dataclass(frozen=True)
class FirstScreen:
    """What a reader sees before scrolling."""

    title: str
    question: str
    answer: tuple[str, ...]
    more: tuple[str, ...]
    data: str
    missing: tuple[str, ...]
    tables: tuple[Table, ...] = ()


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
        export.write_runs(results, folder / export.RUNS)
        (folder / export.README).write_text(readme({export.RUNS: RUN}, figures=True), encoding="utf-8")
        (folder / "decision.json").write_text(json.dumps(finite(found), indent=1) + "\n", encoding="utf-8")
        (folder / "report.md").write_text(markdown(first, chapters), encoding="utf-8")
        _write_figures(chapters, folder / "figures")
        _write_next_plan(decided.next_plan, folder / "next.toml")
        (folder / "index.html").write_text(html(first, chapters), encoding="utf-8")
    except OSError as error:
        raise RecordError(f"cannot write the report to {folder}: {error.strerror}. Free space or choose another "
                          "folder with --output.") from None
    return folder


def _decided(results: Results, deadline_seconds: float | None
             ) -> tuple[Decision, tuple[Section, ...], dict[str, Sequence[Any]]]:
    """The decision, every section, and what decision.json holds besides; imported runs have a report like a study's
    where they are of the kinds that a decision is made of."""
    given, brought = imported.of(results.plan), convergences(results)
    if given is not None and not set(results.runs["kind"]) & {"accuracy", "memory"}:
        decided = decide_imported(results, brought, deadline_seconds)
        return decided, sections_imported.sections(results, brought, decided.scaling), {"convergence": brought}
    bare = given is not None and not sections_imported.has_curves(results)
    decided = decide_study(results, [] if bare else None, deadline_seconds)
    chapters, facts = sections(results, decided)
    return decided, chapters if given is None else sections_imported.with_data(chapters, results), facts


def sections(results: Results, decided: Decision) -> tuple[tuple[Section, ...], dict[str, Sequence[Any]]]:
    """Every section in the order of the page, and what decision.json holds besides the decision."""
    runs, scaling = sections_runs, sections_scaling
    steps, good = step_fits(results), goodputs(results, decided.critical)
    halves = three_ways(timing_runs(results))
    chapters = (decision(decided), claims(decided.verdicts), sections_accuracy.accuracy(results),
                sections_tuned.tuned(results), sections_rates.rates(results),
                sections_published.as_published(results), sections_curves.curves(results),
                scaling.throughput(results), scaling.scaling(results, decided.scaling),
                sections_ranks.slow_ranks(results), sections_input.input_from_disk(halves),
                sections_step.step(steps, good), sections_forecast.forecast(results),
                sections_gradient.noise(results), sections_sharpness.sharpness(results),
                sections_critical.critical(results, decided.critical),
                sections_memory.memory(results, decided.memory), *sections_search.largest_batch(results),
                runs.time_spent(results), runs.failures(results), runs.drift(results),
                runs.agreement(results), runs.provenance(results), runs.repeat(results))
    return chapters, {"steps": steps, "goodput": good, "tuned": results.tuned, "input": halves}


def first_screen(results: Results, decided: Decision) -> FirstScreen:
    """The question, the answer in plain words, the data used, and what is missing."""
    settings, leading = results.settings, max(len(decided.answers), 1)
    opened = [f"Open: {question}." for question in decided.open_questions]
    return FirstScreen(str(results.plan.get("name") or "study"), str(settings.get("question") or QUESTION),
                       decided.headlines or decided.sentences[:leading],
                       tuple(s for s in decided.sentences[leading:] if s not in opened), _data(results),
                       (*sections_runs.missing_text(results), *opened), decided.overview)


def _data(results: Results) -> str:
    """The data used, and how many runs and seeds, in one sentence."""
    runs, given = results.runs, imported.of(results.plan)
    if given is not None:
        points = counted(runs.loc[runs["kind"] == CONVERGENCE, "reference_point"].nunique(), "reference point")
        what = f"to a target at {points} of" if CONVERGENCE in set(runs["kind"]) else "of"
        return (f"{counted(len(runs), 'run')} {what} {listed(runs['experiment'])}, imported from "
                f"{given.get('file')} ({given.get('format')}); nothing was run here.")
    if runs.empty:
        return f"No run of {counted(len(results.statuses), 'planned run')} has left a record yet."
    accuracy = runs[runs["kind"] == "accuracy"]
    examples = listed(f"{name} ({rows['source'].iloc[0]}; {int(rows['train_examples'].iloc[0]):,} are trained on)"
                      for name, rows in runs.groupby("dataset", sort=False))
    models = listed(f"{model} with {optimizer}" for model, optimizer in
                    dict.fromkeys(zip(accuracy["model"], accuracy["optimizer"])))
    trained = f"; {models}, {counted(accuracy['seed'].nunique(), 'seed')}" if models else ""
    outcomes = [results.outcomes[name] for name in experiments(results)]
    margins = list(dict.fromkeys(one.counts_as_same for one in outcomes))
    same = f"; what lies within {listed(margins)} counts as the same" if margins else ""
    return (f"{examples}{trained}; {counted(results.all_runs['run_id'].nunique(), 'run')} with a record of "
            f"{len(results.statuses):,} planned{same}.")


def _write_figures(chapters: Sequence[Section], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    for chapter in chapters:
        for figure in chapter.figures:
            (folder / f"{figure.name}.svg").write_text(standalone(figure.svg), encoding="utf-8")
    export.write_figures((figure for chapter in chapters for figure in chapter.figures), folder)


def _write_next_plan(text: str, path: Path) -> None:
    """None, and none of an earlier report, where nothing is left open."""
    if text:
        path.write_text(text, encoding="utf-8")
    else:
        path.unlink(missing_ok=True)


def _templates(escape: bool) -> Environment:
    return Environment(loader=PackageLoader("batchscale.analysis"), autoescape=escape, trim_blocks=True,
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


def plain(text: str) -> str:
    """Text that stays text in Markdown: one line, its special characters escaped.

    >>> plain("<b> a_b")
    '\\\\<b\\\\> a\\\\_b'
    """
    return MARKDOWN.sub(r"\\\1", " ".join(str(text).split()))
