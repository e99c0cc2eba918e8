"""Training seconds of this suite's loop on so many devices of this machine, with every exchange, in turn.

Request: model, optimizer, replica_batch, shape, classes, replicas, exchanges, cores, most_steps, repeats,
window_seconds. Devices are GPUs, and logical CPUs where there is none. One number of replicas in a process: TensorFlow
numbers the collectives of each strategy from the same number on, and two strategies would take each other's for theirs.
"""

from __future__ import annotations

import sys
from typing import Any

from ... import data
from .answer import gpus, prepare, Request, serve


def measure(request: Request) -> dict[str, Any]:
    """Return a row for each exchange; the batch of each replica is the same at every number of them."""
    replicas, classes = request["replicas"], request["classes"]
    prepare(request["cores"], replicas)
    import tensorflow as tf

    from ...rank.strategies.mirrored import Mirrored
    from ...rank.workload.flops import forward_flops
    from .training_step import interleaved
    from .ways import Suite, Workload
    strategy = Mirrored(_devices(tf, replicas))
    batch = request["replica_batch"] * replicas
    loaded = data.load(f"synthetic:{request['shape']},classes={classes},"
                       f"examples={max(batch * request['most_steps'], classes)}")
    workload = Workload(request["model"], request["optimizer"], batch, loaded.train_x, loaded.train_y,
                        request["most_steps"], classes)
    flops, _ = forward_flops(workload.build(), workload.x)
    ways = {exchange: Suite(workload, strategy, exchange) for exchange in request["exchanges"]}
    seconds = interleaved({name: way.seconds for name, way in ways.items()}, request["repeats"],
                          request["window_seconds"])
    rows = [{"replicas": replicas, "exchange": name, "global_batch": batch, "steps": workload.steps,
             "examples": workload.examples, "seconds_per_epoch": values,
             "group_bytes": ways[name].program.exchange.group_bytes} for name, values in seconds.items()]
    return {"rows": rows, "request": dict(request), "gpus": gpus(), "flops_per_example": flops}


def _devices(tf: Any, count: int) -> list[str]:
    found = tf.config.list_physical_devices("GPU")
    if not found:
        cpu, = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    return [f"{'GPU' if found else 'CPU'}:{number}" for number in range(count)]


if __name__ == "__main__":
    sys.exit(serve(measure))
