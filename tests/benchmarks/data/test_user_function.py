"""module:function: data sets made by a user's own code, and the mistakes it may hold."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from batchscale.benchmarks import data
from batchscale.benchmarks.data import user_function
from batchscale.benchmarks.errors import DataError


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory; a test's own module is forgotten after it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(user_function, "_beside", [])
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
    ("def make(): return np.ones(3), np.ones(3)", r"returned \(ndarray, ndarray\); it must return"),
    ("def make(): return None", "returned None; it must return"),
    ("def make(): return [[np.ones(3)] * 2] * 3", r"returned \(list of 2, list of 2, list of 2\).*two of the three"),
    ("def make(): return (np.ones(3),) * 7", r"returned tuple of 7; it must .*Dataset\.$"),
    ("def make(): return ((np.ones((4, 2)), [0, 1, 0, 1], np.ones(4)),) * 2",
     r"returned \(tuple of 3, tuple of 3\).*weights.*\{'label': y, 'weight': weights\}"),
    ("def make(): return iter([([[0.0]] * 4, [0, 1, 0, 1])] * 2)", "list_iterator; .*Give the arrays.*SCRIPT.py"),
    ("class Pipeline:\n    element_spec = 0\n    def __iter__(self): return iter([([[0.0]] * 4, [0, 1, 0, 1])] * 2)\n"
     "def make(): return Pipeline()", "returned Pipeline; it must.*Give the arrays of a pipeline"),
    ("def make(): return (np.ones((4, 2)), [np.ones(4), np.zeros(4)]), (np.ones((4, 2)), [np.ones(4), np.zeros(4)])",
     r"x_train 4, y_train 2; .*A list of arrays counts as one array: .*\{'a name': array, \.\.\.\}\.$"),
    ("def make(): return (np.ones((4, 2)), [0, 1]), (np.ones((4, 2)), [0, 1])", "y_train 2; every .* one of each.$"),
    ("def other(): pass", r"own_data \(.*own_data.py\) has no function make; it has: other"),
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
    with pytest.raises(DataError, match=f"No module named 'nowhere'.* searched in {working_folder} and in the env"):
        data.load("nowhere:make")
    with pytest.raises(DataError, match="not of the form package.module:function"):
        data.load("own/data.py:make")


def test_an_error_of_own_code_keeps_file_line_and_frames() -> None:
    write_module("def inner():\n    raise KeyError('train')\n\n\ndef make():\n    return inner()\n")
    with pytest.raises(DataError) as raised:
        data.load("own_data:make")
    lines = str(raised.value).splitlines()
    assert lines[0].startswith("dataset='own_data:make': the function raised KeyError: 'train'; it is called without")
    assert [line.strip() for line in lines[1:]] == [
        f'File "{Path("own_data.py").resolve()}", line 7, in make', "return inner()",
        f'File "{Path("own_data.py").resolve()}", line 3, in inner', "raise KeyError('train')"]


def test_a_long_message_of_own_code_is_not_cut() -> None:
    write_module("def make():\n    raise ValueError('expected ' + 'axis ' * 200 + 'the end')\n")
    with pytest.raises(DataError, match="axis the end; it is called"):
        data.load("own_data:make")


@pytest.mark.parametrize("code, message", [
    ("import sys\ndef make(): sys.exit(3)", r"the function ended Python by sys.exit\(3\); it is called"),
    ("import sys\nsys.exit()\ndef make(): pass", r"importing own_data ended Python by sys.exit\(\)"),
    ("def make(:\n    pass", "importing own_data raised SyntaxError: invalid syntax.*\n.*own_data.py\", line 2"),
])
def test_what_would_end_the_command_is_an_error_like_others(code: str, message: str) -> None:
    write_module(code)
    with pytest.raises(DataError, match=message):
        data.load("own_data:make")


def test_own_code_finds_no_arguments_of_the_suites(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["batchscale", "study", "plan.toml", "1800"])
    write_module("import sys\nSEEN = list(sys.argv)\n"
                 "def make():\n    assert sys.argv == SEEN == ['batchscale'], sys.argv\n"
                 "    return (np.ones((4, 2)), [0, 1, 0, 1]), (np.ones((2, 2)), [0, 1])\n")
    assert data.load("own_data:make").size.train_examples == 4
    assert sys.argv == ["batchscale", "study", "plan.toml", "1800"]


def test_modules_are_searched_beside_the_plan_then_in_the_working_directory(
        working_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = "def make(): return (np.full((4, 2), {0}.0), [0, 1, 0, 1]), (np.ones((2, 2)), [0, 1])"
    monkeypatch.setattr(user_function, "_beside", [])
    write_module(made.format(1))
    beside = working_folder / "plans"
    beside.mkdir()
    (beside / "own_data.py").write_text(f"import numpy as np\nimport own_more\n{made.format(2)}")
    (beside / "own_more.py").write_text("")
    user_function.search_beside(str(beside / "plan.toml"))
    assert data.load("own_data:make").train_x[0, 0] == 2
    (beside / "own_data.py").unlink()
    sys.modules.pop("own_data")
    assert data.load("own_data:make").train_x[0, 0] == 1
    with pytest.raises(DataError, match=f"searched in {beside}, in {working_folder} and in the environment"):
        data.load("absent_module:make")


def test_a_file_named_as_a_module_of_python_is_to_be_renamed(working_folder: Path) -> None:
    (working_folder / "code.py").write_text("def make(): pass\n")
    with pytest.raises(DataError, match=r"code.py has the name of a module of Python itself, code.*my_code.py"):
        data.load("code:make")


def test_bools_are_labels_and_texts_are_refused_with_the_fix() -> None:
    write_module("def make(): return (np.ones((4, 2)), np.array([True, False] * 2)), (np.ones((2, 2)), [True, False])\n"
                 "def texts(): return (np.array(['good', 'bad'] * 2), [0, 1] * 2), (np.array(['good', 'bad']), [0, 1])")
    assert data.load("own_data:make").train_y.tolist() == [1, 0, 1, 0]
    with pytest.raises(DataError, match="x_train holds texts.*token ids"):
        data.load("own_data:texts")
