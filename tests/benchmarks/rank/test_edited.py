"""What a user's module trains is fingerprinted: each edit that matters shows in its part, and ranks look again."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from support.launching import environment, PROGRAMS
from support.one_process import found_by

pytestmark = pytest.mark.launched
PARTS = {
    "nothing": set(), "a comment": set(), "metric": set(),
    "layer width": {"layers", "model source", "weights"},
    "constant of the optimizer": {"optimizer source"},
    "data seed": {"data"}, "loss body": {"loss source"}, "constant of the loss": {"loss source"},
    "a layer's body": {"model source"}, "dropout": {"layers", "model source"},
    "type of a layer": {"types", "weights", "model source"}, "metric's body": {"metrics source"},
    "file replaced in place": {"data"}, "first weights": {"weights"},
}
SHARED = {"model source", "loss source"}  # one line of the module sets three constants


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return found_by("edited_workloads.py")


@pytest.mark.parametrize("name", PARTS)
def test_an_edit_shows_in_its_part_alone(found: dict[str, Any], name: str) -> None:
    changed = set(found["edits"][name])
    shared = SHARED if name in ("layer width", "data seed", "constant of the loss") else set()
    assert PARTS[name] <= changed <= PARTS[name] | shared, changed


def test_every_edit_is_looked_at(found: dict[str, Any]) -> None:
    assert set(found["edits"]) == set(PARTS) and found["parts"]["times"] == ""
    assert all(found["parts"][name] for name in found["parts"] if name != "times")


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "float64"])
def test_ranks_find_what_was_described_in_every_precision(found: dict[str, Any], precision: str) -> None:
    assert found[f"ranks {precision}"] == ""


def test_ranks_refuse_what_was_not_described(found: dict[str, Any]) -> None:
    said = found["ranks edited"]
    assert said.startswith("rank 0 has other things to train than were described when the plan was started: the data "
                           "of edited:load, the layers of edited:build"), said
    assert found["old description"] == ""


def test_data_that_is_random_at_each_call_is_refused_with_the_fix(found: dict[str, Any]) -> None:
    assert found["random"].startswith("dataset='edited:random_each': the function gives other data each time")
    assert "numpy.random.default_rng(0)" in found["random"]


def test_fingerprints_cost_less_than_a_second_for_mnist(found: dict[str, Any]) -> None:
    data, layers = found["seconds"]  # of CPU time, which other processes do not lengthen
    assert data < 1 and layers < 0.2


def test_a_model_is_built_twice_only_where_its_weights_have_something_else_in_them(found: dict[str, Any]) -> None:
    assert found["builds"]["drawn"] == [0], "Keras' initializers alone gave its weights"
    assert found["builds"]["build"] == [0, 1], "a bias of it is read from a file"


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "float64"])
def test_what_is_told_of_the_first_weights_is_what_a_second_model_shows(found: dict[str, Any], precision: str) -> None:
    told, shown = found["builds"][precision]
    assert told == shown
    assert [0.25] * 3 in told and len(told) >= 9  # biases, statistics, the seeded kernel and the seeded dropout


@pytest.mark.slow
def test_fingerprints_of_a_users_resnet_are_a_fiftieth_of_describing_it_at_most() -> None:
    """Of the describing process alone, TensorFlow's import in it; ranks add more to the whole than to the part."""
    program = [sys.executable, str(PROGRAMS / "fingerprint_share.py")]
    done = subprocess.run(program, capture_output=True, text=True, timeout=600, env=environment())
    assert done.returncode == 0, done.stderr
    spent, whole = json.loads(done.stdout.splitlines()[-1])
    assert 0 < spent < 0.02 * whole, f"{spent:.3f} s of {whole:.1f} s"
