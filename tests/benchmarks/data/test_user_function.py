"""module:function: data sets made by a user's own code, and the mistakes it may hold."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from batchscale.benchmarks import data
from batchscale.benchmarks.errors import DataError


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory; a test's own module is forgotten after it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("own_data", None)


def write_module(code: str) -> None:
    Path("own_data.py").write_text("import numpy as np\n" + code)


def test_a_users_function_is_found_in_the_working_directory(working_folder: Path) -> None:
    write_module("def make():\n"
                 "    x = np.full((6, 5), 51, np.uint8)\n"
                 "    return (x, np.arange(6)[:, None] % 2), (x[:2], [0, 1])\n")
    dataset = data.load("own_data:make")
    assert sys.path[-1] == str(working_folder)
    assert dataset.size == (6, 2, (5,), 2)
    assert dataset.train_x[0, 0] == np.float32(0.2)
    assert dataset.source == "examples made by own_data:make"


def test_a_users_function_may_return_a_dataset() -> None:
    write_module("from batchscale.benchmarks.data import Dataset\n"
                 "def make():\n"
                 "    x, y = np.ones((6, 5)), np.arange(6) % 2\n"
                 "    return Dataset('mine', x, y, x, y, 3, 'six ones')\n")
    dataset = data.from_function("own_data:make")
    assert (dataset.name, dataset.classes, dataset.source) == ("own_data:make", 3, "six ones")
    assert dataset.train_x.dtype == np.float32


@pytest.mark.parametrize("code, message", [
    ("def make(path): pass", "raised TypeError: .*called without arguments and must return"),
    ("def make(): raise RuntimeError('no disk')", "the function raised RuntimeError: no disk"),
    ("def make(): return 3", "returned int; it must return"),
    ("def make(): return np.ones(3), np.ones(3)", "returned tuple; it must return"),
    ("def other(): pass", "own_data has no function make; it has: other"),
    ("raise OSError('broken')", "importing own_data raised OSError: broken"),
    ("def make(): return (np.ones((2, 2)), [1, 2]), (np.ones((2, 2)), [1, 2])",
     "own_data:make: y_train has 2 different labels, from 1 to 2"),
])
def test_a_users_mistake_is_named(code: str, message: str) -> None:
    write_module(code + "\n")
    with pytest.raises(DataError, match=message) as caught:
        data.load("own_data:make")
    assert "own_data:make" in str(caught.value)


def test_a_module_that_is_nowhere_says_where_it_was_searched(working_folder: Path) -> None:
    with pytest.raises(DataError, match=f"No module named 'nowhere'.* and in {working_folder}"):
        data.load("nowhere:make")
    with pytest.raises(DataError, match="not of the form package.module:function"):
        data.load("own/data.py:make")
