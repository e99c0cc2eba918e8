"""The description of a plan's workloads that commands look for, so that they start no TensorFlow to make it."""

from __future__ import annotations

import json
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from batchscale.benchmarks import data
from batchscale.benchmarks.data import fingerprint
from batchscale.benchmarks.planning.plan import read
from batchscale.benchmarks.records.environment import numbers_versions
from batchscale.benchmarks.records.store import Store
from batchscale.benchmarks.runs.run_config import RunConfig
from batchscale.launchers.local import study
from batchscale.launchers.local.describe import Describer

MODELS = ("mlp_128", "cnn_small")


def invent(plan: Path, results: Path) -> None:
    """Write the sizes alone, for commands that start no run; of what is the suite's own, as if it were described."""
    write(results, {run.workload_key: {"train_examples": run.train_examples,
                                       "fingerprint": {"versions": numbers_versions()},
                                       "files": fingerprint.witness(run.dataset)}
                    for run in study.expansion_here(read(str(plan)), data.train_examples).runs})


def describe(results: Path) -> None:
    """Write what the suite says of the small models on the digits; it is asked once a session."""
    write(results, described())


def write(results: Path, workloads: dict[str, Any]) -> None:
    results.mkdir(parents=True, exist_ok=True)
    (results / "workloads.json").write_text(json.dumps(workloads))


@lru_cache
def described() -> dict[str, Any]:
    size = data.train_examples("digits", 0.2)
    configs = [RunConfig(experiment="known", kind="accuracy", dataset="digits", model=model, optimizer="sgd",
                         global_batch=32, train_examples=size, seed=0, epochs=1) for model in MODELS]
    with tempfile.TemporaryDirectory() as folder, Describer() as asked:
        return asked.describe(configs, Store(Path(folder)))
