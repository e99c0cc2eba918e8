"""A whole machine: one process of this suite on every core, as a study runs, against one `fit` that has all cores.

Every process is kept open and told when to run, so that the two sides take turns and neither meets the other.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, ExitStack
from tempfile import TemporaryFile
from typing import Any, IO

from ...errors import EnvironmentUnusable
from ...records import environment
from .. import child
from ..other_load import OtherLoad


class Slot:
    """One training process."""

    def __init__(self, process: subprocess.Popen[str], messages: IO[str]) -> None:
        self._process, self._messages, self.number = process, messages, process.pid

    def tell(self, words: str) -> None:
        """Write one line to the process."""
        assert self._process.stdin
        self._process.stdin.write(words + "\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Return the process' next answer. Raises EnvironmentUnusable when the process has ended."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            self._messages.seek(0)
            raise EnvironmentUnusable(f"a training process ended with exit code {self._process.wait()}:\n"
                                      + child.last_lines(self._messages.read()))
        found: dict[str, Any] = json.loads(line)
        return found


@contextmanager
def opened(request: Mapping[str, Any]) -> Iterator[Slot]:
    """Start a training process with this request and end it afterwards."""
    words = [sys.executable, "-m", f"{child.PROGRAMS}.slot", json.dumps(request)]
    with TemporaryFile("w+") as messages, \
            subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=messages, text=True,
                             env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}) as process:
        try:
            yield Slot(process, messages)
        finally:
            assert process.stdin
            process.stdin.close()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()


def measure(request: Mapping[str, Any]) -> dict[str, Any]:
    """Rows as `training_step` gives them; an epoch of the suite's is of all its processes together."""
    with ExitStack() as stack:
        sides = {"suite": [stack.enter_context(opened({**request, "way": "suite", "cores": [core], "inter_op": 1}))
                           for core in request["cores"]],
                 "fit": [stack.enter_context(opened({**request, "way": "fit"}))]}
        others = OtherLoad([slot.number for slots in sides.values() for slot in slots])
        rows = [row for number, case in enumerate(request["cases"]) for row in _rows(sides, number, case, request)]
        return {"rows": rows, "request": dict(request), "environment": environment.collect(),
                "others_busy_cores": others.cores()}


def _rows(sides: Mapping[str, Sequence[Slot]], number: int, case: Mapping[str, Any],
          request: Mapping[str, Any]) -> list[dict[str, Any]]:
    size: dict[str, Any] = {}
    for slots in sides.values():
        for slot in slots:
            slot.tell(f"open {number}")
        size = [slot.answer() for slot in slots][0]
    epochs = {name: max(1, math.ceil(request["window_seconds"] / _seconds(slots, 1)))
              for name, slots in sides.items()}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(request["repeats"]):
        for name in sorted(sides, reverse=bool(repeat % 2)):
            slots = sides[name]
            seconds[name].append(_seconds(slots, epochs[name]) / epochs[name] / len(slots))
    return [{**case, **size, "global_batch": case["global_batch"] or request["examples"], "way": name,
             "processes": len(sides[name]), "seconds_per_epoch": values} for name, values in seconds.items()]


def _seconds(slots: Sequence[Slot], epochs: int) -> float:
    """All processes at once; the slowest counts."""
    for slot in slots:
        slot.tell(f"run {epochs}")
    return max(float(slot.answer()["seconds"]) for slot in slots)
