"""Which runs a rank looks at before it starts: of hundreds of ranks only the first reads all of a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from batchscale.benchmarks.errors import PlanError
from batchscale.benchmarks.rank.continuation import beginnings
from batchscale.benchmarks.rank.worker import pending_runs
from batchscale.benchmarks.records import json_files, run_folder
from batchscale.benchmarks.records.store import Store
from batchscale.benchmarks.runs.run_config import RunConfig

COMMON: dict[str, Any] = {"experiment": "x", "kind": "accuracy", "dataset": "digits", "model": "mlp_128",
                          "optimizer": "sgd", "train_examples": 1000}


def stored(folder: Path, replicas: int) -> Store:
    place: dict[str, Any] = {"strategy": "horovod", "transport": "gloo", "replicas": replicas} if replicas > 1 else {}
    configs = [RunConfig(**COMMON, **place, seed=seed, global_batch=32) for seed in range(20)]
    store = Store(folder)
    store.prepare(configs, {"name": "x", "settings": {}, "skipped": [], "text": ""})
    return store


@pytest.mark.parametrize(("replicas", "rank", "read"), [(4, 0, 20), (4, 3, 1), (1, 3, 20)])
def test_the_first_rank_reads_all_and_the_others_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replicas: int,
                                                     rank: int, read: int) -> None:
    """A process that does its run alone reads all, whatever number a launcher of other processes gave it."""
    store, files = stored(tmp_path, replicas), list[Path]()

    def noted(path: Path) -> Any:
        files.append(path)
        return json_files.read_json(path)
    monkeypatch.setattr(run_folder, "read_json", noted)
    shape = store.runs()[0].config.shape
    files.clear()
    every = store.runs()
    found = pending_runs(every, store.folder, shape, "", rank)
    assert beginnings(found[0], every) == [] and len(files) == read
    assert [run.run_id for run in found] == [run.run_id for run in store.runs()][:read]


def test_a_shape_that_no_run_has_is_an_error_on_every_rank(tmp_path: Path) -> None:
    store = stored(tmp_path, 4)
    for rank in (0, 3):
        with pytest.raises(PlanError, match="has shape 'other'; shapes: horovod-gloo-4r-1n-1c"):
            pending_runs(store.runs(), store.folder, "other", "", rank)
