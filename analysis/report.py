"""The report: one HTML page that needs nothing else, the same as Markdown, results.csv and decision.json."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..benchmarks.errors import RecordError
from ..benchmarks.schema import finite
from ..benchmarks.store import Store
from . import (sections_accuracy, sections_critical, sections_curves, sections_gradient, sections_memory,
               sections_published, sections_runs, sections_scaling)
from .content import Section, counted, listed
from .decision import Decision, decide_study
from .plots import palette, standalone
from .sections_claims import claims
from .sections_decision import decision
from .table import Results, read

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


def write(store: Store, folder: Path) -> Path:
    """Write index.html, report.md with figures/*.svg, results.csv and decision.json into `folder`.

    Returns the folder. Raises RecordError when it cannot be written or the store holds no plan.
    """
    results = read(store)
    return write_results(results, folder)


def write_results(results: Results, folder: Path) -> Path:
    """The same, from tables at hand."""
    decided = decide_study(results)
    first, chapters = first_screen(results, decided), sections(results, decided)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_results_csv(results, folder / "results.csv")
        (folder / "decision.json").write_text(json.dumps(finite(decided.to_json()), indent=1) + "\n", encoding="utf-8")
        (folder / "report.md").write_text(markdown(first, chapters), encoding="utf-8")
        _write_figures(chapters, folder / "figures")
        (folder / "index.html").write_text(html(first, chapters), encoding="utf-8")
    except OSError as error:
        raise RecordError(f"cannot write the report to {folder}: {error.strerror}. Free space or choose another "
                          "folder with --output.") from None
    return folder


def sections(results: Results, decided: Decision) -> tuple[Section, ...]:
    """Every section, in the order of the page."""
    runs, scaling = sections_runs, sections_scaling
    return (decision(decided), claims(decided.verdicts), sections_accuracy.accuracy(results),
            sections_published.as_published(results), sections_curves.curves(results),
            scaling.throughput(results), scaling.scaling(results, decided.scaling),
            sections_gradient.noise(results), sections_critical.critical(results, decided.critical),
            sections_memory.memory(results), runs.time_spent(results), runs.failures(results), runs.drift(results),
            runs.agreement(results), runs.provenance(results), runs.repeat(results))


def first_screen(results: Results, decided: Decision) -> FirstScreen:
    """The question, the answer in plain words, the data used, and what is missing."""
    settings, leading = results.settings, max(len(decided.answers), 1)
    opened = [f"Open: {question}." for question in decided.open_questions]
    return FirstScreen(str(results.plan.get("name") or "study"), str(settings.get("question") or QUESTION),
                       decided.sentences[:leading],
                       tuple(s for s in decided.sentences[leading:] if s not in opened), _data(results),
                       (*sections_runs.missing_text(results), *opened))


def _data(results: Results) -> str:
    """The data used, and how many runs and seeds, in one sentence."""
    runs = results.runs
    if runs.empty:
        return f"No run of {counted(len(results.statuses), 'planned run')} has left a record yet."
    accuracy = runs[runs["kind"] == "accuracy"]
    examples = listed(f"{name} ({int(rows['train_examples'].iloc[0]):,} training examples)"
                      for name, rows in runs.groupby("dataset", sort=False))
    models = listed(f"{model} with {optimizer}" for model, optimizer in
                    dict.fromkeys(zip(accuracy["model"], accuracy["optimizer"])))
    trained = f"; {models}, {counted(accuracy['seed'].nunique(), 'seed')}" if models else ""
    margin = f"{results.margin * 100:g} percentage points count as the same"
    return (f"{examples}{trained}; {counted(runs['run_id'].nunique(), 'run')} with a record of "
            f"{len(results.statuses):,} planned; accuracies within {margin}.")


def _write_results_csv(results: Results, path: Path) -> None:
    """One row per run and phase; runs without a record have their status alone."""
    bare = results.statuses[~results.statuses["run_id"].isin(results.runs["run_id"])]
    columns = [name for name in bare.columns if name in results.runs]
    rows = results.runs.reset_index(drop=True)
    if not bare.empty:
        rows = rows.reindex(np.arange(len(rows) + len(bare)))
        rows = rows.astype({name: object for name in columns})
        rows.loc[len(results.runs):, columns] = bare[columns].to_numpy()
    rows.to_csv(path, index=False)


def _write_figures(chapters: Sequence[Section], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    for chapter in chapters:
        for figure in chapter.figures:
            (folder / f"{figure.name}.svg").write_text(standalone(figure.svg), encoding="utf-8")


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
