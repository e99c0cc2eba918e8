"""`batchscale report`: another margin, price and deadline than the plan's, and the page in a browser."""

from __future__ import annotations

import io
import json
import webbrowser
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.stored_study import SMALL
from support.synthetic_records import change, records, write_store

from batchscale.launchers.cli import main


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Batch 512 of SGD loses about one point, twice the margin of the plan."""
    study = change(replace(SMALL, experiments=SMALL.experiments[:1], memory=None), "sgd", "constant",
                   accuracy_gap={512: 0.01})
    for rule in ("linear", "sqrt"):
        study = change(study, "sgd", rule, accuracy_gap={512: 0.2})
    return write_store(tmp_path_factory.mktemp("report") / "mine", records(study), name="mine").folder


def _opened(asked: list[str], found: bool, address: str) -> bool:
    asked.append(address)
    return found


@pytest.fixture(scope="module")
def reports(results: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """decision.json of the plan's settings and of others, what was asked of the browser, and what was printed."""
    found: dict[str, dict[str, Any]] = {}
    others = ("--margin", "0.03", "--price", "3")
    for name, options, browser in (("plan", ("--open",), False), ("wide", (*others, "--open"), True)):
        folder, asked, printed = tmp_path_factory.mktemp(name), list[str](), io.StringIO()
        with pytest.MonkeyPatch.context() as patched, redirect_stdout(printed):
            patched.setattr(webbrowser, "open", partial(_opened, asked, browser))
            assert main(["report", str(results), "--output", str(folder), *options]) == 0
        decision = json.loads((folder / "decision.json").read_text(encoding="utf-8"))
        found[name] = {**decision, "asked": asked, "printed": printed.getvalue(), "folder": folder}
    return found


def test_a_margin_of_the_command_line_decides(reports: dict[str, dict[str, Any]]) -> None:
    plan, wide = reports["plan"], reports["wide"]
    assert [one["recommendations"][0]["option"]["global_batch"] for one in (plan, wide)] == [32, 512]
    assert "margin 3 points" in wide["recommendations"][0]["valid_for"]
    p_values = [next(option["p_value"] for option in one["options"] if option["global_batch"] == 512
                     and option["rule"] == "constant") for one in (plan, wide)]
    assert p_values[0] > 0.5 > 0.025 > p_values[1]


def test_a_price_of_the_command_line_gives_costs(reports: dict[str, dict[str, Any]]) -> None:
    for option in reports["wide"]["options"]:
        assert option["money"]["value"] == pytest.approx(3 * option["device_hours"]["value"])


def test_the_page_is_opened_or_its_place_is_said(reports: dict[str, dict[str, Any]]) -> None:
    for name, found in (("plan", False), ("wide", True)):
        page = reports[name]["folder"] / "index.html"
        assert reports[name]["asked"] == [page.as_uri()]
        assert (f"no browser was found on this machine; open {page}" in reports[name]["printed"]) is not found


@pytest.mark.parametrize(("option", "value", "rule"), [
    ("--margin", "5", "margin = 0.05"), ("--margin", "0", "above 0"), ("--margin", "nan", "no number"),
    ("--loss-margin", "-1", "above 0"), ("--price", "-1", "0 or more"), ("--price", "nan", "0 or more")])
def test_settings_that_cannot_be_are_refused(option: str, value: str, rule: str, results: Path, tmp_path: Path,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(results), "--output", str(tmp_path), option, value]) == 2
    assert rule in capsys.readouterr().err
    assert not (tmp_path / "index.html").exists()
