"""Shapes, sizes, parameters and FLOPs of the runs' workloads, by a child process: only ranks import TensorFlow."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from ...benchmarks.errors import PlanError
from ...benchmarks.planning.keys import WATCHDOG_SECONDS
from ...benchmarks.records.json_files import read_json
from ...benchmarks.records.store import Store
from ...benchmarks.runs.run_config import RunConfig, to_json

INSIDE_PYTHON = re.compile(r'"<frozen |/lib/python3')  # frames that say nothing of the user's code


def describe(configs: Sequence[RunConfig], store: Store, patience_seconds: float = WATCHDOG_SECONDS) -> dict[str, Any]:
    """Return the workloads by key, each data set and model built once in a child process unless the store has it.

    The child is given up after `patience_seconds`, with its stack in the message; 0: never. Raises PlanError.
    """
    known = read_json(store.folder / "workloads.json") or {}
    wanted = {c.workload_key: c for c in configs}
    missing = [to_json(c) for key, c in wanted.items() if known.get(key, {}).get("train_examples") != c.train_examples]
    if not missing:
        return dict(known)
    words = [sys.executable, "-m", "batchscale.benchmarks.rank.workload.describe", str(patience_seconds)]
    child = subprocess.run(words, input=json.dumps(missing), capture_output=True, text=True)
    if child.returncode:
        raise PlanError(_why_not(child.stderr, child.returncode, patience_seconds))
    return {**known, **json.loads(child.stdout)}


def _why_not(errors: str, code: int, patience_seconds: float) -> str:
    """Return why the child gave no description, from what it wrote to stderr."""
    lines = errors.strip().splitlines()
    if "Timeout (" in errors:  # by faulthandler
        frames = [line.strip() for line in lines if line.startswith("  File ")]
        frames = [frame for frame in frames if not INSIDE_PYTHON.search(frame)] or frames
        return (f"a data set or model was not described within {patience_seconds:g} s (watchdog_seconds): "
                f"it was at {frames[0] if frames else 'an unknown place'}.")
    return lines[-1] if lines else f"describing the workloads failed with code {code}."
