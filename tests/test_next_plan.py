"""The plan that a report says to run next."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from synthetic_records import SGD, Study, manifest, records, results

from batchscale.analysis import report
from batchscale.analysis.table import from_records
from batchscale.benchmarks import plan

TINY = Study(experiments=(replace(SGD, batches=(32, 512), noise_batches=()),), seeds=2, epochs=1, timing=None,
             memory=None)


def test_the_plan_to_run_next_is_a_file_that_can_be_run(tmp_path: Path) -> None:
    report.write_results(results(TINY), tmp_path)
    decision = json.loads((tmp_path / "decision.json").read_text(encoding="utf-8"))
    assert (tmp_path / "next.toml").read_text(encoding="utf-8") == decision["next_plan"]
    assert plan.read(str(tmp_path / "next.toml")).name == "next"


def test_an_earlier_report_s_plan_does_not_stay_when_nothing_is_left_to_plan(tmp_path: Path) -> None:
    report.write_results(results(TINY), tmp_path)
    report.write_results(from_records([], manifest(TINY, records(TINY))), tmp_path)
    assert not (tmp_path / "next.toml").exists()
