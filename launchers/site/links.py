"""Whether the links of a site lead somewhere, and whether it asks nothing of the network when it is looked at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# What a browser fetches by itself, by element: the attribute that names it.
FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "video": "src",
           "audio": "src", "embed": "src", "object": "data"}
STYLED = re.compile(r"url\(\s*['\"]?((?:https?:)?//[^'\")\s]+)|@import\s+['\"]((?:https?:)?//[^'\"]+)")
LINKED_ONLY = frozenset({"canonical", "index", "search", "next", "prev", "author", "copyright", "help", "top"})


class Page(HTMLParser):
    """One page of HTML: the places in it, links of people, and what a browser fetches."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.places: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(text)
        self.fetched += [first or second for first, second in STYLED.findall(text)]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what the element names."""
        given = {name: value or "" for name, value in attrs}
        self.places |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif FETCHED.get(tag) in given and not (tag == "link" and given.get("rel") in LINKED_ONLY):
            self.fetched.append(given[FETCHED[tag]])


def faults(site: Path) -> list[str]:
    """Return a sentence for each link that leads nowhere and each file that would be fetched from elsewhere."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    found = [f"{path.relative_to(site)}: {fault}" for path, page in pages.items()
             for fault in (*_links(site, path, page, pages), *_fetched(path, page))]
    styles = ((path, STYLED.search(path.read_text(encoding="utf-8"))) for path in sorted(site.rglob("*.css")))
    return found + [f"{path.relative_to(site)}: fetches {style.group()}" for path, style in styles if style]


def _links(site: Path, path: Path, page: Page, pages: dict[Path, Page]) -> Iterator[str]:
    for link in page.links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if target.is_dir():
            target = target / "index.html"
        if not target.is_file() or site.resolve() not in target.resolve().parents:
            yield f"{link} leads to no file of the site"
        elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].places:
            yield f"{link} leads to no place of its page"


def _fetched(path: Path, page: Page) -> Iterator[str]:
    for link in dict.fromkeys(page.fetched):
        parts = urlsplit(link)
        if parts.scheme == "data":
            continue
        if parts.scheme or parts.netloc:
            yield f"fetches {link} from elsewhere"
        elif not (path.parent / unquote(parts.path)).is_file():
            yield f"fetches {link}, which is not there"
