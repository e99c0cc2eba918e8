"""Rules fitted to curves whose truth is known come back, each set-up is judged without itself, and tables are read."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from batchscale.analysis.laws.public.curves import FILE
from batchscale.benchmarks.errors import RecordError
from batchscale.benchmarks.micro.public_curves import held_out
from batchscale.benchmarks.micro.public_curves.fitting import fitted, rule_of, without_each
from batchscale.benchmarks.micro.public_curves.reading import Curve, curves_of, results_of
from batchscale.benchmarks.micro.public_curves.several_nodes import rules_of

HEADER = "setup,model,replica_batch,replicas,examples_per_second\n"


def ring(groups: int, models: int, noise: float = 0.003) -> list[Curve]:
    """Steps of 1 + c (p - 1) / p with another c for each curve; a ring's step grows by as much less."""
    rng, found = np.random.default_rng(1), []
    for group in range(groups):
        for model in range(models):
            size = rng.uniform(0, 0.6)
            rates = {p: p * 64 / (1 + size * (p - 1) / p) * math.exp(rng.normal(0, noise)) for p in (1, 2, 4, 8)}
            found.append(Curve(f"setup {group}", f"model {model}", 64, rates))
    return found


def table_of(curves: Sequence[Curve], path: Path) -> Path:
    path.write_text(HEADER + "".join(f"{curve.group},{curve.name},{curve.batch},{count},{rate:.6f}\n"
                                     for curve in curves for count, rate in curve.rates.items()))
    return path


def test_a_rule_fitted_to_rings_predicts_rings_and_holds_as_many_as_it_claims() -> None:
    rule = rule_of(ring(12, 8), (1, 2, 4), 8)
    for size in (0.1, 0.3, 0.5):
        slow_down = math.log(1 + size * 3 / 4)
        truth = math.log((1 + size * 7 / 8) / (1 + size * 3 / 4))
        assert rule.log_ratio(slow_down).value == pytest.approx(truth, abs=0.004)
        assert rule.log_ratio(slow_down).low < truth < rule.log_ratio(slow_down).high
    assert rule.measured.setups == 12 and rule.measured.curves == 96 and rule.measured.median_error < 0.01
    assert rule.measured.held >= 0.9 and rule.measured.width < 1.06


def test_a_set_up_is_judged_by_the_others_alone() -> None:
    odd = [replace(curve, rates={**curve.rates, 8: curve.rates[8] / 2}) if curve.group == "setup 0" else curve
           for curve in ring(8, 8)]
    without = dict(without_each(odd))
    of_others, of_all = (without[name].rules[0] for name in ("setup 0", "setup 1"))
    assert of_others.log_ratio(0.2).high < 0.1 < of_all.log_ratio(0.2).high
    assert rule_of(odd, (1, 2, 4), 8).measured.held == pytest.approx(7 / 8, abs=0.05)


def test_too_few_set_ups_make_no_rule() -> None:
    with pytest.raises(RecordError, match="3 groups have curves over 1, 2, 4, 8 replicas"):
        rule_of(ring(3, 8), (1, 2, 4), 8)


def test_the_command_prints_errors_of_every_case_and_writes_the_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                                      capsys: pytest.CaptureFixture[str]) -> None:
    path, kept = table_of(ring(5, 2), tmp_path / "curves.csv"), tmp_path / "rules.json"
    shutil.copy(FILE, kept)
    monkeypatch.setattr(held_out, "FILE", kept)
    assert held_out.main([str(path), "--write"]) == 0
    lines = capsys.readouterr().out.splitlines()
    predicted = [line.split() for line in lines if " predict " in f" {line} "]
    assert [line[:4] for line in predicted if line[0] == "1,"][0] == ["1,", "2,", "4", "8"] and len(predicted) >= 3
    assert sum("a ring through them" in line for line in lines) == 3 and any("setup 4" in line for line in lines)
    before, after = (json.loads(each.read_text()) for each in (FILE, kept))
    assert {name: after[name] for name in ("source", "licence")} == {name: before[name] for name in (
        "source", "licence")}
    assert after["rules"][0]["measured"]["curves"] == 10


def test_what_is_held_out_is_not_given() -> None:
    curves = ring(5, 1)
    made = results_of(curves, (1, 2))
    assert set(made.runs["replicas"]) == {1, 2} and len(made.runs) == 10
    changed = [replace(curve, rates={**curve.rates, 8: 1.0}) for curve in curves]
    rules = fitted(curves, "", "", "")
    first, second = (held_out.held_out(each, (1, 2), 8, rules) for each in (curves, changed))
    assert [one.predicted for one in first] == [one.predicted for one in second]
    assert all(one.inside for one in first) and not any(one.inside for one in second)


@pytest.mark.parametrize("text, said", [
    ("", "has no column"), ("a,b\n1,2\n", "has no column replicas"), (HEADER + "x,y,64,1,fast\n", "line 2: .* numbers"),
    (HEADER + "x,y,64,1,-5\n", "line 2: .* above 0"), (HEADER + "x,y,64,1,5\nx,y,64,1,6\n", "two rates"),
    (HEADER + "x,y,64,1\n", "line 2")])
def test_a_table_that_is_none_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "curves.csv"
    path.write_text(text)
    with pytest.raises(RecordError, match=said):
        curves_of(path)
    with pytest.raises(RecordError, match="cannot read"):
        curves_of(tmp_path / "none.csv")


def over_nodes(tables: int, growth: float = 0.02) -> list[Curve]:
    """Steps that get longer with every doubling of the nodes by `growth` and a table's own share of it, with a spread
    of 0.2 %."""
    rng = np.random.default_rng(2)
    return [Curve(f"table {table}", f"model {model}", 64,
                  {8 * 2 ** k: 8 * 2 ** k * 64 / math.exp(growth * (1 + table / tables) * k + rng.normal(0, 0.002))
                   for k in range(5)}, 8) for table in range(tables) for model in range(3)]


def test_rules_of_several_nodes_come_back_and_judge_tables_without_themselves() -> None:
    of_one, of_several = rules_of(over_nodes(12)).rules
    assert of_one.leaving and not of_several.leaving
    for rule in (of_one, of_several):
        for slow_down in (0.022, 0.03, 0.038):
            found = rule.log_ratio(slow_down, 2.0)
            assert found.low <= 2 * slow_down <= found.high and found.value == pytest.approx(2 * slow_down, abs=0.008)
        assert rule.measured.setups == 12 and rule.measured.curves == 36 and rule.measured.held >= 0.9
        assert rule.measured.refused < 12 and rule.measured.median_error < 0.01
    odd = [replace(curve, rates={**curve.rates, 128: curve.rates[128] / 3}) if curve.group == "table 3" else curve
           for curve in over_nodes(12)]
    assert rules_of(odd).rules[1].high > rules_of([curve for curve in odd if curve.group != "table 3"]).rules[1].high
    with pytest.raises(RecordError, match="3 tables have curves over one node and several"):
        rules_of(over_nodes(3))


def test_a_table_says_how_many_replicas_share_a_node(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("table,model,per_node,replica_batch,replicas,examples_per_second\na,b,8,4,8,100\na,b,8,4,16,190\n")
    one, = curves_of(path)
    assert (one.name, one.per_node, one.nodes(8), one.nodes(12), one.nodes(16)) == ("b", 8, 1, 2, 2)
    assert list(results_of([one], (8, 16)).runs["nodes"]) == [1, 2]
