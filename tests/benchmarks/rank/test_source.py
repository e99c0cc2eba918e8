"""The source of a user's function is its own statements and those that they use, and nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from batchscale.benchmarks.data.user_function import import_function
from batchscale.benchmarks.rank.workload import source

MODULE = '''"""A module."""
import numpy as np
from beside_it import scale
import wholly as other

FACTOR = 2
UNUSED = 3
TABLE = {}
TABLE["a"] = 1
np.random.seed(0)


def helper(x):
    """Say something."""
    return x * FACTOR


class Layer:
    def call(self, x):
        return helper(x) + TABLE["a"]


def loss(targets, outputs):
    # a comment
    from deeper import inner
    return Layer().call(targets) + scale(outputs) + inner(1) + other.anything


def another(x):
    return UNUSED


if __name__ == "__main__":
    print(loss(1, 2))
'''
BESIDE = "BY = 5\nREST = 6\n\n\ndef scale(x):\n    return x * BY\n"
FILES = {"own_source.py": MODULE, "beside_it.py": BESIDE, "deeper.py": "def inner(x):\n    return x\n",
         "wholly.py": "anything = 1\nelse_where = 2\n"}
MATTERS = {
    "its own body": ("own_source.py", "+ inner(1)", "+ inner(2)"),
    "a constant that a class uses": ("own_source.py", "FACTOR = 2", "FACTOR = 2.5"),
    "a part of a table": ("own_source.py", 'TABLE["a"] = 1', 'TABLE["a"] = 4'),
    "what is done on import": ("own_source.py", "seed(0)", "seed(1)"),
    "a method": ("own_source.py", 'TABLE["a"]\n\n', 'TABLE["a"] + 1\n\n'),
    "a constant in another module": ("beside_it.py", "BY = 5", "BY = 7"),
    "a function imported within": ("deeper.py", "return x", "return -x"),
    "a module used as a whole": ("wholly.py", "anything = 1", "anything = 9"),
}
LEAVES = {
    "a comment": ("own_source.py", "# a comment", "# another"),
    "a docstring": ("own_source.py", "Say something.", "Say nothing."),
    "the module's docstring": ("own_source.py", "A module.", "My module."),
    "layout": ("own_source.py", "return x * FACTOR", "return (x *\n            FACTOR)"),
    "what is not used": ("own_source.py", "UNUSED = 3", "UNUSED = 4"),
    "another function": ("own_source.py", "return UNUSED", "return UNUSED + 1"),
    "what only the program does": ("own_source.py", "print(loss(1, 2))", "print(loss(1, 3))"),
    "the rest of another module": ("beside_it.py", "REST = 6", "REST = 8"),
}


def text(folder: Path, monkeypatch: pytest.MonkeyPatch, edit: tuple[str, str, str] = ("", "", "")) -> str:
    """The source of own_source:loss, of the files with one edit."""
    folder.mkdir()
    for name, content in FILES.items():
        if name == edit[0]:
            assert content.count(edit[1]) == 1, edit
            content = content.replace(edit[1], edit[2])
        (folder / name).write_text(content)
        sys.modules.pop(Path(name).stem, None)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if str(folder.parent) not in entry])
    source._module.cache_clear()
    import_function("own_source:loss", "loss")
    return source.text("own_source:loss")


@pytest.mark.parametrize("name", MATTERS)
def test_what_is_used_matters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    before = text(tmp_path / "before", monkeypatch)
    assert text(tmp_path / "after", monkeypatch, MATTERS[name]) != before


@pytest.mark.parametrize("name", LEAVES)
def test_what_is_not_used_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    before = text(tmp_path / "before", monkeypatch)
    assert text(tmp_path / "after", monkeypatch, LEAVES[name]) == before != ""


def test_installed_packages_count_by_their_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FILES, "own_source.py", "import psutil\nimport json\nimport numpy\n\n\ndef loss(t, o):\n"
                        "    return psutil.cpu_count()\n")
    found = text(tmp_path / "one", monkeypatch)
    assert found.splitlines()[-1] == f"psutil {sys.modules['psutil'].__version__}"
    assert "numpy 2" not in found and "json 2" not in found
