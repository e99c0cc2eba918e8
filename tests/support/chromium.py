"""Debian's Chromium without a window, driven by Playwright, and pages that notice what a report must not do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
DESKTOP, PHONE = (1400, 900), (390, 844)


def program() -> str:
    """Path of the browser; skips the test where there is none, or nothing that drives it."""
    found = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium on this machine; as root: apt-get install chromium")
    if find_spec("playwright") is None or find_spec("axe_playwright_python") is None:
        pytest.skip("Playwright is not installed; `make test-browser` installs it")
    return found


@contextmanager
def launched() -> Iterator[Any]:
    """Give a browser; its sandbox takes a user who is not root."""
    path = program()
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, url: str, size: tuple[int, int] = DESKTOP, **options: Any) -> Iterator[Any]:
    """Give the page at a URL; afterwards nothing was asked of another place, and nothing was written to the console."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
    page, wrong = context.new_page(), list[str]()
    page.on("console", lambda message: wrong.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("request", lambda request: None if request.url.split("#")[0] == url.split("#")[0]
            else wrong.append(f"request: {request.url}"))
    page.goto(url)
    yield page
    context.close()
    assert wrong == []


def axe_script() -> str:
    """Text of axe-core, as the package that carries it has it."""
    spec = find_spec("axe_playwright_python")
    assert spec is not None and spec.origin is not None
    return (Path(spec.origin).parent / "axe.min.js").read_text(encoding="utf-8")
