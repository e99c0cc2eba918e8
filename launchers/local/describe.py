"""What users' data and models are, by one child process: only ranks import TensorFlow or run a user's code.

What the child writes to standard error, TensorFlow's log among it, is shown only where it ends without an answer.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from ...benchmarks import data
from ...benchmarks.data import fingerprint
from ...benchmarks.data.splitting import split_sizes
from ...benchmarks.errors import PlanError
from ...benchmarks.planning.keys import WATCHDOG_SECONDS
from ...benchmarks.records import identity
from ...benchmarks.records.store import Store
from ...benchmarks.runs.run_config import RunConfig, to_json
from ...benchmarks.text import plain
from .deaths import how_ended

INSIDE_PYTHON = re.compile(r'"<frozen |/lib/python3')  # frames that say nothing of the user's code
CRASH = re.compile(r"^Fatal Python error|Error\b|error:")
PROGRAM = "batchscale.benchmarks.rank.workload.describe"


@dataclass
class Describer:
    """Asks the child, which is started with the first question and ended with the context.

    source: the plan's file, beside which users' modules are looked for. patience_seconds: how long an answer may take
    before the child is given up, with its stack in the message; 0: for ever.
    """

    source: str = ""
    patience_seconds: float = WATCHDOG_SECONDS
    _child: subprocess.Popen[str] | None = None
    _log: IO[str] = field(default_factory=lambda: tempfile.TemporaryFile("w+", errors="replace"))
    _sizes: dict[str, int] = field(default_factory=dict)

    def __enter__(self) -> Describer:
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
        self._log.close()

    def train_examples(self, name: str, validation_fraction: float) -> int:
        """Return how many training examples are left beside the validation split; a user's function is called by the
        child. Raises DataError, PlanError."""
        if not fingerprint.is_own(name):
            return data.train_examples(name, validation_fraction)
        if name not in self._sizes:
            self._sizes[name] = self._answer({"size": name})["train_examples"]
        return split_sizes(self._sizes[name], validation_fraction)[0]

    def describe(self, configs: Sequence[RunConfig], store: Store) -> dict[str, Any]:
        """Return the workloads by key, each data set and model built and a step tried once.

        Done anew for whatever has something of a user's own; the rest is known as long as files and versions are the
        same. Raises PlanError.
        """
        known = identity.known(store)
        wanted = {c.workload_key: c for c in configs}
        missing = {key: c for key, c in wanted.items() if not identity.is_current(known.get(key, {}), c)}
        if not missing:
            return dict(known)
        parts = {c.dataset: known.get(key, {}).get("fingerprint") for key, c in missing.items()}
        digests = {name: found["data"] for name, found in parts.items() if found and "data" in found}
        answer = self._answer({"configs": [to_json(c) for c in missing.values()], "known": digests})
        return {**known, **answer["workloads"]}

    def taken(self, script: str) -> dict[str, Any]:
        """Return what a script gives to its fit, by the names of planning/scripts.py. Raises DataError, PlanError."""
        return dict(self._answer({"script": script})["taken"])

    def _answer(self, question: dict[str, Any]) -> dict[str, Any]:
        child = self._child = self._child or self._started()
        try:
            print(json.dumps(question), file=child.stdin, flush=True)
            text = child.stdout.readline() if child.stdout else ""
            answer: dict[str, Any] = json.loads(text)
        except (OSError, ValueError):  # it has ended
            code = child.wait()
            self._log.seek(0)
            raise PlanError(_why_not(self._log.read(), code, self.patience_seconds)) from None
        if "error" in answer:
            raise PlanError(str(answer["error"]))
        return answer

    def _started(self) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", PROGRAM, str(self.patience_seconds), self.source]
        return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True)


def _why_not(errors: str, code: int, patience_seconds: float) -> str:
    """Return why the child gave no answer, from what it wrote to stderr and the code that it ended with."""
    lines = [line for line in errors.splitlines() if line.strip()]
    frames = [line.strip() for line in lines if line.startswith("  File ")]
    frames = [frame for frame in frames if not INSIDE_PYTHON.search(frame)] or frames
    where = frames[0] if frames else "an unknown place"
    if "Timeout (" in errors:  # by faulthandler
        return (f"a data set or model was not described within {patience_seconds:g} s (watchdog_seconds): "
                f"it was at {where}.")
    said = next((line for line in lines if CRASH.search(line)), lines[-1] if lines else "it wrote nothing")
    return (f"the process that loads data and builds models {how_ended(code)}: {plain(said)}"
            + (f", at {where}." if said.startswith("Fatal") else "."))
