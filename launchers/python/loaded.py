"""Results in Python: the tables as data frames, the decision, the figures, and the answer in a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from ...analysis.columns import MEANINGS
from ...analysis.exporters.tidy import tidy
from ...analysis.figures.drawing import Figure
from ...analysis.report import page
from ...analysis.report.cards.on_terminal import card_lines
from ...analysis.report.cards.words import told
from ...analysis.report.findings import Findings
from ...analysis.report.first_screen import first_screen, FirstScreen
from ...analysis.tables.results import Results
from ...benchmarks.errors import one_of, PlanError
from ...benchmarks.records.schema import finite
from ...benchmarks.records.store import open_store, Store
from ..commands.results.report import checked_settings
from .chart import Chart


def load(path: str | Path) -> Loaded:
    """Return what a results folder holds: RESULTS/<plan>, or RESULTS while it holds one plan.

    Nothing is changed in the folder, and it may be read while runs go on. Imported and recorded runs are read alike.
    Raises BatchscaleError where there is none, several, or one that cannot be believed.
    """
    return Loaded(open_store(Path(path)))


class Loaded:
    """Contents of one results folder, read once; call `load` again for what came since.

    A value that was not measured is NaN. Fractions are from 0 to 1, times in seconds, memory in bytes; each column is
    described in docs/reference.md and by `meaning`.
    """

    def __init__(self, store: Store, settings: Mapping[str, float | None] | None = None,
                 deadline_seconds: float | None = None) -> None:
        self.folder = store.folder
        self._store = store
        self._findings = Findings.of(store, deadline_seconds, settings or {})

    def __repr__(self) -> str:
        own = self._results.statuses["status"].value_counts()
        return f"Loaded({str(self.folder)!r}: {', '.join(f'{count:,} {name}' for name, count in own.items())})"

    def __str__(self) -> str:
        """Return the answer as the terminal has it."""
        return "\n".join(card_lines(self._findings.cards) or self._first.sentences)

    @property
    def _results(self) -> Results:
        return self._findings.results

    @property
    def name(self) -> str:
        """Name of the plan."""
        return self._results.plan.name or self.folder.name

    @property
    def runs(self) -> pd.DataFrame:
        """One row per run and phase: what was varied, metrics at the end, step times, memory."""
        return self._results.runs

    @property
    def tidy(self) -> pd.DataFrame:
        """One number a row, with the columns to begin with: rule, batch, replicas, repeat, measure, value."""
        return tidy(self._results)

    @property
    def evaluations(self) -> pd.DataFrame:
        """The curves: one row per evaluation of a run."""
        return self._results.evaluations

    @property
    def windows(self) -> pd.DataFrame:
        """One row per timed window of steps."""
        return self._results.windows

    @property
    def gradient_norms(self) -> pd.DataFrame:
        """One row per measurement of gradient noise."""
        return self._results.gradient_norms

    @property
    def memory(self) -> pd.DataFrame:
        """One row per run whose memory was read."""
        return self._results.memory

    @property
    def metrics(self) -> pd.DataFrame:
        """One row per run, part of the data and metric beside loss and accuracy."""
        return self._results.metrics

    @property
    def ranks(self) -> pd.DataFrame:
        """One row per rank of the timing runs of several ranks."""
        return self._results.ranks

    @property
    def statuses(self) -> pd.DataFrame:
        """One row per run of the plan, also of those without a result, with the reason."""
        return self._results.statuses

    @property
    def environments(self) -> pd.DataFrame:
        """One row per machine and software; `runs.environment` is the row's number."""
        return self._results.environments

    @staticmethod
    def meaning(column: str) -> str:
        """Return what a column of the tables is, with its unit. Raises PlanError for another name.

        >>> Loaded.meaning("test_accuracy")
        'fraction right on the test data'
        """
        if column not in MEANINGS:
            raise PlanError(one_of("column", column, MEANINGS))
        return MEANINGS[column]

    @cached_property
    def decision(self) -> dict[str, Any]:
        """Return the content of decision.json: recommendations, options, claims, cards. None stands for no number."""
        found = finite(self._findings.to_json())
        assert isinstance(found, dict)
        return found

    @property
    def figures(self) -> tuple[str, ...]:
        """Names of all figures of the report, those of its first screen first."""
        return tuple(self._figures)

    def figure(self, name: str) -> Chart:
        """Return a figure of the report by its name, one of `figures`. Raises PlanError for another name."""
        first = {one.name: one for one in self._first.figures}
        if (found := first.get(name)) is None and (found := self._figures.get(name)) is None:
            raise PlanError(one_of("figure", name, self._figures))
        return Chart(found)

    def under(self, *, margin: float | None = None, loss_margin: float | None = None, price: float | None = None,
              deadline_seconds: float | None = None) -> Loaded:
        """Return the same results judged by another margin (a fraction), price of a device-hour or deadline of one
        training. Raises PlanError for a value that a plan would refuse."""
        return Loaded(self._store, checked_settings(margin, loss_margin, price), deadline_seconds)

    def report(self, folder: str | Path | None = None) -> Path:
        """Write the report, by default into the results folder, and return the path of its page. Raises RecordError
        where it cannot be written."""
        place = Path(folder) if folder is not None else self.folder / "report"
        return page.write_findings(self._findings, place) / "index.html"

    @cached_property
    def _first(self) -> FirstScreen:
        return first_screen(self._findings)

    @cached_property
    def _figures(self) -> dict[str, Figure]:
        """Those of the sections take seconds to draw."""
        sections = (figure for chapter in page.chapters_of(self._findings) for figure in chapter.figures)
        return {figure.name: figure for figure in (*self._first.figures, *sections)}

    def _repr_html_(self) -> str:
        return "\n".join(self._shown())

    def _shown(self) -> Iterator[str]:
        """The first screen of the report in a few elements, for a notebook."""
        first = self._first
        yield f"<h3>{escape(first.title)}</h3><p>{escape(first.data)}</p>"
        for card, answer in zip(self._findings.cards, first.cards):
            words = told(card)
            facts = "".join(f"<tr><td>{escape(label)}</td><td>{escape(value)}</td></tr>"
                            for label, value in (*words.settings, *words.facts))
            reason = f"<p>{escape(words.reason)}</p>" if card.option is None else ""
            yield (f"<h4>{escape(words.heading)}</h4><p>{escape(words.trained)} ({escape(words.experiment)})</p>"
                   f"{reason}<table>{facts}</table>")
            yield from (Chart(figure)._repr_html_() for figure in answer.figures[:1])
        yield from (f"<p>{escape(sentence)}</p>" for sentence in (*first.sentences, *first.missing, *first.warnings))
