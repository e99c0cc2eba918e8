"""`batchscale.Recorder()`: a callback for people's own `fit` whose results are read like any other's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ...analysis.importers import imported_store
from ...analysis.importers.additions import parse_additions
from ...benchmarks.errors import PlanError

RECORDING = "recorder"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")
SHORTEST_WINDOW = 0.01


def Recorder(name: str = "recorded", *, results: str | Path = "results", experiment: str = "training", rule: str = "",
             seed: int | None = None, window_seconds: float = 1.0, **columns: Any) -> Any:
    """Return a Keras callback that records the training it is given to, under any strategy.

        model.fit(x, y, epochs=10, callbacks=[batchscale.Recorder("mine", rule="linear", seed=0)])

    Every training with the same `name` becomes runs in results/<name>, which `batchscale report`, `compare`, `export`
    and `batchscale.load` read: throughput in windows of window_seconds, peak memory, learning rate, metrics of every
    epoch, and the settings that `fit` tells. rule: how the rate follows the batch (constant, linear, ...) and seed, by
    which trainings at several batches are judged against each other. columns: any other column of results.csv that
    `fit` does not tell, such as train_examples, global_batch or dataset.

    It never disturbs a training: what cannot be written is warned of once. Raises PlanError for a name that names no
    folder and for what is no column.

    >>> Recorder("a/b")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    PlanError: Recorder name='a/b' must be 1 to 80 letters, digits, '_', '.' or '-'; it names the results folder.
    """
    if not NAME.fullmatch(name):
        raise PlanError(f"Recorder name={name[:90]!r} must be 1 to 80 letters, digits, '_', '.' or '-'; it names the "
                        "results folder.")
    if not window_seconds >= SHORTEST_WINDOW:
        raise PlanError(f"Recorder window_seconds={window_seconds!r} must be {SHORTEST_WINDOW:g} or more.")
    given = {"experiment": experiment, "rule": rule, "seed": seed, **columns}
    told = {key: value for key, value in given.items() if value not in (None, "")}
    values = parse_additions([f"{key}={value}" for key, value in told.items()]).values
    from ...benchmarks.rank.own_fit import recorder  # Keras, which whoever calls `fit` has loaded
    folder = Path(results).absolute() / name
    return recorder.Recorder(folder, values, window_seconds, _publish)


def _publish(recordings: Path) -> None:
    """Let the folder's recordings be read as imported runs, in place of what was there of them."""
    imported_store.write_anew(recordings, recordings.parent, RECORDING)
