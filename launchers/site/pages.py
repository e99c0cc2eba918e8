"""The pages of the site as Sphinx reads them: the tree's Markdown where it stands, and what is made for the site alone.

The pages keep their places in the tree, so that their links hold in both.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from . import gallery, interface, notebook

# Heading of the side bar -> pages in order, without `.md`.
CHAPTERS = {
    "Questions": ("docs/which-batch", "docs/how-many-gpus", "docs/public-results", "docs/lower-accuracy",
                  "docs/slower-than-last-month", "docs/on-slurm", "docs/gpus", "docs/containers", "docs/at-scale",
                  "docs/your-script", "docs/audit", "docs/data", "benchmarks/examples/README"),
    "Seen": ("docs/gallery/README", "docs/first-study", "docs/accuracy-of-these-numbers", "benchmarks/RESULTS",
             "tests/soak/RELIABILITY"),
    "To look things up": ("docs/README", "docs/python", "docs/interface", "docs/reference", "docs/structure",
                          "CONTRIBUTING", "CHANGELOG"),
}
LEFT_OUT = ("docs/package.md",)  # the page of an index of packages, which says less
NOTEBOOKS = ("docs/first-study",)


def write(root: Path, output: Path, reports: Sequence[str] = ()) -> None:
    """Write the pages of the checkout `root` below `output`. reports: names of whole reports that stand in the site."""
    shutil.rmtree(output, ignore_errors=True)
    for path in _sources(root):
        place = output / path.relative_to(root)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(_page(path, reports), encoding="utf-8")
    for picture in sorted((root / "docs" / "gallery").glob("*.svg")):
        shutil.copy(picture, output / "docs" / "gallery")
    for name in NOTEBOOKS:
        (output / f"{name}.md").write_text(notebook.page(root / f"{name}.ipynb"), encoding="utf-8")
    (output / "docs" / "interface.md").write_text(interface.page(), encoding="utf-8")
    (output / "README.md").rename(output / "index.md")
    with open(output / "index.md", "a", encoding="utf-8") as front:
        front.writelines(_contents())


def _sources(root: Path) -> Iterator[Path]:
    """All pages of docs/, and those elsewhere that the chapters name."""
    yield root / "README.md"
    yield from (path for path in sorted((root / "docs").rglob("*.md")) if str(path.relative_to(root)) not in LEFT_OUT)
    yield from (root / f"{name}.md" for names in CHAPTERS.values() for name in names if not name.startswith("docs/"))


def _page(path: Path, reports: Sequence[str]) -> str:
    text = path.read_text(encoding="utf-8")
    for name in NOTEBOOKS:
        text = text.replace(f"{Path(name).name}.ipynb)", f"{Path(name).name}.md)")
    return gallery.with_links(text, reports)


def _contents() -> Iterator[str]:
    for heading, names in CHAPTERS.items():
        yield "\n```{toctree}\n" + f":hidden:\n:caption: {heading}\n\n" + "\n".join(names) + "\n```\n"
