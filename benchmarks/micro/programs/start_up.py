"""What a rank pays once: importing TensorFlow, building a model, tracing the loop, the first step, and one more.

Request: cores, model, optimizer, global_batch, examples. One answer per process, as only the first time counts.
"""

from __future__ import annotations

import sys
from typing import Any

from ... import data
from .answer import prepare, Request, seconds_of, serve


def measure(request: Request) -> dict[str, Any]:
    """Return the seconds of each part of a rank's start."""
    seconds = {"import": seconds_of(lambda: prepare(request["cores"], 1))}
    seconds["import"] += seconds_of(_import_rank)
    import tensorflow as tf

    from ...rank.feeds.resident import Resident
    from ...rank.strategies.base import Strategy
    from ...rank.training.program import advance, Program
    from .ways import SEED, Workload
    loaded = data.load(f"synthetic:28x28x1,classes=10,examples={request['examples']}")
    batch, strategy = request["global_batch"], Strategy()
    workload = Workload(request["model"], request["optimizer"], batch, loaded.train_x, loaded.train_y, 1)
    made: list[Any] = []
    seconds["place"] = seconds_of(lambda: made.append(Resident(loaded.train_x, loaded.train_y, strategy)))
    resident = made[0]
    resident.set_order(data.epoch_order(SEED, 0, len(loaded.train_y)), 0)
    seconds["build"] = seconds_of(lambda: made.append(
        Program(workload.config(strategy), strategy, loaded.input_shape, loaded.classes)))
    loop, rate = made[1].loop(batch, resident.layout(batch)), tf.constant([0.01])
    # A call of no steps traces, and optimises the graph.
    seconds["trace"] = seconds_of(lambda: advance(loop, resident.parts(0, 0, batch), rate))
    seconds["first_step"] = seconds_of(lambda: advance(loop, resident.parts(0, 1, batch), rate))
    seconds["second_step"] = seconds_of(lambda: advance(loop, resident.parts(1, 2, batch), rate))
    return {"seconds": seconds, "request": dict(request)}


def _import_rank() -> None:
    from ...rank.training import program as train
    assert train


if __name__ == "__main__":
    sys.exit(serve(measure))
