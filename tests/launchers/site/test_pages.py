"""The pages that are made for the site: the reference of `import batchscale`, a notebook, and all of them together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import batchscale
import pytest

from batchscale.launchers.site import interface, notebook, pages

ROOT = Path(__file__).parents[3]


def test_the_reference_has_every_name_with_its_signature_and_docstring() -> None:
    page = interface.page()
    assert all(f"}} batchscale.{name}" in page for name in batchscale.__all__)
    assert "{py:function} batchscale.load(path: str | Path) -> Loaded\n" in page
    assert "{py:property} runs\n:type: pd.DataFrame\n" in page and "{py:property} decision\n" in page
    assert "{py:staticmethod} meaning(column: str) -> str\n" in page
    assert "{py:method} under(*, margin: float | None = None," in page and "self" not in page.split("under(")[1][:200]
    public = [name for name in vars(batchscale.Loaded) if not name.startswith("_")]
    assert len(public) > 15 and all(f"}} {name}" in page for name in public)


def test_a_docstring_becomes_text_and_code() -> None:
    found = list(interface.blocks("Write results/<name>.\n\n    call(x)\n\nThen:\n\n>>> f(1)  # doctest: +SKIP\n2"))
    assert found == ["Write results/&lt;name>.", "```python\ncall(x)\n```", "Then:", "```pycon\n>>> f(1)\n2\n```"]


def notebook_of(*outputs: dict[str, Any]) -> str:
    cells = [{"cell_type": "markdown", "source": ["# Title\n", "text"]},
             {"cell_type": "code", "source": "1 + 1", "outputs": list(outputs)}]
    return json.dumps({"cells": cells, "nbformat": 4, "nbformat_minor": 5})


@pytest.mark.parametrize(("output", "shown"), [
    ({"output_type": "execute_result", "data": {"text/plain": ["2"]}}, "`````text\n2\n`````"),
    ({"output_type": "stream", "text": ["printed\n"]}, "`````text\nprinted\n`````"),
    ({"output_type": "execute_result", "data": {"text/html": "<b>2</b>", "text/plain": "2"}},
     '`````{raw} html\n<div class="output">\n<b>2</b>\n</div>\n`````')])
def test_a_notebook_becomes_text_code_and_output(tmp_path: Path, output: dict[str, Any], shown: str) -> None:
    path = tmp_path / "one.ipynb"
    path.write_text(notebook_of(output))
    page = notebook.page(path)
    assert page.startswith("# Title\ntext\n") and "`````python\n1 + 1\n`````" in page and shown in page


def test_lines_that_were_written_over_are_shown_as_a_terminal_ends_with_them() -> None:
    assert notebook._last_of_each_line("10 %\r100 %\nend\r\n") == "100 %\nend\n"


def test_what_was_printed_in_a_row_is_one_output() -> None:
    printed = [{"output_type": "stream", "name": name, "text": text} for name, text in
               (("stderr", "a\n"), ("stdout", ["b\n", "c"]))]
    result = {"output_type": "execute_result", "data": {"text/plain": "1"}}
    found = notebook._in_one_piece([*printed, result, printed[0]])
    assert [one.get("text") for one in found] == ["a\nb\nc", None, "a\n"]


def test_every_page_of_the_docs_is_in_a_chapter_and_every_chapter_s_page_is_there(tmp_path: Path) -> None:
    pages.write(ROOT, tmp_path / "site")
    written = {str(path.relative_to(tmp_path / "site").with_suffix("")) for path in (tmp_path / "site").rglob("*.md")}
    assert written == {"index", *(name for names in pages.CHAPTERS.values() for name in names)}
    assert "{toctree}" in (tmp_path / "site" / "index.md").read_text()


def test_the_notebook_has_been_executed_and_is_small() -> None:
    for name in pages.NOTEBOOKS:
        path = ROOT / f"{name}.ipynb"
        code = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
        assert all(cell["execution_count"] for cell in code) and path.stat().st_size < 200 * 1024
        assert not [one for cell in code for one in cell["outputs"] if one["output_type"] == "error"]
