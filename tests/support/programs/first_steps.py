"""Two steps that are made and taken back before an accuracy run is timed: what they leave behind."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from batchscale.benchmarks.rank import imports

imports.tensorflow_and_keras()

from batchscale.benchmarks.rank.in_progress import RunInProgress, Segment  # noqa: E402
from batchscale.benchmarks.rank.session import Session  # noqa: E402
from batchscale.benchmarks.rank.strategies.base import Strategy  # noqa: E402
from batchscale.benchmarks.runs.run_config import RunConfig  # noqa: E402

COMMON: dict[str, Any] = {"experiment": "first", "kind": "accuracy", "dataset": "digits", "model": "mlp_128",
                          "optimizer": "adam", "global_batch": 64, "train_examples": 1146, "seed": 3}


def trained(session: Session, jit: bool, first: bool) -> tuple[list[Any], float, int]:
    """The weights after three steps, what the first steps moved them by, and the windows that were noted meanwhile."""
    going = RunInProgress(RunConfig(**COMMON, jit=jit), session)
    rates = going.rates(3)
    before = [np.array(variable) for variable in going.program.variables]
    going.trace(64, rates)
    if first:
        going.use_once(64, rates)
    moved = max(float(np.abs(np.array(v) - b).max()) for v, b in zip(going.program.variables, before))
    slots = max(float(np.abs(np.array(slot)).max()) for of in going.program.optimizer.slots for slot in of)
    windows = len(going.recorder.windows)
    going.program.reset_optimizer()
    going.set_order(0, 0)
    going.advance(Segment(64, 0, 0, 3), rates)
    return [np.array(v) for v in going.program.variables] + [slots], moved, windows


def main() -> None:
    session = Session(Strategy(), ["CPU:0"], [0], 1, lambda: "")
    found = {}
    for jit in (False, True):
        (*plain, _), _, _ = trained(session, jit, first=False)
        (*weights, slots), moved, windows = trained(session, jit, first=True)
        found[str(jit)] = {"equal": all(np.array_equal(a, b) for a, b in zip(plain, weights)), "moved": moved,
                           "steps_were_made": slots > 0, "windows": windows}
    print(json.dumps(found))


main()
