"""Changes that no configuration shows alone, the tolerance as what is tested against, and what cannot be decided."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from simulation.comparison import Case, drawn, FALSE, simulate
from support.stored_study import folder, STUDY

from batchscale.analysis.comparison.changes import Cell, Side
from batchscale.analysis.comparison.compare import compare
from batchscale.analysis.comparison.judging import judge
from batchscale.analysis.comparison.markdown import markdown
from batchscale.launchers.cli import main

METRIC = "step_seconds"


def side(name: str, values: dict[str, list[float]], metric: str = METRIC) -> Side:
    return Side(name, "made up", {(metric, label): Cell(metric, dict(enumerate(own)))
                                  for label, own in values.items()}, 0.005)


def test_a_slowdown_of_all_that_none_shows_alone_is_a_regression_of_all_together() -> None:
    found = drawn(Case(noise=0.05, factor=1.1), np.random.default_rng(2))
    together, = found.together
    assert together.answer == "regression" and found.exit_code() == 1
    assert together.estimate.value == pytest.approx(0.10, abs=0.02) and "all 64" in together.label
    assert len(found.of("regression")) < 10
    text = markdown(found)
    assert "failed" in text and "geometric\\_mean\\_of\\_times" in text


def test_throughput_and_time_are_one_geometric_mean() -> None:
    """Half the configurations tell throughput, half the step; all take 20 % longer."""
    noise = np.random.default_rng(3)
    cells: list[dict[tuple[str, str], Cell]] = [{}, {}]
    for which, factor in enumerate((1.0, 1.2)):
        for index in range(6):
            times = factor * np.exp(noise.normal(0, 0.02, 3))
            metric = "examples_per_second" if index % 2 else METRIC
            cells[which][metric, str(index)] = Cell(metric, dict(enumerate(1 / times if index % 2 else times)))
    base, new = (Side(str(index), "made up", own, 0.005) for index, own in enumerate(cells))
    together, = compare(base, new).together
    assert together.answer == "regression" and together.estimate.value == pytest.approx(0.2, abs=0.03)


def test_what_all_configurations_of_a_launch_share_stays_in_the_error_of_the_mean() -> None:
    """Each launch is 4 % faster or slower as a whole: 64 configurations know no more of it than one."""
    found = drawn(Case(factor=1.0, shared=0.04), np.random.default_rng(4))
    together, = found.together
    assert together.estimate.high - together.estimate.low > 0.05 and together.answer == "not decided"


def test_a_change_is_tested_against_the_tolerance_and_not_against_none_at_all() -> None:
    noise = 1 + 0.02 * np.array([-1.0, 0.6, 0.2, -0.4, 1.0, -0.4])
    base, new = (Cell(METRIC, dict(enumerate(factor * noise))) for factor in (1.0, 1.06))
    change, = judge({(METRIC, "a"): (base, new)}, 0.05, 0.005)
    assert change.estimate.low > 0, "it is slower"
    assert change.estimate.low < 0.05 and change.answer == "not decided", "by more than the tolerance is not shown"
    slower = Cell(METRIC, dict(enumerate(1.12 * noise)))
    change, = judge({(METRIC, "a"): (base, slower)}, 0.05, 0.005)
    assert change.answer == "regression" and change.estimate.low > 0.05 and change.p_value < 0.025


def test_single_cells_of_one_configuration_have_no_row_together() -> None:
    assert compare(side("a", {"x": [1.0, 1.1]}), side("b", {"x": [1.0, 1.1]})).together == ()


def test_cells_whose_repeats_differ_are_put_together_as_independent() -> None:
    noise = np.random.default_rng(5)
    base, new = (side(name, {"x": list(factor * np.exp(noise.normal(0, 0.02, 5))),
                             "y": list(factor * np.exp(noise.normal(0, 0.02, 8)))})
                 for name, factor in (("a", 1.0), ("b", 1.3)))
    together, = compare(base, new).together
    assert together.answer == "regression" and math.isfinite(together.estimate.low)


def test_strict_does_not_let_pass_what_is_not_decided(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Launches that spread by 30 %: nothing regressed, and nothing is shown to be the same."""
    assert STUDY.timing
    noisy = replace(STUDY, timing=replace(STUDY.timing, noise=0.3), memory=None)
    base, new = folder(tmp_path / "base", study=noisy), folder(tmp_path / "new", study=replace(noisy, seed=2))
    assert main(["compare", str(base), str(new)]) == 0
    assert "not decided" in capsys.readouterr().out
    assert main(["compare", str(base), str(new), "--strict"]) == 4
    assert "comparison cannot decide" in capsys.readouterr().out
    assert main(["compare", str(base), str(base), "--strict", "--tolerance", "0.9"]) == 0


@pytest.mark.parametrize("cell", FALSE)
def test_what_is_as_slow_as_the_tolerance_allows_seldom_fails(cell: str) -> None:
    """30 comparisons of each case; the full table has 300."""
    found = simulate(cell, 30, 9)
    assert found.seen <= 0.05 + 2 * found.standard_error
