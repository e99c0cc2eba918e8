"""Where a study stands: the public workloads whose critical batch is like its own, and the curves that scale worse."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.foreign_files import bring, mllog_text, saved
from support.synthetic_records import Study as Made, Timing, records, results, write_store

from batchscale.analysis.comparison.public import standings, text
from batchscale.analysis.laws.public.points import Efficiencies, PublicPoints, shipped, Source, Workload
from batchscale.analysis.study.study import Study
from batchscale.analysis.tables.results import Results
from batchscale.launchers.cli import main


def timed(seconds: dict[int, float], devices: str | None = None) -> Results:
    timing = Timing(replicas=tuple(seconds), replica_batches=(128,), global_batches=(), strategies=("mirrored",))
    made = results(Made(experiments=(), timing=timing, memory=None))
    runs = made.runs[made.runs["experiment"] != "drift_guard"].copy()
    noise = np.exp(np.random.default_rng(3).normal(0, 0.01, len(runs)))
    runs["step_seconds"] = runs["replicas"].map(seconds) * noise
    runs["examples_per_second"] = runs["global_batch"] / runs["step_seconds"]
    return replace(made, runs=runs, environments=made.environments.assign(devices=devices))


POINTS = PublicPoints(
    sources={"x": Source(name="x", licence="none")}, curves_source="public curves",
    workloads=(Workload(name="small", what="Small", unit="examples", critical_batch=100.0, low=80.0, high=120.0,
                        source="x"),
               Workload(name="large", what="Large", unit="sequences", critical_batch=1e6, low=9e5, high=1.1e6,
                        source="x", beyond=True)),
    efficiencies=(Efficiencies(replicas=8, curves=100, values=(0.0, 0.5, 1.0)),))


def curve(folder: Path, critical: float) -> Results:
    """Logs of three runs at each of six batches, whose epochs follow the law but for a hundredth."""
    for index, batch in enumerate((16, 64, 128, 256, 512, 1024)):
        for run in range(3):
            epochs = round(10 * (1 + batch / critical) * (1 + 0.01 * (index % 2)), 3)
            saved(folder / "logs" / str(batch), mllog_text(batch, [epochs], seed=run), f"result_{run}.txt")
    return bring(folder / "logs", "mllog")


def test_a_critical_batch_is_like_those_whose_intervals_it_shares(tmp_path: Path) -> None:
    one, = standings(Study(curve(tmp_path, 100.0)), POINTS)
    assert one.alike == ("small",) and "is like that of Small: 100 examples (80.0 to 120)." in one.statement
    assert one.value.value == pytest.approx(100, rel=0.1)


def test_one_between_public_ones_lies_between_them_and_says_which_is_a_bound(tmp_path: Path) -> None:
    one, = standings(Study(curve(tmp_path, 500.0)), POINTS)
    assert one.alike == ()
    assert "lies between that of Small: 100 examples (80.0 to 120) and that of Large: 1,000,000" in one.statement
    assert "a bound, beyond the batches trained" in one.statement
    low, = standings(Study(curve(tmp_path / "low", 20.0)), POINTS)
    assert "smaller than that of any of 2 public workloads" in low.statement


@pytest.mark.parametrize("devices", [None, "8 x NVIDIA H100"])
def test_an_efficiency_is_better_than_a_share_of_curves(devices: str | None) -> None:
    one, = standings(Study(timed({1: 0.100, 8: 0.125}, devices)), POINTS)
    assert one.value.value == pytest.approx(0.8, rel=0.03) and one.share_below is not None and one.curves == 100
    assert one.share_below.value == pytest.approx(one.value.value) and one.share_below.has_interval
    assert "on 8 replicas is better than that of" in one.statement and "of 100 public curves." in one.statement


def test_cpus_and_other_counts_have_nothing_beside_them() -> None:
    study = Study(timed({1: 0.1, 8: 0.2}, "CPU:0, CPU:1"))
    assert standings(study, POINTS) == () and text((), study).endswith("these runs were on CPUs.")
    assert standings(Study(timed({1: 0.1, 16: 0.2})), POINTS) == ()
    assert standings(Study(timed({2: 0.1, 8: 0.2})), POINTS) == (), "no curve is against two"


def test_the_command_says_it_and_writes_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    timing = Timing(replicas=(1, 2, 4, 8), replica_batches=(128,), global_batches=(), strategies=("mirrored",))
    write_store(tmp_path / "study", records(Made(experiments=(), timing=timing, memory=None)))
    assert main(["where", str(tmp_path / "study"), "--output", str(tmp_path / "found.json")]) == 0
    said, written = capsys.readouterr().out, json.loads((tmp_path / "found.json").read_text())
    assert len(written) == said.count("replicas is better than that of") or "on CPUs" in said
    assert all(math.isfinite(one["value"]["value"]) for one in written)
    assert shipped().efficiency(8) is not None and shipped().efficiency(3) is None
