"""A Keras callback that records people's own `fit`: throughput, memory, rate, metrics and settings, a line each.

Lines go to a file of their own, which an importer reads, so that what was written is there whatever becomes of the
process. Nothing that goes wrong here reaches the training: it is warned of once, and recording ends.
"""

from __future__ import annotations

import json
import math
import os
import time
import uuid
import warnings
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from threading import Lock
from typing import Any, TextIO

import keras

from ..devices import status_bytes
from . import settings

FORMAT = 1
FOLDER = "recordings"
SECONDS_BETWEEN_PUBLICATIONS = 60.0  # at least, and as many times what one takes: reading grows with what was written
LONGEST_SHARE = 1 / 200
Publish = Callable[[Path], object]


def never_raising(hook: Callable[..., None]) -> Callable[..., None]:
    """Return the hook so that an error of its own is a warning, given once, and ends the recording."""
    @wraps(hook)
    def guarded(self: Recorder, *given: Any, **named: Any) -> None:
        if self.failed:
            return
        try:
            hook(self, *given, **named)
        except Exception as error:  # full disks, folders that cannot be written, a Keras of other insides
            self.give_up(error)
    return guarded


class Recorder(keras.callbacks.Callback):
    """Record a training: give it to `fit` among the callbacks, or under Horovod on every rank.

    folder: RESULTS/<name>. told: columns of a run that `fit` does not tell, such as rule and seed. window_seconds: the
    length of a throughput window. publish: called with the folder when there is something to read.
    """

    async_safe = True  # Keras then calls it beside the step, and waits for no value of a step on its account

    def __init__(self, folder: Path, told: Mapping[str, Any], window_seconds: float, publish: Publish) -> None:
        super().__init__()
        self.failed = False
        self._folder, self._told, self._window_seconds, self._publish = folder, dict(told), window_seconds, publish
        self._file: TextIO | None = None
        self._lock = Lock()
        self._next_publication = math.inf
        self._steps = self._done = self._begun_step = 0
        self._begun: float | None = None
        self._epoch_begun: float | None = None
        self._baseline: int | None = None
        self._trained = 0.0
        self._started = 0.0

    def give_up(self, error: Exception) -> None:
        """Warn, and record no more."""
        self.failed = True
        try:
            warnings.warn(f"batchscale.Recorder stops recording, and the training goes on: {type(error).__name__}: "
                          f"{error}", stacklevel=2)
        except Exception:  # where warnings are errors
            pass

    @never_raising
    def on_train_begin(self, logs: Any = None) -> None:
        """Open the file and write the settings."""
        if not settings.is_first_rank():
            return
        self._started, self._trained, self._steps, self._done = time.perf_counter(), 0.0, 0, 0
        self._next_publication = time.monotonic() + SECONDS_BETWEEN_PUBLICATIONS
        places = self._folder / FOLDER
        places.mkdir(parents=True, exist_ok=True)
        name = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{uuid.uuid4().hex[:6]}"
        self._file = open(places / f"{name}.jsonl", "x", encoding="utf-8", buffering=1)
        try:
            Path("/proc/self/clear_refs").write_text("5")  # resets the largest resident size
            self._baseline = status_bytes("VmRSS")
        except OSError:
            self._baseline = None
        self._write(batchscale_recording=FORMAT, run=name, environment=settings.environment(),
                    columns={**settings.of_fit(self.model, self.params or {}), **self._told})

    @never_raising
    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Begin an epoch; its windows begin after its first step, which may trace."""
        with self._lock:
            self._done, self._begun, self._epoch_begun = 0, None, time.perf_counter()

    @never_raising
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Count the steps, and end a window where its time is over."""
        if self._file is None:
            return
        with self._lock:
            self._done = max(self._done, batch + 1)
            if self._begun is None:
                self._begun, self._begun_step = time.perf_counter(), self._done
            elif time.perf_counter() - self._begun >= self._window_seconds:
                self._end_window()

    def _end_window(self) -> None:
        """Of whole steps; the next one begins where this one ends."""
        now = time.perf_counter()
        if self._begun is not None and self._done > self._begun_step:
            self._write(window={"start_step": self._steps + self._begun_step, "steps": self._done - self._begun_step,
                                "seconds": now - self._begun})
        self._begun, self._begun_step = now, self._done

    @never_raising
    def on_test_begin(self, logs: Any = None) -> None:
        """End the training part of an epoch, where validation begins."""
        self._end_training_part()

    @never_raising
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write the epoch's metrics, rate and time, and let it be read."""
        if self._file is None:
            return
        self._end_training_part()
        self._steps += self._done
        self._write(epoch={"epoch": epoch + 1, "step": self._steps, "train_seconds": self._trained,
                           "elapsed_seconds": time.perf_counter() - self._started,
                           "learning_rate": settings.learning_rate(self.model),
                           "metrics": {str(name): _number(value) for name, value in (logs or {}).items()}},
                    memory=self._memory())
        if time.monotonic() > self._next_publication:
            self._let_read()

    def _end_training_part(self) -> None:
        with self._lock:
            if self._file is not None and self._epoch_begun is not None:
                self._end_window()
                self._trained += time.perf_counter() - self._epoch_begun
                self._epoch_begun = None

    @never_raising
    def on_train_end(self, logs: Any = None) -> None:
        """Write the end, and let the training be read."""
        if self._file is None:
            return
        self._write(end=True)
        self._file.close()
        self._file = None
        self._let_read()

    def _let_read(self) -> None:
        began = time.monotonic()
        self._publish(self._folder / FOLDER)
        ended = time.monotonic()
        self._next_publication = ended + max(SECONDS_BETWEEN_PUBLICATIONS, (ended - began) / LONGEST_SHARE)

    def _memory(self) -> dict[str, int | None]:
        return {"baseline_bytes": self._baseline, "peak_bytes": status_bytes("VmHWM") if self._baseline else None,
                "device_peak_bytes": settings.device_peak()}

    def _write(self, **line: Any) -> None:
        assert self._file is not None
        self._file.write(json.dumps(line, allow_nan=False) + os.linesep)


def _number(value: Any) -> float | None:
    """A metric as a number; None for NaN, which JSON has not, and for what is none."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None
