"""A comparison in a terminal is for people, and Markdown wherever it is kept."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.stored_study import folder

from batchscale.analysis.comparison.readable import readable
from batchscale.launchers import cli


def test_columns_line_up_and_no_mark_of_markdown_is_left() -> None:
    text = ("### Failed: 1\n\na\\_b.\n\n| result | base |\n| --- | ---: |\n| **regression**: x\\|y | 10 |\n"
            "| no | 2 |\n\nEnd.")
    assert readable(text).splitlines() == [
        "Failed: 1", "", "a_b.", "",
        "result           base", "regression: x|y    10", "no                  2", "", "End."]


@pytest.mark.parametrize(("words", "terminal", "expected"), [
    ((), False, True), ((), True, False), (("--markdown",), True, True)])
def test_markdown_goes_to_pipes_and_where_it_is_asked_for(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...],
        terminal: bool, expected: bool) -> None:
    one = str(folder(tmp_path / "one_plan"))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    assert cli.main(["compare", one, one, "--output", str(tmp_path / "kept.md"), *words]) == 0
    shown = capsys.readouterr().out
    assert ("| --- |" in shown) is expected and ("one_plan" in shown) is not expected
    assert "| --- |" in (tmp_path / "kept.md").read_text()
