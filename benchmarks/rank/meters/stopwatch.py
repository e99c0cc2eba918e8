"""Wall-clock seconds by activity: where the time of a run goes."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ACTIVITIES = ("data", "build", "trace", "train", "evaluate", "probe")


class Stopwatch:
    """Seconds spent in each activity since it was made. `changed` is told what begins and what has ended."""

    def __init__(self, changed: Callable[[str], object] = str) -> None:
        self._began, self._changed = time.perf_counter(), changed
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def activity(self, name: str) -> Iterator[None]:
        """Add the time spent meanwhile to the activity's seconds."""
        self._changed(name)
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - began
            self._changed(f"the end of {name}")

    def timing(self) -> dict[str, float]:
        """Return the record's `timing`, in seconds."""
        spent = {f"{name}_seconds": self.seconds[name] for name in ACTIVITIES}
        return {**spent, "total_seconds": time.perf_counter() - self._began}
