"""The page's scripts keep the rules that a reader of the report relies on, and those of this house."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from batchscale.analysis.report.live import SCRIPTS, STATIC

FILES = sorted(STATIC.glob("*.js"))
FORBIDDEN = {
    r"\bfetch\(|XMLHttpRequest|WebSocket|EventSource|sendBeacon|https?:|\bimport\b": "asks another place",
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function": "makes markup or code of text",
    r"\bvar \w|[^=!<>]==[^=]|!=[^=]": "has a strict form: let or const, === and !==",
    r"console\.|debugger|localStorage|sessionStorage|document\.cookie": "leaves something behind",
}


def code_of(path: Path) -> str:
    """The text without its comments."""
    return re.sub(r"^\s*//.*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_every_script_is_in_the_page_and_no_other() -> None:
    assert {path.stem for path in FILES} == set(SCRIPTS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_script_says_what_it_is_for_and_is_strict_and_short(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("// ") and '"use strict";' in lines[:4]
    assert len(lines) <= 300 and max(map(len, lines)) <= 120


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@pytest.mark.parametrize("pattern", FORBIDDEN, ids=FORBIDDEN.get)
def test_a_script_stays_in_the_page(path: Path, pattern: str) -> None:
    assert re.findall(pattern, code_of(path)) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_script_can_stand_in_a_script_element(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "</" not in text and "<!--" not in text and text.isascii()


@pytest.mark.skipif(shutil.which("node") is None, reason="no node on this machine, which checks the scripts' grammar")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_node_can_read_it(path: Path) -> None:
    done = subprocess.run(["node", "--check", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
