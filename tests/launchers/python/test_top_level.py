"""`import batchscale`: its names, how little it loads, and its examples."""

from __future__ import annotations

import ast
import doctest
import subprocess
import sys
from pathlib import Path

import batchscale
import pytest
from support.launching import environment

from batchscale.launchers.cli import version
from batchscale.launchers.python import chart, loaded, recording, studies

TOP = Path(__file__).parents[3] / "launchers" / "python" / "top"
CITATION = Path(__file__).parents[3] / "CITATION.cff"
MOST_MILLISECONDS = 50


def stub() -> set[str]:
    """The names that type checkers are told of."""
    nodes = ast.parse((TOP / "__init__.pyi").read_text()).body
    return {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}


def test_every_name_is_there_and_type_checkers_know_it() -> None:
    assert stub() == set(batchscale.__all__) and {"study", "load", "Recorder"} <= stub()
    assert all(callable(getattr(batchscale, name)) for name in batchscale.__all__)
    assert set(batchscale.__all__) <= set(dir(batchscale))


def test_a_name_that_is_not_there_is_said_with_those_that_are() -> None:
    with pytest.raises(AttributeError, match="no attribute 'stduy'; it has study, load"):
        getattr(batchscale, "stduy")  # noqa: B009


def test_there_is_one_version() -> None:
    assert batchscale.__version__ in version()
    assert f"version: {batchscale.__version__}\n" in CITATION.read_text()


def test_importing_it_loads_no_library_and_takes_no_time() -> None:
    done = subprocess.run([sys.executable, "-X", "importtime", "-c", "import batchscale, sys; print(*sys.modules)"],
                          capture_output=True, text=True, check=True, env=environment())
    assert not {"numpy", "pandas", "tensorflow", "keras", "matplotlib", "msgspec"} & set(done.stdout.split())
    last = done.stderr.strip().splitlines()
    own = next(line for line in last if line.endswith("| batchscale"))
    assert int(own.split("|")[1]) < 1000 * MOST_MILLISECONDS


@pytest.mark.parametrize("module", [chart, loaded, recording, studies])
def test_its_examples_say_what_they_print(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]
