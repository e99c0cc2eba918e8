"""The micro-benchmarks: seconds come back as they were measured, and comparisons are the formulas."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.launching import environment
from support.synthetic_records import record_for, write_store

from batchscale.benchmarks.errors import EnvironmentUnusable
from batchscale.benchmarks.micro import child, collective_law
from batchscale.benchmarks.micro.against_fit import accuracy, loop, on_gpus, study
from batchscale.benchmarks.micro.cases import CASES, Case
from batchscale.benchmarks.micro.comparison import Comparison, geometric_mean
from batchscale.benchmarks.micro.programs import fit_study
from batchscale.benchmarks.micro.replay import ReplayClock
from batchscale.benchmarks.runs.run_config import RunConfig


class FakeBenchmark:
    """Times each round by the clock it is given, as pytest-benchmark does."""

    def __init__(self, clock: ReplayClock) -> None:
        self.extra_info: dict[str, Any] = {}
        self.rounds: list[float] = []
        self._clock = clock

    def pedantic(self, target: Any, rounds: int, iterations: int, warmup_rounds: int) -> None:
        for _ in range(rounds):
            began = self._clock.now()
            target()
            self.rounds.append(self._clock.now() - began)


def test_the_saved_rounds_are_the_measured_seconds() -> None:
    clock = ReplayClock()
    benchmark = FakeBenchmark(clock)
    clock.replay(benchmark, [0.25, 0.5, 0.125], cores=[0], seconds={"value": 0.25})
    assert benchmark.rounds == [0.25, 0.5, 0.125]
    assert benchmark.extra_info == {"cores": [0], "seconds": {"value": 0.25}}


def rows(**seconds: list[float]) -> list[dict[str, Any]]:
    return [{"model": "mlp_128", "optimizer": "sgd", "global_batch": 32, "way": way, "examples": 600,
             "seconds_per_epoch": values} for way, values in seconds.items()]


def test_a_way_that_takes_a_third_of_the_time_is_three_times_as_fast_whatever_load_both_met() -> None:
    compared, = Comparison.of_rows(rows(suite=[1.0, 2.0, 4.0], fit=[3.0, 6.0, 12.0]))
    assert compared.ratio("fit").value == pytest.approx(3.0)
    assert compared.ratio("suite", "fit").value == pytest.approx(1 / 3)
    assert compared.rate("suite") == 300.0


def test_the_geometric_mean_of_two_and_eight_is_four() -> None:
    twice, eightfold = (Comparison.of_rows(rows(suite=[1.0, 1.0], fit=[a, b]))[0].ratio("fit")
                        for a, b in ((2.0, 2.0), (7.0, 64 / 7)))
    mean = geometric_mean([eightfold, eightfold])
    assert mean.value == pytest.approx(8.0) and mean.low < 8.0 < mean.high
    assert geometric_mean([twice, eightfold]).value == pytest.approx(4.0)
    assert math.isnan(geometric_mean([twice, eightfold]).low)  # equal ratios say nothing of their spread


def test_eleven_models_and_batches_are_compared_and_a_whole_set_is_one_step() -> None:
    assert len(set(CASES)) == len(CASES) == 11
    assert str(Case("mlp_128", "sgd", 0)) == "mlp_128-sgd-all"
    asked = loop.request([0, 1], ["suite"], 3)
    assert asked["inter_op"] == 2 and len(asked["cases"]) == 11


def test_alpha_and_beta_of_exact_times_come_back_and_predict_the_sizes_held_out() -> None:
    sizes = (*collective_law.TRAINING_BYTES, *collective_law.HELD_OUT_BYTES)
    times = {size: [2e-6 + size / 4e9] * 3 for size in sizes}
    regimes = collective_law.fit(times)
    assert [regime.high for regime in regimes] == [8 * 1024, 512 * 1024, 64 * 1024**2]
    for regime in regimes:
        assert regime.alpha_seconds.value == pytest.approx(2e-6, rel=1e-6)
        assert regime.beta_seconds_per_byte.value == pytest.approx(1 / 4e9, rel=1e-6)
    errors = collective_law.held_out_errors(regimes, times)
    assert set(errors) == set(collective_law.HELD_OUT_BYTES) and max(errors.values()) < 1e-6


def test_bus_bandwidth_of_an_all_reduce_on_two_ranks_is_its_algorithm_bandwidth() -> None:
    row = collective_law.row("all_reduce", 2, 4_000_000, [0.001, 0.002, 0.004])
    assert row["algbw_bytes_per_second"]["value"] == pytest.approx(2e9)
    assert row["busbw_bytes_per_second"]["value"] == pytest.approx(2e9)  # 2 (p - 1) / p = 1
    scattered = collective_law.row("all_gather", 2, 4_000_000, [0.001, 0.001, 0.1])["busbw_bytes_per_second"]
    assert 0 < scattered["low"] < scattered["value"] < scattered["high"]


def test_runs_that_go_on_from_another_are_trained_right_after_it(config: Callable[..., RunConfig]) -> None:
    small, other = config(global_batch=32), config(global_batch=32, seed=1)
    large, after = config(), config(earlier_batches=(32,), rule="as_published")
    assert fit_study.chains([after, small, large, other]) == [(small, [after]), (large, []), (other, [])]
    with pytest.raises(KeyError):
        fit_study.chains([after])


def test_seconds_of_some_seeds_count_for_all(config: Callable[..., RunConfig]) -> None:
    configs = [config(seed=seed) for seed in range(6)]
    rows = [{"run_id": one.run_id, "seconds": 3.0 - one.seed, "evaluation_batch": (32, 2048)[one.seed],
             "test_accuracy": 0.9} for one in configs[:2]]
    side = study.Side("mlp_128", configs, 4.0, {"rows": rows})
    assert side.fit_seconds(32) == 18.0 and side.fit_seconds(2048) == 12.0
    assert "18 s,  4.50 times" in study.times([side]) and "12 s,  3.00 times" in study.times([side])


def test_accuracies_are_the_same_only_where_both_bounds_are_shown(config: Callable[..., RunConfig]) -> None:
    configs = [config(seed=seed) for seed in range(6)]
    suite = {one.run_id: 0.9 + 0.001 * one.seed for one in configs}
    wide, = accuracy.arms(configs, suite, {one.run_id: 0.905 - 0.002 * one.seed for one in configs[::-1]})
    assert wide["learned"] and wide["adjusted_p_value"] > 0.05 and "not shown" in accuracy.table([wide])
    assert wide["suite"] == sorted(wide["suite"]) and wide["fit"] == sorted(wide["fit"], reverse=True), "by seed"
    same, = accuracy.arms(configs, suite, {one.run_id: 0.9001 + 0.001 * one.seed for one in configs})
    assert same["adjusted_p_value"] < 0.05 and "6 seeds" in accuracy.table([same])
    apart, = accuracy.arms(configs, suite, {one.run_id: 0.95 + 0.001 * one.seed for one in configs})
    assert apart["adjusted_p_value"] > 0.95 and "not shown" in accuracy.table([apart])


def test_the_same_run_of_two_experiments_counts_once_and_keeps_its_beginning(
        config: Callable[..., RunConfig], tmp_path: Path) -> None:
    noisy, again = config(global_batch=32, noise_batches=(8, 32)), config(experiment="again", global_batch=32)
    after = config(earlier_batches=(32,), rule="as_published")
    write_store(tmp_path / "plan", [record_for(one) for one in (again, noisy, after)])
    configs, found = accuracy.accuracy_runs([tmp_path])
    assert len(configs) == 2 and set(found) == {one.run_id for one in configs}
    (beginning, (continued,)), = fit_study.chains(configs)
    assert (beginning.global_batch, continued.batches) == (32, (32, 128))


def test_fit_trains_what_it_has_not_and_a_seed_as_a_whole(config: Callable[..., RunConfig]) -> None:
    configs = [config(seed=seed, global_batch=batch) for seed in range(40) for batch in (32, 64)]
    assert accuracy.missing(configs, {one.run_id: 0.9 for one in configs}) == []
    done = {one.run_id: 0.9 for one in configs[:-1]}
    assert accuracy.missing(configs, done) == configs[-2:], "a run may go on from another of its seed"
    made = list(accuracy.blocks(configs))
    assert [one for block in made for one in block] == configs and max(map(len, made)) <= accuracy.MOST_RUNS
    assert sum(len({one.seed for one in block}) for block in made) == 40, "no seed is in two blocks"


def test_figures_taken_beside_other_programs_say_so() -> None:
    assert child.disturbance({"others_busy_cores": 0.05}) == ""
    assert "1.5 cores busy" in child.disturbance({"others_busy_cores": 1.5})
    assert child.disturbance({"others_busy_cores": 1.05}, ranks=2) == ""


def test_a_program_that_fails_is_told_with_its_last_lines() -> None:
    with pytest.raises(EnvironmentUnusable, match="no_such_program"):
        child.ask("no_such_program", {})


@pytest.mark.launched
def test_training_is_measured_in_a_process_of_its_own() -> None:
    asked = loop.request(child.cores()[:1], ["suite", "bare"], 2, [Case("mlp_128", "sgd", 64)])
    answer = child.ask("training_step", {**asked, "examples": 640, "window_seconds": 0.01})
    compared, = Comparison.of_rows(answer["rows"])
    assert compared.examples == 640
    assert all(value > 0 for seconds in compared.seconds.values() for value in seconds)
    assert answer["environment"]["packages"]["keras"]


def test_the_micro_benchmarks_are_found_by_the_links_that_make_bench_takes(tmp_path: Path) -> None:
    package, root = tmp_path / "batchscale", Path(__file__).resolve().parents[2]
    package.mkdir()
    for name in ("benchmarks", "launchers", "analysis", "slurm"):
        (package / name).symlink_to(root / name)
    (package / "__init__.py").symlink_to(root / "launchers" / "python" / "top" / "__init__.py")
    done = subprocess.run([sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider",
                           str(package / "benchmarks" / "micro")], capture_output=True, text=True, timeout=120,
                          cwd=root, env={**os.environ, "PYTEST_ADDOPTS": ""})  # which may hold options of this suite's
    assert done.returncode == 0 and "test_training_step" in done.stdout, done.stdout + done.stderr


def test_all_gpus_are_measured_and_the_counts_below_that_double() -> None:
    assert [on_gpus.counts(gpus) for gpus in (0, 1, 2, 3, 8, 12)] == [
        [1], [1], [1, 2], [1, 2, 3], [1, 2, 4, 8], [1, 2, 4, 8, 12]]


def test_efficiency_over_gpus_is_against_the_same_exchange_and_of_unknown_cards_no_utilisation_is_told() -> None:
    def row(replicas: int, exchange: str, seconds: float) -> dict[str, Any]:
        return {"replicas": replicas, "exchange": exchange, "examples": 100 * replicas, "seconds_per_epoch": [seconds]}
    rows = [row(1, "one", 1.0), row(1, "groups", 1.0), row(8, "one", 2.0), row(8, "groups", 1.25)]
    lines = on_gpus.told("scaling", {"rows": rows, "gpus": ["NVIDIA H100 80GB HBM3"], "flops_per_example": 8e9})
    told = {line.rsplit(maxsplit=3)[0]: line.split()[-3:] for line in lines.splitlines()[1:]}
    assert told["8, one"][:2] == ["400.0", "50.0%"] and told["8, groups"][:2] == ["640.0", "80.0%"]
    assert told["1, one"][2] == f"{3 * 8e9 * 100 / 494.7e12:.1%}"
    assert "unknown" in on_gpus.told("scaling", {"rows": rows, "gpus": ["Pretended H100"], "flops_per_example": 8e9})


@pytest.mark.slow
@pytest.mark.launched
def test_what_is_measured_beside_gpus_goes_through_on_a_processor(tmp_path: Path) -> None:
    """Small images and two steps; what doctor wrote before stays."""
    (tmp_path / on_gpus.FILE).write_text('{"driver_shows": ["one"]}')
    done = subprocess.run([sys.executable, "-m", "batchscale.benchmarks.micro.against_fit.on_gpus", "--tiny",
                           "--replicas", "1,2"], cwd=tmp_path, env=environment(CUDA_VISIBLE_DEVICES=""),
                          capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / on_gpus.FILE).read_text())
    training = found["training"]
    assert found["driver_shows"] == ["one"] and training["tiny"]
    for part in ("eleven_cases", "resnet_50"):
        assert [row["way"] for row in training[part]["rows"]] == ["suite", "fit", "bare"]
        assert all(seconds > 0 for row in training[part]["rows"] for seconds in row["seconds_per_epoch"])
    scaling = training["scaling"]
    assert [(row["replicas"], row["exchange"]) for row in scaling["rows"]] == [
        (1, "one"), (1, "groups"), (2, "one"), (2, "groups")]
    assert scaling["flops_per_example"] > 1e6 and len(scaling["rows"][-1]["group_bytes"]) >= 4
    assert "unknown" in done.stdout, "no utilisation of a processor is made up"
