"""Steps of one configuration beside pretended GPUs: what was copied between host and GPUs meanwhile, a step.

`python copies_of_steps.py SETTINGS`: fields of a RunConfig as JSON; prints JSON. The first steps, in which things are
placed, are left out.
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Any

NAMES = ("to_device", "to_device_bytes", "to_host", "to_host_bytes", "on_device", "kernels", "products", "collectives",
         "waits", "allocations")
FIRST, MANY = 4, 24


def counts() -> dict[str, int]:
    """What the pretended GPUs have counted so far."""
    found = (ctypes.c_long * len(NAMES))()
    ctypes.CDLL("libcuda.so.1").pretended_counts(found)
    return dict(zip(NAMES, found))


def run(settings: dict[str, Any]) -> dict[str, Any]:
    """Train some steps; return devices, feed, and the counts a step."""
    from batchscale.benchmarks.rank import imports
    imports.tensorflow_and_keras()
    from batchscale.benchmarks import data
    from batchscale.benchmarks.rank import devices, strategies
    from batchscale.benchmarks.rank.in_progress import RunInProgress, Segment
    from batchscale.benchmarks.rank.session import Session
    from batchscale.benchmarks.runs.run_config import RunConfig
    basis = {"experiment": "copies", "kind": "throughput", "dataset": "digits", "model": "mlp_128", "seed": 0}
    examples = data.split_sizes(data.describe_size(settings.get("dataset", "digits")).train_examples, 0.2)[0]
    config = RunConfig(**{**basis, **settings}, train_examples=examples)
    local = devices.prepare(config)
    strategy = strategies.create(config, local)
    going = RunInProgress(config, Session(strategy, local, [0, 1], config.ranks, lambda: ""))
    rates = going.rates(1)
    going.set_order(0, 0)
    going.advance(Segment(config.global_batch, 0, 0, FIRST), rates)
    taken, rows = [], going.examples.feed.layout(config.global_batch).rows
    start = 2 * FIRST + MANY
    chunk = (start // rows + 1) * rows  # where a piece of streamed examples begins
    for start, stop in ((FIRST, 2 * FIRST), (2 * FIRST, start), (start, chunk), (chunk, chunk + rows)):
        before = counts()
        going.advance(Segment(config.global_batch, 0, start, stop), rates)
        taken.append({name: value - before[name] for name, value in counts().items()})
    few, many, _, whole = taken
    return {"devices": local, "feed": going.examples.feed.kind, "call": few, "chunk": whole, "chunk_steps": rows,
            "step": {name: (many[name] - few[name]) / (MANY - FIRST) for name in NAMES}}


if __name__ == "__main__":
    print(json.dumps(run(json.loads(sys.argv[1]))))
