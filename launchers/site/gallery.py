"""The gallery: what studies of real data answered, in words and pictures, from their results folders.

    python -m batchscale.launchers.site.gallery results/first results/second       writes docs/gallery/

`make docs REPORTS="results/first results/second"` adds the whole reports of the same folders to the site.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...analysis.figures.drawing import Figure
from ...analysis.figures.svg import standalone
from ...analysis.report import page as report
from ...analysis.report.cards.on_terminal import card_lines
from ...analysis.report.findings import Findings
from ...analysis.report.first_screen import FirstScreen, first_screen
from ...analysis.report.sections.runs.repeat import study_words
from ...benchmarks.config.script import shown
from ...benchmarks.errors import EXIT_OK, BatchscaleError
from ...benchmarks.records.store import open_store
from ...benchmarks.text import listed

PAGE = "README.md"
HEAD = """# Gallery

What studies of real data answered: the cards of each report as a terminal shows them, the claims that its runs judge,
and the picture behind each answer. `python -m batchscale.launchers.site.gallery RESULTS...` makes this page from
results folders.
"""
WHOLE = "<!-- the whole report: {} -->"  # where the site's own page links to it
MARKED = re.compile(WHOLE.format("([a-z0-9-]+)"))


def write(folders: Sequence[Path], output: Path) -> Path:
    """Write the page and its pictures, in place of those that were there, and return the page's path."""
    output.mkdir(parents=True, exist_ok=True)
    for old in output.glob("*.svg"):
        old.unlink()
    parts = [HEAD, *(_entry(folder, output) for folder in folders)]
    (output / PAGE).write_text("\n".join(parts), encoding="utf-8")
    return output / PAGE


def write_reports(folders: Sequence[Path], output: Path) -> list[str]:
    """Write the whole report of each folder below `output` and return their names."""
    for folder in folders:
        report.write(open_store(folder), output / name_of(folder))
    return [name_of(folder) for folder in folders]


def with_links(text: str, names: Sequence[str]) -> str:
    """Return the page with a link to each whole report that is beside it; the other places of one are dropped."""
    return MARKED.sub(lambda found: f"<p><a href=\"{found[1]}/index.html\">The whole report</a></p>"
                      if found[1] in names else "", text)


def name_of(folder: Path) -> str:
    """Return the folder's name as a part of an address."""
    return re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")


def _entry(folder: Path, output: Path) -> str:
    findings = Findings.of(open_store(folder))
    first, name = first_screen(findings), name_of(folder)
    pictures = (_picture(figure, name, output) for card in first.cards for figure in card.figures[:1])
    return "\n".join([f"## {_heading(findings, first)}\n", WHOLE.format(name), "", f"{first.data}\n",
                      f"By `batchscale study {study_words(findings.results.plan)}`.\n",
                      "```text", *card_lines(findings.cards), "```", "", *_claims(first), *pictures])


def _heading(findings: Findings, first: FirstScreen) -> str:
    data = listed(dict.fromkeys(shown(name) for name in findings.results.runs["dataset"] if name), 3)
    return first.question if data in first.question else f"{data}: {first.question}"


def _claims(first: FirstScreen) -> Iterator[str]:
    if first.strip:
        yield "| claim | verdict | number |\n|---|---|---|"
        yield from (f"| {one.number}. {one.claim} | {one.mark} {one.verdict} | {one.value} |" for one in first.strip)
        yield ""


def _picture(figure: Figure, name: str, output: Path) -> str:
    path = output / f"{name}-{figure.name}.svg"
    path.write_text(standalone(figure.svg), encoding="utf-8")
    return f"![{figure.title}]({path.name})\n\n{figure.title}. {figure.caption}\n"


def main(words: Sequence[str] | None = None) -> int:
    """Write the gallery of the folders that the command line names."""
    parser = argparse.ArgumentParser(prog="gallery", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+", help="results folders, RESULTS/<plan>")
    parser.add_argument("--output", type=Path, default=Path("docs/gallery"))
    options = parser.parse_args(words)
    try:
        print(write(options.results, options.output))
    except BatchscaleError as error:
        print(f"gallery: {error}", file=sys.stderr)
        return error.exit_code
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
