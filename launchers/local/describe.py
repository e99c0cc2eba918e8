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
from ...benchmarks.records import identity
from ...benchmarks.records.store import Store
from ...benchmarks.runs.run_config import RunConfig, to_json

INSIDE_PYTHON = re.compile(r'"<frozen |/lib/python3')  # frames that say nothing of the user's code


def describe(configs: Sequence[RunConfig], store: Store, patience_seconds: float = WATCHDOG_SECONDS,
             source: str = "") -> dict[str, Any]:
    """Return the workloads by key, each data set and model built and a step tried once in a child process.

    Done anew for whatever has something of a user's own; the rest is known as long as files and versions are the same.
    The child is given up after `patience_seconds`, with its stack in the message; 0: never. `source`: the plan's file,
    beside which users' modules are looked for. Raises PlanError.
    """
    known = identity.known(store)
    wanted = {c.workload_key: c for c in configs}
    missing = {key: c for key, c in wanted.items() if not identity.is_current(known.get(key, {}), c)}
    if not missing:
        return dict(known)
    parts = {c.dataset: known.get(key, {}).get("fingerprint") for key, c in missing.items()}
    asked = {"configs": [to_json(c) for c in missing.values()], "plan": source,
             "known": {name: found["data"] for name, found in parts.items() if found and "data" in found}}
    words = [sys.executable, "-m", "batchscale.benchmarks.rank.workload.describe", str(patience_seconds)]
    child = subprocess.run(words, input=json.dumps(asked), capture_output=True, text=True)
    if child.returncode:
        raise PlanError(said(child.stdout) or why_not(child.stderr, child.returncode, patience_seconds))
    return {**known, **json.loads(child.stdout)["workloads"]}


def said(answer: str) -> str:
    """Return the message with which the child gave up; "" where it could not give one."""
    try:
        return str(json.loads(answer)["error"])
    except (ValueError, KeyError, TypeError):
        return ""


def why_not(errors: str, code: int, patience_seconds: float) -> str:
    """Return why the child gave no description, from what it wrote to stderr."""
    lines = errors.strip().splitlines()
    if "Timeout (" in errors:  # by faulthandler
        frames = [line.strip() for line in lines if line.startswith("  File ")]
        frames = [frame for frame in frames if not INSIDE_PYTHON.search(frame)] or frames
        return (f"a data set or model was not described within {patience_seconds:g} s (watchdog_seconds): "
                f"it was at {frames[0] if frames else 'an unknown place'}.")
    return lines[-1] if lines else f"describing the workloads failed with code {code}."
