"""Training by several ranks: this suite's loop, `fit` with Horovod, and the method of Horovod's own benchmark.

Request: cases [{model, optimizer, replica_batch}], cores, transport, ranks, examples, most_steps, repeats, epochs.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from ... import data
from ...errors import RanksDisagree
from ...rank import agreement
from ...rank.devices import local_rank
from .answer import prepare, Request, serve


def measure(request: Request) -> dict[str, Any] | None:
    """Return on rank 0 the seconds of the requested ways to train, in turn; None elsewhere."""
    prepare([request["cores"][local_rank(os.environ)]], 1)
    import keras

    from ...rank.strategies.horovod import Horovod
    from .horovod_ways import WAYS
    from .ways import Workload
    strategy = Horovod()
    if strategy.size != request["ranks"]:
        raise RanksDisagree(f"{request['ranks']} ranks were asked for and rank {strategy.rank} sees {strategy.size}; "
                            "the launcher and Horovod's MPI do not belong together.")
    loaded = data.load(f"synthetic:28x28x1,classes=10,examples={request['examples']}")
    rows = []
    for case in request["cases"]:
        batch = case["replica_batch"] * strategy.replicas
        workload = Workload(case["model"], case["optimizer"], batch, loaded.train_x, loaded.train_y,
                            request["most_steps"])
        ways = {name: way(workload, strategy) for name, way in WAYS.items()}
        seconds = in_turn(ways, strategy, request["repeats"], request["epochs"])
        for name, way in ways.items():
            agreement.check_weights(strategy, way.variables(), f"after {name}")
        rows += [{**case, "global_batch": batch, "way": name, "steps": workload.steps,
                  "examples": workload.examples, "seconds_per_epoch": values} for name, values in seconds.items()]
        keras.backend.clear_session()
    library = strategy.library()
    return {"rows": rows, "request": dict(request), "library": library} if strategy.rank == 0 else None


def in_turn(ways: dict[str, Any], strategy: Any, repeats: int, epochs: int) -> dict[str, list[float]]:
    """Seconds per epoch, the largest over ranks. The epochs are given: ranks must not count by their own time."""
    for way in ways.values():
        way.seconds(1)
    names = list(ways)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for repeat in range(repeats):
        turn = repeat % len(names)
        for name in (*names[turn:], *names[:turn]):
            strategy.barrier()
            seconds[name].append(max(strategy.gather(ways[name].seconds(epochs))) / epochs)
    return seconds


if __name__ == "__main__":
    sys.exit(serve(measure))
