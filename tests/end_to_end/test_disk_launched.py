"""Input from disk on real ranks: the same weights on every strategy as from memory, and a run that ends in one sentence
where an image is damaged."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from support.launching import batchscale, ranks_of_two_replicas
from support.rank_servers import launched_once

from batchscale.benchmarks import data
from batchscale.benchmarks.config.strategies import variants
from batchscale.benchmarks.data.disk import write_images
from batchscale.benchmarks.errors import EXIT_OK, EXIT_RUNS_FAILED
from batchscale.benchmarks.records.store import open_store

pytestmark = pytest.mark.launched
# The others are slow: equal_weights has them.
STRATEGIES = [pytest.param(name, marks=[pytest.mark.slow] * (name != "single")) for name in variants()]
TOLERANCE = 1e-9
EXAMPLES = 700


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The same images in every layout, as PNG, which keeps them as they are, and in memory; and augmented."""
    folder, digits = tmp_path_factory.mktemp("data"), data.load("digits")
    found = {layout: write_images.write(folder / layout, digits, EXAMPLES, layout, "png", files=3)
             for layout in write_images.FORMATS}
    test = EXAMPLES // write_images.TEST_SHARE
    stored = {"x_train": digits.train_x[:EXAMPLES], "x_test": digits.test_x[:test]}
    arrays: dict[str, Any] = {name: np.round(x * 255).astype(np.uint8) for name, x in stored.items()}
    np.savez(folder / "same.npz", y_train=digits.train_y[:EXAMPLES], y_test=digits.test_y[:test], **arrays)
    return {**found, "resident": f"npz:{folder / 'same.npz'}",
            "augmented": f"{found['tfrecord']},augment=flip,crop"}


@pytest.fixture(scope="module")
def trained(cases: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    return launched_once(tmp_path_factory, "disk_weights", json.dumps(cases))


def weights(folder: Path, case: str) -> npt.NDArray[np.float64]:
    return np.asarray(np.load(folder / f"{case}.npy"))


def distance(w: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    """|w - w'| / |w| over all weights."""
    return float(np.linalg.norm(w - other) / np.linalg.norm(w))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("layout", write_images.FORMATS)
def test_images_on_disk_train_to_the_weights_of_the_same_images_in_memory(
        trained: Callable[[str], Path], strategy: str, layout: str) -> None:
    """Class by class in folders, so there the same order shows other examples: compared over strategies instead."""
    other = "resident" if layout == "tfrecord" else layout
    assert distance(weights(trained("single"), other), weights(trained(strategy), layout)) <= TOLERANCE


@pytest.mark.parametrize("strategy", STRATEGIES[1:])
def test_augmented_images_are_the_same_whatever_the_number_of_replicas(trained: Callable[[str], Path],
                                                                       strategy: str) -> None:
    alone = weights(trained("single"), "augmented")
    assert distance(alone, weights(trained(strategy), "augmented")) <= TOLERANCE
    assert distance(alone, weights(trained("single"), "tfrecord")) > 1e-2, "augmentation changes what is learned"


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_rank_evaluates_alike_and_as_from_memory(trained: Callable[[str], Path], strategy: str) -> None:
    found = json.loads((trained(strategy) / "metrics.json").read_text())
    ranks = found["tfrecord"]
    assert len(ranks) == ranks_of_two_replicas(strategy)
    assert all(metrics == ranks[0] for metrics in ranks)
    assert set(ranks[0]) >= {"train_loss", "validation_loss", "test_accuracy"}
    assert ranks[0] == pytest.approx(found["resident"][0], rel=1e-9)


PLAN = """
[plan]
name = "disk"
drift_guard = false
[defaults]
dataset = "{dataset}"
model = "mlp_128"
seeds = 1
epochs = 1
launches = 2
windows = 3
window_seconds = 0.02
[[experiment]]
name = "accuracy"
optimizer = "adam"
precision = "mixed_bfloat16"
global_batches = [32]
noise_batches = [8, 32]
[[experiment]]
name = "timing"
kind = "throughput"
precision = "mixed_float16"
global_batches = [64]
"""


def run_plan(folder: Path, dataset: str) -> tuple[subprocess.CompletedProcess[str], list[dict[str, Any]]]:
    (folder / "disk.toml").write_text(PLAN.format(dataset=dataset))
    done = batchscale("study", "disk.toml", cwd=folder, timeout=400)
    return done, list(open_store(folder / "results").records())


@pytest.mark.slow
def test_a_study_from_disk_records_its_input_and_its_model_apart(cases: dict[str, str], tmp_path: Path) -> None:
    done, records = run_plan(tmp_path, cases["augmented"])
    assert done.returncode == EXIT_OK, done.stdout + done.stderr
    assert {record["environment"]["input"] for record in records} == {"disk"}
    timing = [record for record in records if record["config"]["kind"] == "throughput"]
    assert len(timing) == 2
    for record in timing:
        for name in ("input_windows", "synthetic_windows"):
            assert sum(window["steady"] for window in record[name]) == 3
    accuracy = next(record for record in records if record["config"]["kind"] == "accuracy")
    assert accuracy["input_windows"] == [] and len(accuracy["gradient_norms"]) > 0
    assert "real" in (tmp_path / "results" / "disk" / "report" / "report.md").read_text()


@pytest.mark.slow  # rank/test_disk_feed.py meets one in every feed
def test_a_damaged_image_ends_the_run_in_one_sentence_that_names_it(tmp_path: Path) -> None:
    dataset = write_images.write(tmp_path / "images", data.load("digits"), 400, "folder", "png")
    for path in sorted((tmp_path / "images" / "train" / "class_0003").iterdir()):
        path.write_bytes(path.read_bytes()[:40])
    done, records = run_plan(tmp_path, dataset)
    assert done.returncode == EXIT_RUNS_FAILED
    assert records == []
    status = batchscale("status", "results/disk", cwd=tmp_path).stdout
    assert "class_0003" in status and "cannot be decoded as an image" in status
    assert "Traceback" not in status
