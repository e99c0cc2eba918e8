"""Published tables of many GPUs: the most of each curve, predicted from fewer, held against what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from batchscale.benchmarks.micro.public_curves import largest as module
from batchscale.benchmarks.micro.public_curves.largest import given_of, largest, main, rules, TABLES
from batchscale.benchmarks.micro.public_curves.reading import Curve, curves_of


def curve(counts: tuple[int, ...], last: float = 1.0, table: str = "set", each: float = 0.01) -> Curve:
    """A step of 0.1 s on one node of 8, and each more by every doubling of the nodes; last: the factor on the rate of
    the most."""
    rates = {count: count * 32 / (0.1 + each * max(0, (count // 8).bit_length() - 1)) for count in counts}
    return Curve(table, "model", 32, {**rates, counts[-1]: rates[counts[-1]] * last}, 8)


def test_the_most_replicas_are_held_against_what_was_measured() -> None:
    right, wrong = largest(curve((8, 16, 32, 64))), largest(curve((8, 16, 32, 64), 0.2))
    assert abs(right.error) < 0.05 and right.inside
    assert wrong.error == pytest.approx((1 + right.error) / 0.2 - 1) and not wrong.inside


def test_two_counts_of_nodes_predict_a_third_by_public_tables() -> None:
    one = largest(curve((128, 256, 512), each=0.003))
    assert abs(one.error) < 0.05 and one.inside and 1.1 < one.predicted.high / one.predicted.low < 4


def test_what_is_given_is_all_fewer_or_the_first_beyond_a_node() -> None:
    assert given_of(curve((4, 8, 16, 32, 64)), False) == (4, 8, 16, 32)
    assert given_of(curve((4, 8, 16, 32, 64)), True) == (4, 8, 16)
    assert given_of(curve((16, 32, 64, 128)), True) == (16, 32)


def test_a_table_is_judged_by_the_others_alone() -> None:
    alike = [curve((8, 16, 32, 64), table=f"set {index}", each=0.001 * (index + 1)) for index in range(6)]
    odd = curve((8, 16, 32, 64), table="odd", each=0.03)
    known = rules([*alike, odd], False)
    assert known["odd"].nodes != known["set 0"].nodes
    of_odd, of_all = (found.rule(True) for found in (known["odd"].nodes, known["set 0"].nodes) if found)
    assert of_odd and of_all and of_odd.high < of_all.high
    assert rules([odd], False)["odd"].nodes == rules([odd], True)["odd"].nodes  # too few: those of the package


def test_the_command_prints_a_row_for_each_table_and_writes_rules(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FILE", tmp_path / "nodes.json")
    rows = [f"set {index},model,{count},32,{rate}" for index in range(5)
            for count, rate in curve((8, 16, 32, 64), each=0.002 * (index % 2 + 1)).rates.items()]
    (tmp_path / "t.csv").write_text("\n".join(["set,model,replicas,replica_batch,examples_per_second", *rows]) + "\n")
    assert main([str(tmp_path / "t.csv"), "--per-node", "8", "--write", "--each"]) == 0
    said = capsys.readouterr().out
    assert said.count("| set 3 | 64 | 1 | 1 | ") == 2 and said.count("| all | 64 | 5 | 5 | ") == 2
    assert said.count("5 of 5 tables are off by less than 10 % in the median") == 2
    assert "| set 3 model | 8, 16, 32 | 64 | " in said and "| set 3 model | 8, 16 | 64 | " in said
    kept = json.loads((tmp_path / "nodes.json").read_text())
    assert {rule["leaving"] for rule in kept["rules"]} == {True, False} and kept["rules"][0]["measured"]["setups"] == 5


def test_the_tables_that_come_with_it_are_whole() -> None:
    curves = curves_of(TABLES)
    assert len(curves) == 80 and len({one.group for one in curves}) == 13
    assert max(max(one.rates) for one in curves) == 1024 and all(one.per_node in (1, 8) for one in curves)
