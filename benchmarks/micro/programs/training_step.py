"""Training seconds of several ways in one process, on the same cores, in turn.

Request: cases [{model, optimizer, global_batch}], ways, cores, inter_op, examples, most_steps, repeats, window_seconds;
shape and classes of the examples, where they are not those of images of digits.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

from ... import data
from .answer import gpus, prepare, Request, serve


def measure(request: Request) -> dict[str, Any]:
    """Return the seconds of the requested ways to train, in turn."""
    prepare(request["cores"], request["inter_op"])
    import keras

    from .ways import WAYS, Workload
    shape, classes = request.get("shape", "28x28x1"), request.get("classes", 10)
    loaded = data.load(f"synthetic:{shape},classes={classes},examples={request['examples']}")
    rows = []
    for case in request["cases"]:
        batch = case["global_batch"] or request["examples"]
        workload = Workload(case["model"], case["optimizer"], batch, loaded.train_x, loaded.train_y,
                            request["most_steps"], classes)
        ways = {name: WAYS[name](workload).seconds for name in request["ways"]}
        seconds = interleaved(ways, request["repeats"], request["window_seconds"])
        rows += [{**case, "global_batch": batch, "way": name, "steps": workload.steps,
                  "examples": workload.examples, "seconds_per_epoch": values} for name, values in seconds.items()]
        keras.backend.clear_session()
    return {"rows": rows, "request": dict(request), "gpus": gpus()}


def interleaved(ways: dict[str, Callable[[int], float]], repeats: int, window_seconds: float) -> dict[str, list[float]]:
    """Seconds per epoch, `repeats` of each way. The order rotates, so that no way always follows the same other.

    Two epochs of each way come before: one traces, the other says how many epochs fill a window.
    """
    epochs = {}
    for name, run in ways.items():
        run(1)
        epochs[name] = max(1, math.ceil(window_seconds / run(1)))
    names = list(ways)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats):
        turn = repeat % len(names)
        for name in (*names[turn:], *names[:turn]):
            seconds[name].append(ways[name](epochs[name]) / epochs[name])
    return seconds


if __name__ == "__main__":
    sys.exit(serve(measure))
