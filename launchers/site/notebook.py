"""A notebook: executed anew in an empty folder, and as a page of the site with the output that it has.

    python -m batchscale.launchers.site.notebook docs/first-study.ipynb     executes it, and writes it back

The first needs nbclient and ipykernel, which `make docs` installs; the second needs nothing.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

LONGEST_SECONDS = 3600
COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}


def page(path: Path) -> str:
    """Return a notebook as MyST Markdown: its text, its code, and below each cell what it printed and showed."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n".join(part for cell in cells for part in _cell(cell))


def _cell(cell: Mapping[str, Any]) -> Iterator[str]:
    text = _joined(cell["source"])
    if cell["cell_type"] == "markdown":
        yield f"{text}\n"
        return
    yield _fenced("python", text)
    yield from (_output(one) for one in cell.get("outputs", ()))


def _output(output: Mapping[str, Any]) -> str:
    data = output.get("data", {})
    if "text/html" in data:
        return _fenced("{raw} html", f'<div class="output">\n{_joined(data["text/html"])}\n</div>')
    return _fenced("text", _joined(data.get("text/plain", output.get("text", ""))))


def _joined(text: str | Sequence[str]) -> str:
    """A notebook writes text in one piece or line by line."""
    return text if isinstance(text, str) else "".join(text)


def _fenced(kind: str, text: str) -> str:
    return f"`````{kind}\n{text.rstrip()}\n`````\n"


def executed(path: Path, folder: Path) -> dict[str, Any]:
    """Return the notebook with the output of an execution in `folder`, without what differs each time it is run.

    Raises nbclient's CellExecutionError where a cell fails.
    """
    import nbformat  # both of `make docs`
    from nbclient import NotebookClient
    found = nbformat.read(path, as_version=4)
    client = NotebookClient(found, timeout=LONGEST_SECONDS, record_timing=False, resources={
        "metadata": {"path": str(folder)}})
    client.execute()
    found.metadata = nbformat.from_dict(KERNEL)
    for cell in found.cells:
        cell.metadata = nbformat.from_dict({})
        if "outputs" in cell:
            cell.outputs = [nbformat.from_dict(output) for output in _in_one_piece(cell.outputs)]
    nbformat.validate(found)
    written = json.loads(nbformat.writes(found))
    assert isinstance(written, dict)
    return written


def _in_one_piece(outputs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """With all that was printed in a row, line by line or to two places, as one output."""
    found: list[dict[str, Any]] = []
    for output in outputs:
        if "text" not in output:
            found.append(dict(output))
            continue
        text = _last_of_each_line(COLOURS.sub("", _joined(output["text"])))
        if found and "text" in found[-1]:
            found[-1]["text"] += text
        else:
            found.append({"output_type": "stream", "name": "stdout", "text": text})
    return found


def _last_of_each_line(text: str) -> str:
    """What a terminal shows in the end of lines that were written over."""
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


def main(words: Sequence[str]) -> int:
    """Execute each notebook in a folder of its own and write it back."""
    for path in map(Path, words):
        with tempfile.TemporaryDirectory() as folder:
            made = executed(path, Path(folder))
        path.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
