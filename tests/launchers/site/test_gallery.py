"""The gallery and the numbers of README's answer, from a results folder."""

from __future__ import annotations

import re
from pathlib import Path

import batchscale
import pytest
from support.stored_study import folder, SMALL

from batchscale.launchers.site import answer, gallery


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("results") / "small-first_seed=3", study=SMALL)


def test_an_entry_has_the_answer_the_claims_and_a_picture_for_each_card(stored: Path, tmp_path: Path) -> None:
    (tmp_path / "old.svg").write_text("of results that are no longer shown")
    page = gallery.write([stored], tmp_path).read_text()
    found = batchscale.load(stored)
    assert all(card["heading"] in page for card in found.decision["cards"]) and "By `batchscale study" in page
    assert all(f"| {claim['in_words']} |" in page for claim in found.decision["claims_in_words"] if claim["in_words"])
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", page)
    assert len(pictures) == len(found.decision["cards"]) == 2
    assert sorted(path.name for path in tmp_path.glob("*.svg")) == sorted(pictures)
    assert all((tmp_path / name).read_text().startswith("<svg") for name in pictures)


def test_the_whole_report_is_linked_where_the_site_has_it(stored: Path, tmp_path: Path) -> None:
    text = gallery.write([stored], tmp_path / "page").read_text()
    names = gallery.write_reports([stored], tmp_path / "site")
    assert names == ["small-first-seed-3"] and (tmp_path / "site" / names[0] / "index.html").is_file()
    assert f'href="{names[0]}/index.html"' in gallery.with_links(text, names)
    assert "whole report" not in gallery.with_links(text, []).split("results folders.")[1]


def test_the_answer_s_numbers_are_those_of_the_decision(stored: Path) -> None:
    found = batchscale.load(stored)
    rows = [line for line in answer.lines([found]) if line.startswith("| ") and "Adam" in line]
    card = next(card for card in found.decision["cards"] if card["experiment"] == "adam")
    cells = rows[0].split(" | ")
    for cell, rule in zip(cells[-3:], answer.RULES):
        gap = next(one["gap"] for one in card["lost"] if (one["rule"], one["global_batch"]) == (rule, 512))
        value, low, high = map(float, re.findall(r"-?\d+\.\d", cell))
        assert value == pytest.approx(100 * gap["value"], abs=0.051)
        assert (low, high) == pytest.approx((100 * gap["low"], 100 * gap["high"]), abs=0.051)
    own = found.runs[(found.runs["experiment"] == "adam") & (found.runs["global_batch"] == 32)
                     & (found.runs["rule"] == "constant")]
    assert f"{100 * own['test_accuracy'].mean():.1f} % at batch 32" in cells[2]


def test_every_claim_and_what_else_is_said_of_the_data_is_there(stored: Path) -> None:
    found = batchscale.load(stored)
    text = "\n".join(answer.lines([found, found]))
    assert all(text.count(f"| {number}. ") == 1 for number in range(1, 11))
    verdicts = re.findall(r"^\| \d+\. [^|]*\| ([a-z ]+)", text, re.MULTILINE)
    assert [verdict.strip() for verdict in verdicts] == [claim["verdict"] for claim in found.decision["claims"]]
    for said in ("constant rate, lost", "as published", "critical batch", "of its best throughput", "scaling",
                 "recommended"):
        assert said in text


@pytest.mark.parametrize(("gap", "written"), [
    ({"value": 0.0304, "low": 0.0259, "high": 0.0349}, "3.0 (2.6 to 3.5)"),
    ({"value": 0.51, "low": 0.16, "high": 0.86}, "51 (16 to 86)"),
    ({"value": 0.5, "low": None, "high": None}, "50.0"), ({"value": None, "low": None, "high": None}, "nan")])
def test_numbers_have_the_decimals_that_their_interval_allows(gap: dict[str, float | None], written: str) -> None:
    assert answer.points(gap) == written


def test_a_folder_without_results_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer.main([str(tmp_path)]) != 0 and gallery.main([str(tmp_path), f"--output={tmp_path / 'page'}"]) != 0
    assert capsys.readouterr().err.count("holds no results") == 2
    assert not (tmp_path / "page" / gallery.PAGE).exists()
