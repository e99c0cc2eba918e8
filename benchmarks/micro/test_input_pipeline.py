"""Input pipelines without a model: resident on the device, streamed, tf.data from memory, TFRecord files of raw pixels,
and from disk: JPEG in TFRecord files, read in the order of training and decoded, with and without augmentation."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest

from . import child
from .replay import CLOCK

pytestmark = pytest.mark.benchmark(timer=CLOCK.now)
BATCHES = (32, 512)


@lru_cache
def answer() -> dict[str, Any]:
    """Return the answer of the measuring program, asked once."""
    return child.ask("input_pipeline", {"cores": child.cores(), "examples": 20_000, "batches": BATCHES, "repeats": 5,
                                        "window_seconds": 0.2})


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("way", ("resident", "stream", "tf_data", "tfrecord", "disk", "disk_augmented"))
def test_input_pipeline(benchmark: Any, way: str, batch: int) -> None:
    """Seconds of one batch."""
    row = next(row for row in answer()["rows"] if row["way"] == way and row["batch"] == batch)
    benchmark.group = f"input pipeline, batch {batch}"
    per_batch = [seconds * batch / row["examples"] for seconds in row["seconds_per_epoch"]]
    CLOCK.replay(benchmark, per_batch, examples_per_second=batch / min(per_batch))
    assert min(per_batch) > 0
