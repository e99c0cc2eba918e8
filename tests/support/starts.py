"""The starts of TensorFlow in the processes of a test session, which take most of its time: counted, and bounded."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from pathlib import Path

from support.startup import sitecustomize

FOLDER = "BATCHSCALE_TEST_STARTS_FOLDER"
NOTED = tempfile.TemporaryDirectory()  # of the process that reports; workers find it in their environment
STARTUP = Path(__file__).parent / "startup"


def begin(worker: str) -> None:
    """Note the starts of this process and its children in a file of its own, beside those of the other workers."""
    os.environ.setdefault(FOLDER, NOTED.name)
    os.environ[sitecustomize.NOTES] = str(Path(os.environ[FOLDER]) / worker)
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if str(STARTUP) not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join(path for path in (str(STARTUP), *paths) if path)
    sitecustomize.install()


def count() -> int:
    """Starts by this worker so far."""
    return lines(Path(os.environ[sitecustomize.NOTES]))


def total() -> int:
    """Starts by all workers of the session."""
    return sum(lines(path) for path in Path(os.environ[FOLDER]).iterdir())


def by_file() -> Counter[str]:
    """Starts by the test file that asked for them."""
    return Counter(line.split()[0] for path in Path(os.environ[FOLDER]).iterdir()
                   for line in path.read_text().splitlines())


def lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0
