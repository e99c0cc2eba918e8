"""Takes what scripts give to fit while the address space is limited to little more than TensorFlow has, and prints for
each how many examples were taken, or why none, and by how many bytes this process grew at most meanwhile."""

from __future__ import annotations

import contextlib
import io
import json
import resource
import tempfile
from pathlib import Path
from typing import Any

import psutil

from batchscale.benchmarks.data.user_function import search_beside
from batchscale.benchmarks.errors import BatchscaleError
from batchscale.benchmarks.rank.script import taken

ROOM = 1_000_000_000
# Batches of 8 MB.
SCRIPT = """
import sys, keras, numpy as np
def batches():
    for number in range(int(sys.argv[1])):
        yield np.full((1000, 1000), number, np.float64), np.arange(1000) % 2
model = keras.Sequential([keras.layers.Dense(1, activation="sigmoid")])
model.compile(optimizer="sgd", loss="binary_crossentropy")
pairs = batches()
if sys.argv[2] == "pipeline":
    import tensorflow as tf
    pairs = tf.data.Dataset.from_generator(batches, output_signature=(
        tf.TensorSpec((1000, 1000), tf.float64), tf.TensorSpec((1000,), tf.int64)))
model.fit(pairs, epochs=1, verbose=0, validation_data=(np.zeros((10, 1000)), np.zeros(10)))
"""
CASES = {"small": "20 generator", "large": "2000 generator", "large pipeline": "2000 pipeline"}


def told(case: str) -> Any:
    before = psutil.Process().memory_info().rss
    try:
        found: Any = len(taken.load(f"script:streams.py {CASES[case]}").train_y)
    except BatchscaleError as error:
        found = str(error)
    return [found, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before]


with tempfile.TemporaryDirectory() as place, contextlib.redirect_stdout(io.StringIO()):
    (Path(place) / "streams.py").write_text(SCRIPT)
    search_beside(f"{place}/plan.toml")
    taken.load("script:streams.py 1 pipeline")  # what TensorFlow itself takes for the first of them
    limit = psutil.Process().memory_info().vms + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    found = {case: told(case) for case in CASES}
print(json.dumps(found))
