"""Python runs this at the start of every process that tests start: it notes those that import TensorFlow."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

NOTES = "BATCHSCALE_TEST_STARTS"  # names the file that each start adds a line to


class Starts(MetaPathFinder):
    """Finds no module; it adds a line where a part of TensorFlow is imported, once a process."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name.startswith("tensorflow."):  # "tensorflow" alone is looked for where it is asked whether it is there
            sys.meta_path.remove(self)
            with open(os.environ[NOTES], "a") as notes:
                test = os.environ.get("PYTEST_CURRENT_TEST", "").partition("::")[0] or "no test"
                notes.write(f"{test} {os.getpid()} {' '.join(sys.argv[:3])[:200]!r}\n")
        return None


def install() -> None:
    if NOTES in os.environ and "tensorflow" not in sys.modules:
        if not any(type(finder).__name__ == Starts.__name__ for finder in sys.meta_path):
            sys.meta_path.insert(0, Starts())


install()
