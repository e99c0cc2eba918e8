"""Published tables of many GPUs: the most of each curve, predicted from all fewer, held against what was measured."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from batchscale.benchmarks.micro.public_curves.largest import largest, main
from batchscale.benchmarks.micro.public_curves.reading import Curve


def curve(counts: tuple[int, ...], last: float = 1.0) -> Curve:
    """A ring between nodes of 8, whose step takes 0.1 s alone; last: the factor on the rate of the most."""
    rates = {count: count * 32 / (0.1 + 0.01 * (1 - 8 / count)) for count in counts}
    return Curve("set", "model", 32, {**rates, counts[-1]: rates[counts[-1]] * last})


def test_the_most_replicas_are_held_against_what_was_measured() -> None:
    right, wrong = largest(curve((8, 16, 32, 64)), 8), largest(curve((8, 16, 32, 64), 0.4), 8)
    assert abs(right.error) < 0.03 and right.inside
    assert wrong.error == pytest.approx((1 + right.error) / 0.4 - 1) and not wrong.inside


def test_two_counts_of_nodes_are_refused_with_the_reason() -> None:
    one = largest(curve((128, 256, 512)), 8)
    assert math.isnan(one.error) and "cannot fit a law of the step" in one.why


def test_the_command_prints_a_row_for_each_curve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"set,model,{count},32,{rate}" for count, rate in curve((8, 16, 32, 64)).rates.items()]
    (tmp_path / "t.csv").write_text("\n".join(["set,model,replicas,replica_batch,examples_per_second", *rows]) + "\n")
    assert main([str(tmp_path / "t.csv"), "--per-node", "8"]) == 0
    said = capsys.readouterr().out
    assert "| set model | 8, 16, 32 | 64 | " in said and "1 of 1 curves are predicted" in said
