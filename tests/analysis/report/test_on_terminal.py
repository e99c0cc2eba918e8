"""The answer on a terminal: what is recommended, what it costs, and a chart of what each batch loses."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from support.stored_study import folder, STUDY

from batchscale.analysis.report.cards.on_terminal import card_lines, LEVELS
from batchscale.analysis.report.cards.words import told
from batchscale.analysis.report.findings import Findings
from batchscale.benchmarks.records.store import Store
from batchscale.launchers import cli


def test_batch_rate_accuracy_and_chart_end_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(folder(tmp_path / "mine"))
    card = Findings.of(store).cards[0]
    chosen = card.option
    assert chosen is not None and cli.main(["report", str(store.folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    first = next(at for at, line in enumerate(lines) if f"({STUDY.experiments[0].name}): " in line)
    assert lines[first + 1] == (f"  batch {chosen.global_batch:,}, learning rate {chosen.rate}, "
                                f"replicas {chosen.replicas}")
    assert re.fullmatch(r"  Test accuracy +[0-9.]+ % \([0-9.]+ to [0-9.]+\)", lines[first + 2])
    assert lines[-1] == f"report: {store.folder / 'report' / 'index.html'}"
    header = next(at for at, line in enumerate(lines) if line.startswith("    batch "))
    assert re.findall(r"[\d,]+", lines[header]) == [f"{batch:,}" for batch in
                                                    sorted({one.global_batch for one in card.lost})]
    assert [line.split()[0] for line in lines[header + 1:header + 1 + len(card.rules)]] == list(card.rules)


def test_bars_grow_with_what_is_lost_and_the_one_to_take_is_marked(tmp_path: Path) -> None:
    card = Findings.of(Store(folder(tmp_path / "mine"))).cards[0]
    lines = card_lines([card])
    worst = max(card.lost, key=lambda one: one.lost.value)
    row = next(line for line in lines if line.startswith(f"    {worst.rule} "))
    assert LEVELS[-1] in row
    assert any("*" in line for line in lines) is (card.own_loss is not None)


def test_where_nothing_is_recommended_the_reason_is_the_answer(tmp_path: Path) -> None:
    found = Findings.of(Store(folder(tmp_path / "mine", study=replace(STUDY, seeds=1)))).cards
    lines = card_lines(found)
    assert "Nothing can be recommended" in lines[0] and "o batch is recommended on fewer than" in lines[1]


def test_only_rules_with_a_larger_batch_count_as_compared(tmp_path: Path) -> None:
    card = Findings.of(Store(folder(tmp_path / "mine"))).cards[0]
    rules = {one.rule for one in card.lost}
    assert f", over {len(rules)} rules)" in dict(told(card).facts)["How sure"] and len(rules) > 1
    alone = replace(card, lost=tuple(one for one in card.lost if one.rule == "linear"))
    assert " over " not in dict(told(alone).facts)["How sure"]
