"""What a script gives to fit, trained by this suite and by Keras' own `fit`, in one process on the same cores.

Request: folder, scripts (names in it), cores, batches, most_steps, repeats, window_seconds: seconds of an epoch by both
ways in turn, at each batch; judged (names, too), seeds [first, behind the last]: the accuracy at which both end.
Answer: `rows` of seconds, and `accuracies`: one for each script and seed.

Both take the script's examples as arrays, in a new order each epoch. Seconds are those of epochs of up to `most_steps`
whole batches, for which the script's rows are repeated; accuracies those of its own examples, batch and epochs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..answer import prepare, Request, serve


def measure(request: Request) -> dict[str, Any]:
    """Return the seconds and the accuracies of both ways."""
    prepare(request["cores"], len(request["cores"]))
    import keras

    from ....data.user_function import search_beside
    search_beside(str(Path(request["folder"], "plan.toml")))
    rows: list[dict[str, Any]] = []
    for script in request["scripts"]:
        rows += _timed(script, request)
        keras.backend.clear_session()
    accuracies: list[dict[str, Any]] = []
    for script in request["judged"]:
        accuracies += _judged(script, range(*request["seeds"]))
        keras.backend.clear_session()
    return {"rows": rows, "accuracies": accuracies, "request": dict(request)}


def _timed(script: str, request: Request) -> Iterator[dict[str, Any]]:
    from .script_sides import BySuite, ByFit, Script
    from ..training_step import interleaved
    given = Script(script)
    for batch in request["batches"]:
        steps = request["most_steps"]
        sides: dict[str, BySuite | ByFit] = {"suite": BySuite(given), "fit": ByFit(given)}
        ways = {name: side.repeated(batch, steps) for name, side in sides.items()}
        seconds = interleaved(ways, request["repeats"], request["window_seconds"])
        for name, values in seconds.items():
            yield {"model": script, "optimizer": given.taken["optimizer"].replace(" ", ","), "global_batch": batch,
                   "way": name, "steps": steps, "examples": steps * batch, "seconds_per_epoch": values}


def _judged(script: str, seeds: range) -> Iterator[dict[str, Any]]:
    from .script_sides import BySuite, ByFit, Script
    given = Script(script)
    sides: dict[str, BySuite | ByFit] = {"suite": BySuite(given), "fit": ByFit(given)}
    for seed in seeds:
        yield {"script": script, "seed": seed, **{name: side.accuracy(seed) for name, side in sides.items()}}


if __name__ == "__main__":
    sys.exit(serve(measure))
