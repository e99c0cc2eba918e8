"""The docs as a site, strictly, and the notebook in them, executed anew; with what `make docs` installs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from batchscale.launchers.site import build, links, notebook, pages

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.launched, pytest.mark.slow]


def test_the_site_is_built_without_a_warning_and_its_links_hold(tmp_path: Path) -> None:
    pytest.importorskip("myst_parser", reason="make docs installs what makes the site")
    assert build.build(ROOT, tmp_path / "site") == 0
    assert links.faults(tmp_path / "site") == []
    front = (tmp_path / "site" / "index.html").read_text()
    assert "searchbox" in front and (tmp_path / "site" / "searchindex.js").stat().st_size > 100_000
    assert 'id="batchscale.study"' in (tmp_path / "site" / "docs" / "interface.html").read_text()


@pytest.mark.parametrize("name", pages.NOTEBOOKS)
def test_the_notebook_runs_in_an_empty_folder_and_shows_what_is_in_the_tree(
        name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nbclient", reason="make docs installs what executes a notebook")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "build" / "types"), os.environ.get("PYTHONPATH", "")]))
    kept = json.loads((ROOT / f"{name}.ipynb").read_text())
    made = notebook.executed(ROOT / f"{name}.ipynb", tmp_path)
    for before, after in zip(kept["cells"], made["cells"], strict=True):
        assert before["source"] == after["source"]
        assert [sorted(one.get("data", {})) for one in before.get("outputs", ())] == [
            sorted(one.get("data", {})) for one in after.get("outputs", ())]
    assert (tmp_path / "lost.svg").is_file()
