"""The plan that a report says to run next."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.synthetic_records import SGD, Study, manifest, record_for, records, results

from batchscale.analysis.report import page
from batchscale.analysis.report.findings import Findings
from batchscale.analysis.tables.reading import from_records
from batchscale.benchmarks.planning import expansion, plan

TINY = Study(experiments=(replace(SGD, batches=(32, 512), noise_batches=()),), seeds=2, epochs=1, timing=None,
             memory=None)


def test_the_plan_to_run_next_is_a_file_that_can_be_run(tmp_path: Path) -> None:
    page.write_findings(Findings.of(results(TINY)), tmp_path)
    decision = json.loads((tmp_path / "decision.json").read_text(encoding="utf-8"))
    assert (tmp_path / "next.toml").read_text(encoding="utf-8") == decision["next_plan"]
    assert plan.read(str(tmp_path / "next.toml")).name == "next"


def test_an_earlier_report_s_plan_does_not_stay_when_nothing_is_left_to_plan(tmp_path: Path) -> None:
    page.write_findings(Findings.of(results(TINY)), tmp_path)
    page.write_findings(Findings.of(from_records([], manifest(TINY, records(TINY)))), tmp_path)
    assert not (tmp_path / "next.toml").exists()


def test_the_next_plan_keeps_the_recipe_and_the_numbers_that_rules_need(tmp_path: Path) -> None:
    text = """
        [plan]
        name = "rules"
        drift_guard = false
        [[experiment]]
        name = "adam"
        dataset = "glyphs"
        model = "mlp_128"
        optimizer = "adamw"
        weight_decay = 0.1
        global_batches = [32, 128]
        rules = ["constant", "legw", "noise_scale", "surge"]
        noise_scale = 200
        legw_epochs = 0.5
        seeds = 1
        [[experiment]]
        name = "one"
        dataset = "glyphs"
        model = "mlp_128"
        global_batches = [128]
        rules = ["adascale", "legw"]
        legw_epochs = 0.5
        accumulation = 4
        epochs = 5
        seeds = 1
    """
    given = expansion.expand(plan.parse(text), lambda *_: 4099, {})
    made = [record_for(run) for run in given.runs]
    found = from_records(made, {**manifest(TINY, made), "text": text})
    page.write_findings(Findings.of(found), tmp_path)
    following = plan.read(str(tmp_path / "next.toml"))
    runs = [c for c in expansion.expand(following, lambda *_: 4099, {}).runs if c.kind == "accuracy"]
    assert {(c.experiment, c.weight_decay, c.accumulation) for c in runs} == {("adam", 0.1, 1), ("one", 0.0, 4)}
    assert {(c.rule, c.noise_scale, c.legw_epochs) for c in runs} == {
        ("constant", 0, 0), ("legw", 0, 0.5), ("noise_scale", 200, 0), ("surge", 200, 0), ("adascale", 0, 0)}
    rules = {c.rule for c in runs if c.experiment == "one"}
    assert rules == {"constant", "adascale"}, "legw would not fit at the batches added"


def test_a_plan_for_more_seeds_counts_the_look_that_asked_for_them(tmp_path: Path) -> None:
    """And keeps the margin; each look has half the level of the one before it."""
    small = replace(TINY, experiments=(replace(SGD, batches=(32, 512), noise_batches=()),), seeds=3, noise=0.004)
    made = records(small)
    facts = manifest(small, made)
    facts["settings"] |= {"margin": 0.004}
    for looks in (0, 1):
        facts["settings"]["earlier_looks"] = looks
        found = from_records(made, facts)
        assert found.outcomes["sgd"].alpha == pytest.approx(0.025 / 2 ** looks)
        page.write_findings(Findings.of(found), tmp_path)
        following = plan.read(str(tmp_path / "next.toml"))
        assert following.settings["earlier_looks"] == looks + 1 and following.settings["margin"] == 0.004
