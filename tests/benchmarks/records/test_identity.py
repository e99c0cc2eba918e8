"""Runs go by what they train: an edited model's are others, said in one sentence, or counted together on purpose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from batchscale.benchmarks.data import fingerprint
from batchscale.benchmarks.records import identity
from batchscale.benchmarks.records.environment import numbers_versions
from batchscale.benchmarks.records.json_files import write_json
from batchscale.benchmarks.records.store import Store
from batchscale.benchmarks.runs.run_config import RunConfig

PARTS = {"data": "d0", "times": "", "layers": "l0", "types": "t0", "weights": "w0", "model source": "m0",
         "loss source": "o0", "metrics source": "", "versions": "keras 3.1"}
CONFIG = RunConfig(experiment="x", kind="accuracy", dataset="mine:load", model="mine:build", loss="mine:loss",
                   metrics=("accuracy",), optimizer="adam", global_batch=32, train_examples=480, seed=0)
KEY = CONFIG.workload_key
EDITS = {
    "layer width": ({"layers": "l1", "model source": "m1"}, 1539,
                    "the layers of mine:build (195 parameters then, 1,539 now);"),
    "data seed": ({"data": "d1"}, 195, "the data of mine:load;"),
    "loss body": ({"loss source": "o1"}, 195, "the source of loss mine:loss;"),
    "loaded weights": ({"weights": "w1"}, 195, "the first weights of mine:build;"),
    "layer's body": ({"model source": "m1"}, 195, "the source of mine:build;"),
    "picture replaced": ({"times": "9"}, 195, "files of mine:load;"),
    "upgrade": ({"versions": "keras 3.2"}, 195, "the versions (keras 3.1 then, keras 3.2 now);"),
}


def workload(parameters: int = 195, **changed: str) -> dict[str, Any]:
    parts = {**PARTS, **{name.replace("_", " "): value for name, value in changed.items()}}
    return {"train_examples": 480, "parameters": parameters, "fingerprint": parts, "files": None}


def plan_of(store: Store, described: dict[str, Any], seeds: range, go_on: bool = False) -> tuple[list[str], list[str]]:
    """What a study does before its runs start: the run ids, and the sentences."""
    configs = [replace(CONFIG, seed=seed) for seed in seeds]
    workloads, edits = identity.settled(store, {KEY: described}, configs, go_on)
    runs = identity.named(configs, workloads)
    write_json(store.folder / "workloads.json", workloads)
    store.prepare(runs, {"name": "p"})
    return [run.run_id for run in runs], [identity.sentence(edits, store, go_on)] if edits else []


@pytest.fixture
def begun(tmp_path: Path) -> tuple[Store, list[str]]:
    """A plan of four runs, two of which were made."""
    store = Store(tmp_path / "p")
    ids, said = plan_of(store, workload(), range(4))
    assert not said
    for run_id in ids[:2]:
        (store.folder / run_id / "attempt-01").mkdir()
    return store, ids


def test_what_is_the_same_goes_on(begun: tuple[Store, list[str]]) -> None:
    store, ids = begun
    assert plan_of(store, workload(), range(5)) == ([*ids, plan_of(store, workload(), range(5))[0][4]], [])


@pytest.mark.parametrize("name", EDITS)
def test_what_was_edited_is_run_anew_beside_and_said_once(begun: tuple[Store, list[str]], name: str) -> None:
    store, ids = begun
    parts, parameters, words = EDITS[name]
    edited = workload(parameters, **{part.replace(" ", "_"): value for part, value in parts.items()})
    new, said = plan_of(store, edited, range(4))
    assert not set(ids) & set(new) and [run.run_id for run in store.runs()] == new
    assert {run.run_id for run in store.others()} == set(ids)
    assert len(said) == 1 and said[0].startswith(f"edited since 2 runs of this plan were made: {words}")
    assert f"kept in {store.folder}" in said[0] and "--continue-edited" in said[0]
    assert plan_of(store, edited, range(4)) == (new, [])
    (store.folder / new[0] / "attempt-01").mkdir()
    assert plan_of(store, workload(), range(4))[0] == ids  # taken back: its runs are found again


def test_going_on_keeps_the_runs_and_their_names_until_the_next_edit(begun: tuple[Store, list[str]]) -> None:
    store, ids = begun
    kept, said = plan_of(store, workload(data="d1"), range(4), go_on=True)
    assert kept == ids and "counted with those, as --continue-edited asks" in said[0]
    assert plan_of(store, workload(data="d1"), range(4)) == (ids, [])
    assert plan_of(store, workload(data="d2"), range(4))[0] != ids


def test_runs_without_a_fingerprint_are_not_mixed_with_new_ones(tmp_path: Path) -> None:
    store = Store(tmp_path / "p")
    old = {name: value for name, value in workload().items() if name != "fingerprint"}
    ids, _ = plan_of(store, old, range(2))
    (store.folder / ids[0] / "attempt-01").mkdir()
    new, said = plan_of(store, workload(), range(2))
    assert not set(ids) & set(new)
    assert "1 run of this plan was made: the runs of mine:build on mine:load were made without a fingerprint" in said[0]
    assert store.run(ids[0]).config.fingerprint == ""


def test_an_edit_before_any_run_is_nobodys_business(tmp_path: Path) -> None:
    store = Store(tmp_path / "p")
    plan_of(store, workload(), range(2))
    assert plan_of(store, workload(data="d1"), range(2))[1] == []


def test_only_what_is_the_suites_own_and_unchanged_is_not_described_again() -> None:
    own = replace(CONFIG, dataset="digits", model="mlp_128", loss="sparse_categorical_crossentropy")
    described = {"train_examples": 480, "fingerprint": {"versions": numbers_versions()},
                 "files": fingerprint.witness("digits")}
    assert identity.is_current(described, own)
    for other in ({**described, "train_examples": 479}, {**described, "files": [["x", 1, 2, 3]]}, {},
                  {**described, "fingerprint": {"versions": "keras 2"}}, {"train_examples": 480}):
        assert not identity.is_current(other, own)
    for changed in ({"model": "mine:build"}, {"loss": "mine:loss"}, {"metrics": ("mine:f1",)},
                    {"dataset": "mine:load"}, {"dataset": "images:/tmp"}):
        assert not identity.is_current(described, replace(own, **changed))
