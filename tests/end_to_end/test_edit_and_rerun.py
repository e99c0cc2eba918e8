"""A model edited on the way: what a half-finished study did before is kept, never mixed, and said in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.launching import batchscale, require_strategy

from batchscale.analysis.tables.reading import read
from batchscale.benchmarks.errors import EXIT_OK
from batchscale.benchmarks.records.store import open_store

pytestmark = [pytest.mark.launched, pytest.mark.slow]
MODULE = '''
import numpy as np

WIDTH = 16
SEED = 0
MOMENTUM = 0.9


def build(input_shape, classes):
    import keras
    return keras.Sequential([keras.Input(input_shape), keras.layers.Dense(WIDTH, activation="relu"),
                             keras.layers.Dense(classes)])


def load():
    centres = np.load("centres.npy")
    rng = np.random.default_rng(SEED)
    y = rng.integers(0, 3, 160)
    x = (centres[y] + rng.normal(size=(160, 8))).astype("float32")
    return (x[:128], y[:128]), (x[128:], y[128:])


def loss(targets, outputs):
    import keras
    return keras.losses.sparse_categorical_crossentropy(targets, outputs, from_logits=True)


def optimizer():
    import keras
    return keras.optimizers.SGD(momentum=MOMENTUM)
'''
PLAN = """
[plan]
name = "mine"
drift_guard = false
[defaults]
dataset = "mine:load"
model = "mine:build"
loss = "mine:loss"
metrics = ["accuracy"]
optimizer = "mine:optimizer"
learning_rate = 0.01
global_batches = [16]
reference_batch = 16
validation_fraction = 0.0
epochs = 1
seeds = 2
[[experiment]]
name = "alone"
[[experiment]]
name = "together"
strategies = ["horovod-gloo"]
replicas = [2]
"""


def replaced(old: str, new: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        text = (folder / "mine.py").read_text()
        assert old in text
        (folder / "mine.py").write_text(text.replace(old, new))
    return edit


def centres(folder: Path, seed: int = 1) -> None:
    """The file that the data is made of, written in place."""
    np.save(folder / "centres.npy", 2 * np.random.default_rng(seed).normal(size=(3, 8)))


EDITS: dict[str, tuple[Callable[[Path], None], str]] = {
    "layer width": (replaced("WIDTH = 16", "WIDTH = 24"),
                    "the layers of mine:build (195 parameters then, 291 now)"),
    "data seed": (replaced("SEED = 0", "SEED = 5"), "the data of mine:load"),
    "loss body": (replaced("return keras.losses.sparse", "return 2 * keras.losses.sparse"),
                  "the source of loss mine:loss"),
    "constant of the optimizer": (replaced("MOMENTUM = 0.9", "MOMENTUM = 0.8"),
                                  "the source of optimizer mine:optimizer"),
    "file replaced in place": (centres, "the data of mine:load"),
}


def counted(folder: Path) -> set[tuple[str, int, str]]:
    """Experiment, seed and identity of the runs that a report goes by."""
    store = open_store(folder / "results")
    configs = {run.run_id: run.config for run in store.runs()}
    return {(configs[name].experiment, configs[name].seed, configs[name].fingerprint)
            for name in read(store).runs["run_id"]}


def records(folder: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in folder.glob("results/mine/*/record.json")}


def test_five_edits_of_a_half_finished_study_are_each_run_anew_and_named_once(tmp_path: Path) -> None:
    require_strategy("horovod-gloo")
    (tmp_path / "mine.py").write_text(MODULE)
    (tmp_path / "mine.toml").write_text(PLAN)
    centres(tmp_path, 0)
    assert run(tmp_path, 0) == []
    identities = {identity for _, _, identity in counted(tmp_path)}
    assert len(identities) == 1
    for number, (name, (edit, words)) in enumerate(EDITS.items(), 1):
        before, seed = records(tmp_path), number % 2
        edit(tmp_path)
        said = run(tmp_path, seed)
        assert len(said) == 1, (name, said)
        assert said[0].startswith(f"edited since 2 runs of this plan were made: {words}; they are kept in "), said
        after = counted(tmp_path)
        new = {identity for _, _, identity in after}
        assert {(experiment, seed) for experiment, seed, _ in after} == {("alone", seed), ("together", seed)}, name
        assert len(new) == 1 and not new & identities, f"{name}: old and new runs would be mixed"
        identities |= new
        kept = records(tmp_path)
        assert before.items() <= kept.items() and len(kept) == len(before) + 2, f"{name}: the old runs are kept"
    assert parameters(tmp_path) == {195, 291}
    assert run(tmp_path, 0) == [], "nothing was edited, and nothing is said"
    assert {identity for _, _, identity in counted(tmp_path)} == new


def run(folder: Path, seed: int) -> list[str]:
    """Do one seed of the two; what is said of edits."""
    done = batchscale("run", "mine.toml", "--only", f"seed={seed}", cwd=folder, timeout=600)
    assert done.returncode == EXIT_OK, done.stdout + done.stderr
    return [line for line in (done.stdout + done.stderr).splitlines() if "edited" in line]


def parameters(folder: Path) -> set[int]:
    """What the records say that was trained."""
    return {json.loads(text)["workload"]["parameters"] for text in records(folder).values()}
