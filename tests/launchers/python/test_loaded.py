"""Results in Python: tables, decision, figures and what a notebook shows."""

from __future__ import annotations

import json
from pathlib import Path

import batchscale
import pandas as pd
import pytest
from support.stored_study import folder, SMALL

from batchscale.benchmarks.errors import BatchscaleError


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> batchscale.Loaded:
    return batchscale.load(folder(tmp_path_factory.mktemp("results") / "small", study=SMALL))


def test_the_tables_are_frames_with_the_runs_in_them(found: batchscale.Loaded) -> None:
    assert len(found.runs) >= 40 and set(found.runs["rule"]) >= {"constant", "linear"}
    assert len(found.evaluations) > len(found.runs)
    assert (found.statuses["status"] == "completed").all() and len(found.environments) == 1
    for table in (found.windows, found.gradient_norms, found.memory, found.metrics, found.ranks):
        assert isinstance(table, pd.DataFrame)
    assert repr(found).endswith(f"{len(found.statuses)} completed)")


def test_the_decision_is_that_of_the_report(found: batchscale.Loaded, tmp_path: Path) -> None:
    written = found.report(tmp_path / "report")
    assert written == tmp_path / "report" / "index.html" and written.is_file()
    assert found.decision == json.loads((tmp_path / "report" / "decision.json").read_text())
    assert len(found.decision["recommendations"]) == 2
    drawn = {path.stem for path in (tmp_path / "report" / "figures").glob("*.svg")}
    assert set(found.figures) == drawn


def test_a_figure_has_its_numbers_and_is_written(found: batchscale.Loaded, tmp_path: Path) -> None:
    chart = found.figure("a0-lost")
    assert set(chart.data["series"]) == {"constant", "linear", "sqrt"} and set(chart.data["x"]) == {32.0, 512.0}
    assert chart.save(tmp_path / "lost.svg").read_text().startswith("<svg")
    assert "data:image/svg+xml;base64," in chart._repr_html_()
    with pytest.raises(BatchscaleError, match="a0-lots.*Did you mean 'a0-lost'"):
        found.figure("a0-lots")


def test_a_notebook_shows_the_answer_and_nothing_of_a_plan_as_markup(found: batchscale.Loaded) -> None:
    shown = found._repr_html_()
    headings = [card["heading"] for card in found.decision["cards"]]
    assert len(headings) == 2 and all(heading in shown for heading in headings)
    assert shown.count("<table>") == 2 and "<script" not in shown
    assert all(heading in str(found) for heading in headings)


def test_another_margin_judges_anew(found: batchscale.Loaded) -> None:
    strict = found.under(margin=0.0001)
    assert strict.decision["recommendations"] != found.decision["recommendations"]
    with pytest.raises(BatchscaleError, match="margin"):
        found.under(margin=2.0)


def test_a_folder_without_results_is_said(tmp_path: Path) -> None:
    with pytest.raises(batchscale.BatchscaleError, match="holds no results"):
        batchscale.load(tmp_path)
