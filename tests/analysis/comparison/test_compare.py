"""Comparing two result sets: what is refused, what regressed, what is missing, and how often it errs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.stored_study import TIMING, folder
from support.synthetic_records import Memory, SGD, Study

from batchscale.analysis.comparison.changes import Cell, Change, Side
from batchscale.analysis.comparison.compare import compare
from batchscale.analysis.comparison.judging import judge
from batchscale.analysis.comparison.sides import read_side
from batchscale.benchmarks.errors import BatchscaleError, PlanError, RecordError
from batchscale.launchers.cli import main

PAIRS, REPEATS = 100, 6


def cell(metric: str, values: Mapping[int, float]) -> Cell:
    return Cell(metric, {key: float(value) for key, value in values.items()})


def cells(noise: np.random.Generator, spread: float, slowdown: float = 1.0) -> dict[tuple[str, str], Cell]:
    """Six launches of nine batches, six seeds of two rules, and five sizes in memory, from one truth. The slowdown is
    of one batch alone."""
    found = {}
    for batch in (2 ** power for power in range(5, 14)):
        step = (TIMING.fixed_seconds + TIMING.seconds_per_example * batch) * (slowdown if batch == 512 else 1.0)
        seconds = step * np.exp(noise.normal(0, spread, REPEATS))
        found["examples_per_second", f"batch {batch}"] = dict(enumerate(batch / seconds))
    offsets = np.random.default_rng(7).normal(0, 0.003, REPEATS)
    for rule in ("constant", "linear"):
        found["test_accuracy", rule] = dict(enumerate(0.9 + offsets + noise.normal(0, 0.002, REPEATS)))
    memory = [5e7 + 20_000 * n + noise.normal(0, 1e5) for n in (256, 512, 1024, 2048, 4096)]
    found["peak_memory_bytes", "all"] = dict(enumerate(memory))
    return {key: cell(key[0], values) for key, values in found.items()}


def judged(seed: int, spread: float, tolerance: float, margin: float, slowdown: float = 1.0) -> tuple[Change, ...]:
    noise = np.random.default_rng(seed)
    base, new = cells(noise, spread), cells(noise, spread, slowdown)
    return judge({key: (base[key], new[key]) for key in base}, tolerance, margin)


def regressed(changes: tuple[Change, ...]) -> set[str]:
    return {change.label for change in changes if change.answer == "regression"}


@pytest.mark.parametrize(("tolerance", "margin"), [(0.05, 0.005), (0.0, 0.0)])
def test_false_alarms_stay_below_five_percent_with_and_without_a_least_effect(tolerance: float, margin: float) -> None:
    alarms = [bool(regressed(judged(seed, 0.03, tolerance, margin))) for seed in range(PAIRS)]
    assert sum(alarms) <= 0.05 * PAIRS


def test_a_true_slowdown_of_fifteen_percent_in_one_metric_of_twelve_is_found_and_named() -> None:
    # Launches that spread by 2 %, twice the synthetic truth's. Of 10 % against a tolerance of 5 %, 78 % are found.
    found = [regressed(judged(1000 + seed, 0.02, 0.05, 0.005, 1.15)) for seed in range(PAIRS)]
    assert sum("batch 512" in labels for labels in found) >= 0.9 * PAIRS


def test_both_the_interval_and_the_effect_must_speak() -> None:
    steady = {i: 0.100 + 1e-5 * i for i in range(6)}

    def answer(seconds: dict[int, float], metric: str = "step_seconds", tolerance: float = 0.05) -> str:
        pair = {(metric, "a"): (cell(metric, steady), cell(metric, seconds))}
        return judge(pair, tolerance, 0.005)[0].answer

    slower = {i: value * 1.04 for i, value in steady.items()}
    assert answer(slower) == "no change"
    assert answer(slower, tolerance=0.03) == "regression"
    assert answer({i: value / 1.2 for i, value in steady.items()}) == "improvement"
    assert answer({i: value * 1.2 for i, value in steady.items()}, "examples_per_second") == "improvement"
    wild = {i: value * (2.0 if i % 2 else 0.7) for i, value in steady.items()}
    assert answer(wild) == "not decided"


def test_accuracies_are_paired_by_seed_and_memory_by_batch() -> None:
    seeds = {seed: 0.8 + 0.02 * seed for seed in range(6)}
    worse = {seed: value - 0.010 - 1e-4 * seed for seed, value in seeds.items()}
    sizes = {n: 1e6 * n for n in (1, 10, 100, 1000)}
    grown = {n: 1.10 * value + n for n, value in sizes.items()}
    found = judge({("test_accuracy", "a"): (cell("test_accuracy", seeds), cell("test_accuracy", worse)),
                   ("peak_memory_bytes", "b"): (cell("peak_memory_bytes", sizes), cell("peak_memory_bytes", grown))},
                  0.05, 0.005)
    assert [change.answer for change in found] == ["regression", "regression"]
    assert found[0].estimate.value == pytest.approx(-0.01025)
    assert found[1].estimate.value == pytest.approx(0.10, rel=1e-4)


def test_what_repeats_exactly_needs_no_spread_and_one_repeat_decides_nothing() -> None:
    def answer(before: list[float], after: list[float]) -> str:
        pair = {("step_seconds", "a"): (Cell("step_seconds", dict(enumerate(before))),
                                        Cell("step_seconds", dict(enumerate(after))))}
        return judge(pair, 0.05, 0.005)[0].answer

    assert answer([1.0, 1.0], [1.0, 1.0]) == "no change"
    assert answer([1.0] * 3, [1.2] * 3) == "regression"
    assert answer([1.0, 1.0], [1.2, 1.2]) == "regression"
    assert answer([1.0], [1.2]) == "missing"


def test_what_is_merely_not_significant_is_not_decided_and_no_change_takes_a_narrow_interval() -> None:
    def answer(after: list[float]) -> str:
        pair = {("examples_per_second", "a"): (Cell("examples_per_second", dict(enumerate([100.0, 60.0, 140.0]))),
                                               Cell("examples_per_second", dict(enumerate(after))))}
        return judge(pair, 0.05, 0.005)[0].answer

    assert answer([98.0, 57.0, 142.0]) == "not decided"
    assert answer([100.0, 60.0, 140.0]) == "not decided"
    before, after = (Cell("examples_per_second", dict(enumerate(values)))
                     for values in ([100.0, 101.0, 99.0, 100.5], [99.0, 100.0, 101.0, 100.0]))
    assert judge({("examples_per_second", "a"): (before, after)}, 0.05, 0.005)[0].answer == "no change"


def test_other_seeds_on_each_side_are_compared_unpaired() -> None:
    one = {seed: 0.9 + 0.001 * seed for seed in range(6)}
    other = {seed + 6: 0.8 + 0.001 * seed for seed in range(6)}
    pair = {("test_accuracy", "a"): (cell("test_accuracy", one), cell("test_accuracy", other))}
    found, = judge(pair, 0.05, 0.005, frozenset({"seed"}))
    assert found.answer == "regression" and found.estimate.value == pytest.approx(-0.1)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("compare") / "base")


def slowed(record: dict[str, Any]) -> dict[str, Any]:
    for window in record["windows"]:
        window["seconds"] *= 1.1 if record["config"]["global_batch"] == 512 else 1.0
    return record


def test_equal_results_pass_and_a_slowdown_fails_with_a_table_for_a_pull_request(
        base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(base), str(base)]) == 0
    assert "passed: 0 regressions in" in capsys.readouterr().out
    new, page = folder(tmp_path / "new", slowed), tmp_path / "page.md"
    assert main(["compare", str(base), str(new), "--output", str(page)]) == 1
    out = capsys.readouterr().out
    assert page.read_text().strip() == out.strip()
    row, = (line for line in out.splitlines() if "**regression**" in line)
    assert "-9.1 %" in row and "examples\\_per\\_second" in row and "batch 512" in row
    assert main(["compare", str(base), str(new), "--tolerance", "0.2"]) == 0


def test_launches_that_were_not_measured_never_pass(base: Path, tmp_path: Path,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    def without(record: dict[str, Any]) -> dict[str, Any] | None:
        config = record["config"]
        return None if config["kind"] == "throughput" and config["launch"] == 5 else record

    new = folder(tmp_path / "new", without)
    assert main(["compare", str(base), str(new)]) == 1
    out = capsys.readouterr().out
    assert "**missing**" in out and "1 repeat without a value in the new results" in out
    assert main(["compare", str(base), str(new), "--allow", "launch"]) == 0
    assert main(["compare", str(new), str(base)]) == 0  # more launches than before are no loss


def test_a_run_without_its_record_and_a_configuration_that_is_gone_are_named(
        base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = folder(tmp_path / "new")
    for path in new.glob("sgd-*b4096-linear-*/record.json"):
        path.unlink()
    assert main(["compare", str(base), str(new)]) == 1
    assert "batch 4096, linear" in capsys.readouterr().out
    fewer = folder(tmp_path / "fewer", lambda record: None if record["config"]["kind"] == "memory" else record)
    assert main(["compare", str(base), str(fewer)]) == 1
    assert "not among the new results" in capsys.readouterr().out
    assert main(["compare", str(fewer), str(base)]) == 0
    assert "Only in the new results, so not compared: peak" in capsys.readouterr().out


def test_divergence_is_a_result_when_both_diverge_and_a_loss_when_the_new_one_does() -> None:
    gone = Cell("test_accuracy", {}, ended={0: "diverged", 1: "diverged"})
    fine = Cell("test_accuracy", {0: 0.9, 1: 0.91})
    answers = [judge({("test_accuracy", "a"): pair}, 0.05, 0.005)[0].answer
               for pair in ((gone, gone), (fine, gone), (gone, fine))]
    assert answers == ["no change", "missing", "improvement"]
    nothing = Cell("test_accuracy", {}, ended={0: "failed"})
    assert judge({("test_accuracy", "a"): (nothing, nothing)}, 0.05, 0.005)[0].answer == "missing"


def test_unlike_hardware_versions_and_configurations_are_refused_by_name(
        base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def elsewhere(record: dict[str, Any]) -> dict[str, Any]:
        record["environment"] |= {"processor": "Another", "tensorflow": "2.21.0"}
        return record

    new = folder(tmp_path / "new", elsewhere)
    assert main(["compare", str(base), str(new)]) == 2
    error = capsys.readouterr().err
    assert "processor is none in" in error and "but Another in" in error and "tensorflow is not recorded" in error
    assert main(["compare", str(base), str(new), "--allow", "processor", "--allow", "tensorflow"]) == 0
    assert "Allowed to differ: processor is none in the base, Another in the new" in capsys.readouterr().out
    longer = folder(tmp_path / "longer", study=Study(experiments=(SGD,), timing=TIMING, memory=Memory(), epochs=3))
    with pytest.raises(PlanError, match="epochs is 2 in .*base but 3 in .*longer"):
        compare(read_side(base), read_side(longer))
    with pytest.raises(PlanError, match="--allow='processors' is not known.*Did you mean 'processor'"):
        compare(read_side(base), read_side(base), allow=["processors"])
    with pytest.raises(PlanError, match="--tolerance 5.0 must be"):
        compare(read_side(base), read_side(base), tolerance=5.0)


def benchmark_file(path: Path, factor: float = 1.0, data: bool = True, **machine: Any) -> Path:
    """What pytest-benchmark 5 writes, shortened."""
    rounds = [factor * value for value in (1.00e-3, 1.02e-3, 0.99e-3, 1.01e-3, 1.00e-3, 0.98e-3)]
    stats = {"min": min(rounds), "max": max(rounds), "mean": float(np.mean(rounds)), "rounds": len(rounds),
             "stddev": float(np.std(rounds, ddof=1)), "iterations": 1} | ({"data": rounds} if data else {})
    options = {"disable_gc": False, "timer": "perf_counter", "min_rounds": 5, "warmup": False}
    content = {"machine_info": {"node": "a", "machine": "x86_64", "python_version": "3.11.7",
                                "cpu": {"count": 2, "brand_raw": "One"} | machine},
               "commit_info": {"id": "abc", "dirty": False}, "datetime": "2030-01-01", "version": "5.3.1",
               "benchmarks": [{"group": None, "name": "test_a", "fullname": "test_x.py::test_a", "params": None,
                               "param": None, "extra_info": {}, "options": options, "stats": stats}]}
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("data", [True, False])
def test_files_of_pytest_benchmark_are_compared_with_and_without_their_rounds(
        tmp_path: Path, data: bool, capsys: pytest.CaptureFixture[str]) -> None:
    one = benchmark_file(tmp_path / "one.json", data=data)
    slow = benchmark_file(tmp_path / "slow.json", 1.1, data=data)
    assert main(["compare", str(one), str(one)]) == 0
    capsys.readouterr()
    assert main(["compare", str(one), str(slow)]) == 1
    assert "+10.0 %" in capsys.readouterr().out
    assert main(["compare", str(slow), str(one)]) == 0
    other = benchmark_file(tmp_path / "other.json", data=data, brand_raw="Two")
    assert main(["compare", str(one), str(other)]) == 2
    assert "processor is One in" in capsys.readouterr().err


def test_a_folder_and_a_file_cannot_be_compared(base: Path, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="compare two of a kind"):
        compare(read_side(base), read_side(benchmark_file(tmp_path / "one.json")))


HOSTILE = {
    "no json": "{", "a list": "[]", "empty": "", "no benchmarks": '{"benchmarks": []}', "null": "null",
    "no stats": '{"benchmarks": [{"name": "a"}]}', "deep": "[" * 5000 + "]" * 5000,
    "text for a time": '{"benchmarks": [{"name": "a", "stats": {"rounds": 2, "mean": "1", "stddev": 0}}]}',
    "a negative time": '{"benchmarks": [{"name": "a", "stats": {"rounds": 2, "mean": 1, "data": [1, -1]}}]}',
    "beyond belief": '{"benchmarks": [{"name": "a", "stats": {"rounds": 2, "mean": 1e300, "stddev": 1e300}}]}',
    "not a number": '{"benchmarks": [{"name": "a", "stats": {"rounds": 2, "mean": NaN}}]}',
    "no count": '{"benchmarks": [{"name": "a", "stats": {"rounds": true, "mean": 1}}]}',
    "no name": '{"benchmarks": [{"name": 3, "stats": {"rounds": 2, "mean": 1}}]}',
    "twice": '{"benchmarks": [%s, %s]}' % ((json.dumps({"name": "a", "stats": {"rounds": 2, "mean": 1}}),) * 2)}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_gives_one_clear_error(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.json"
    path.write_text(HOSTILE[name])
    assert main(["compare", str(path), str(path)]) == 2
    error = capsys.readouterr().err
    assert str(path) in error and "give a file that pytest wrote with --benchmark-json" in error
    assert error.count("\n") == 1


def test_a_spread_beyond_the_mean_is_compared_without_overflow(tmp_path: Path) -> None:
    path = tmp_path / "wild.json"
    stats = {"rounds": 2, "mean": 1e-9, "stddev": 1e8}
    path.write_text(json.dumps({"benchmarks": [{"name": "a", "stats": stats}]}))
    change, = compare(read_side(path), read_side(path)).changes
    assert change.answer == "not decided" and change.estimate.high == math.inf


def test_names_stay_text_and_folders_without_a_number_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BatchscaleError):
        read_side(tmp_path / "absent")
    empty = folder(tmp_path / "empty", lambda record: None)
    with pytest.raises(RecordError, match="holds no throughput"):
        read_side(empty)


def test_a_name_cannot_break_the_table(tmp_path: Path) -> None:
    from batchscale.analysis.comparison.markdown import markdown
    cell = Cell("seconds", {0: 1.0, 1: 1.1})
    side = Side("a|b\n# c", "pytest-benchmark's times", {("seconds", "x | y\n<script>"): cell}, 0.005)
    text = markdown(compare(side, side))
    row, = (line for line in text.splitlines() if "script" in line)
    assert "\\<script\\>" in row and row.replace("\\|", "").count("|") == 10
    assert not math.isnan(compare(side, side).changes[0].p_value)
