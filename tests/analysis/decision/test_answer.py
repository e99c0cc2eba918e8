"""The answer in three lines: what is recommended, at which rate, and what it reaches with its interval."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from support.stored_study import folder, STUDY

from batchscale.analysis.decision.answer import answer_lines
from batchscale.analysis.report.findings import Findings
from batchscale.benchmarks.records.store import Store
from batchscale.launchers import cli


def test_batch_rate_and_accuracy_with_its_interval_end_the_command(tmp_path: Path,
                                                                   capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(folder(tmp_path / "mine"))
    chosen = Findings.of(store).decided.recommendations[0].option
    assert chosen is not None and cli.main(["report", str(store.folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(f"({STUDY.experiments[0].name}):")
    assert re.fullmatch(rf"  batch +{chosen.global_batch:,}", lines[1])
    assert re.fullmatch(rf"  rate +{re.escape(chosen.rate)}, .+", lines[2])
    low, high = (f"{100 * end:.2f}" for end in (chosen.test.low, chosen.test.high))
    interval = rf"\({low} to {high}, n = {chosen.test.n} seeds\)"
    assert re.fullmatch(rf"  accuracy +[0-9.]+ % {interval} on the test data", lines[3])
    assert lines[-1] == f"report: {store.folder / 'report' / 'index.html'}"


def test_where_nothing_is_recommended_the_reason_is_the_answer(tmp_path: Path) -> None:
    store = Store(folder(tmp_path / "mine", study=replace(STUDY, seeds=1)))
    found = Findings.of(store).decided.recommendations
    assert answer_lines(found) == [f"{line.partition(':')[0]}: nothing is recommended. {one.reason}"
                                   for line, one in zip(answer_lines(found), found)]
    assert "no batch is recommended on fewer than" in answer_lines(found)[0]
