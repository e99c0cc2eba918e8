"""The links of a site: what leads nowhere, and what would be fetched from elsewhere, is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from batchscale.launchers.site import links

GOOD = ('<html><head><link rel="stylesheet" href="style.css"><link rel="canonical" href="https://example.org/"></head>'
        '<body id="top"><h1 id="one">One</h1><a href="#one">one</a> <a href="more/two.html#deep">two</a> '
        '<a href="https://example.org/">elsewhere</a> <a href="more/">folder</a><img src="data:image/png;base64,AA=="> '
        '</body></html>')


def site(folder: Path, text: str = GOOD) -> Path:
    """Two pages and a folder's page, the first with the text given."""
    (folder / "more").mkdir()
    (folder / "index.html").write_text(text)
    (folder / "style.css").write_text("a { background: url(data:image/png;base64,AA==) }")
    (folder / "more" / "two.html").write_text('<p id="deep"><a href="../index.html">back</a></p>')
    (folder / "more" / "index.html").write_text("<p>more</p>")
    return folder


def test_links_of_people_may_lead_anywhere_on_the_web_and_to_places_that_are_there(tmp_path: Path) -> None:
    assert links.faults(site(tmp_path)) == []


@pytest.mark.parametrize(("broken", "said"), [
    ('<a href="three.html">', "three.html leads to no file"),
    ('<a href="more/two.html#deeper">', "no place of its page"),
    ('<a href="#two">', "#two leads to no place"), ('<a href="../outside.html">', "leads to no file of the site"),
    ('<script src="https://example.org/a.js"></script>', "fetches https://example.org/a.js from elsewhere"),
    ('<link rel="stylesheet" href="//example.org/a.css">', "from elsewhere"),
    ('<link rel="icon" href="icon.png">', "fetches icon.png, which is not there"),
    ('<style>@import "https://example.org/b.css";</style>', "from elsewhere"),
    ('<p style="background: url(https://example.org/c.png)">', "from elsewhere")])
def test_each_fault_is_named_with_its_page(tmp_path: Path, broken: str, said: str) -> None:
    (fault,) = links.faults(site(tmp_path, GOOD.replace("</body>", f"{broken}</body>")))
    assert fault.startswith("index.html: ") and said in fault


def test_a_style_sheet_that_fetches_is_found(tmp_path: Path) -> None:
    (site(tmp_path) / "style.css").write_text("@font-face { src: url('https://example.org/font.woff2') }")
    (fault,) = links.faults(tmp_path)
    assert fault.startswith("style.css: fetches")
