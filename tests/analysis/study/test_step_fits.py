"""What a step is made of, from made-up timing runs: the truth is found again, and what is not measured is said."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.synthetic_records import SGD, Memory, Study, Timing, manifest, record_for, records, results

from batchscale.analysis.decision.decision import decide_of
from batchscale.analysis.laws.step.model import NAMES
from batchscale.analysis.report import page as report
from batchscale.analysis.report.findings import Findings
from batchscale.analysis.report.sections.speed import scaling, step
from batchscale.analysis.study.critical import NOISE
from batchscale.analysis.study.study import Study as Found
from batchscale.analysis.study.timing.scaling import scalings
from batchscale.analysis.study.timing.step_fits import goodputs, step_fits
from batchscale.analysis.tables.reading import from_records
from batchscale.analysis.tables.record_rows import run_rows
from batchscale.analysis.tables.results import Results
from batchscale.benchmarks.records.schema import decode
from batchscale.benchmarks.runs.run_config import RunConfig
from batchscale.launchers import cli

TIMING = Timing(replicas=(1, 2, 4, 8), replica_batches=(32, 128, 512), global_batches=(512,), strategies=("mirrored",),
                noise=0.003)
STUDY = Study(experiments=(replace(SGD, batches=(32, 512), noise_batches=(1, 8, 32)),), timing=TIMING, memory=None,
              seeds=2, epochs=3)


@pytest.fixture(scope="module")
def found() -> Results:
    return results(STUDY)


def test_the_step_model_finds_the_truth_again_and_predicts_what_it_did_not_see(found: Results) -> None:
    (one,) = step_fits(found)
    assert one.fit is not None
    shown = one.fit.estimates
    assert tuple(shown) == (*NAMES[:4], "overlap")  # nothing across nodes, which no run shows
    a, b, c, d = (shown[name] for name in NAMES[:4])
    assert (a.value, b.value) == pytest.approx((1e-3, 1e-5), rel=0.02)
    assert a.low < 1e-3 < a.high and b.low < 1e-5 < b.high
    # Made with no overlap and no cost per further replica; overlap and c trade against each other.
    assert c.value == pytest.approx(2e-4, rel=0.5) and d.value < 2e-5
    assert {error.size for error in one.held_out} == {32, 64, 128, 512}
    for error in one.held_out:
        assert abs(error.relative_error.value) < 0.03
        assert error.relative_error.low < error.relative_error.value < error.relative_error.high
        assert error.measured.n == 3


def test_exposed_communication_is_what_synchronization_adds(found: Results) -> None:
    (one,) = step_fits(found)
    assert {(each.replicas, each.replica_batch) for each in one.exposed} == {
        (replicas, batch) for replicas in (2, 4, 8) for batch in (32, 128, 512)}
    for each in one.exposed:
        assert each.exposed_seconds.low < 2e-4 * 1.6 and each.exposed_seconds.high > 2e-4 * 0.4
        assert each.exposed_seconds.n == 3 or each.replica_batch < 512


def test_two_replica_counts_have_no_held_out_error_and_say_so() -> None:
    two = results(replace(STUDY, timing=replace(TIMING, replicas=(1, 2))))
    (one,) = step_fits(two)
    assert one.fit is not None and one.held_out == ()
    assert NAMES[3] not in one.fit.estimates
    assert any("needs three replica counts" in text for text in step.made_of((one,), ()).text)


def test_too_few_launches_have_no_model_and_the_reason_is_in_the_report() -> None:
    timing = replace(TIMING, replicas=(1,), replica_batches=(128,), global_batches=())
    (one,) = step_fits(results(replace(STUDY, timing=timing)))
    assert one.fit is None and "one replica batch" in one.note
    section = step.made_of((one,), ())
    assert section.tables == () and any("no step model" in text for text in section.text)
    assert any("Goodput" in text and "not known" in text for text in section.text)
    json.dumps(one.to_json(), allow_nan=False)


def test_goodput_pays_for_the_batch_by_the_noise_scale(found: Results) -> None:
    critical = Found(found).critical
    noise = critical[0].sources[NOISE].value
    good = goodputs(found, critical)
    assert {(one.placement, one.global_batch) for one in good} >= {("mirrored-1r", 32), ("mirrored-8r", 4096)}
    for one in good:
        worth = (noise + 32) / (noise + one.global_batch)  # (phi + M0) / (phi + M)
        assert one.goodput.value == pytest.approx(one.examples_per_second.value * worth)
        assert one.worth.low < worth < one.worth.high or one.global_batch == 32
    at_reference = next(one for one in good if one.global_batch == 32)
    assert at_reference.worth.value == 1 and at_reference.goodput == at_reference.examples_per_second
    best = max(good, key=lambda one: one.goodput.value)
    assert any(f"greatest at batch {best.global_batch:,} on {best.placement}" in text
               for text in step.made_of(step_fits(found), good).text)


def test_without_gradient_norms_there_is_no_goodput() -> None:
    quiet = results(replace(STUDY, experiments=(replace(SGD, batches=(32, 512), noise_batches=()),)))
    assert goodputs(quiet, Found(quiet).critical) == ()


def test_the_laws_of_scaling_state_their_held_out_error() -> None:
    timing = replace(TIMING, replicas=(1, 2, 4, 8, 16), replica_batches=(32,))
    made = results(replace(STUDY, experiments=(), timing=timing))
    text = " ".join(scaling.efficiencies(scalings(made)).text)
    assert "Universal Scalability Law fitted to fewer replicas predicts 16 with an error of" in text
    four = results(replace(STUDY, experiments=()))
    text = " ".join(scaling.efficiencies(scalings(four)).text)
    assert "takes 5 counts" in text and "fitted to fewer" not in text


def test_micro_batches_count_in_the_replica_batch_and_apart_from_other_shapes() -> None:
    config: dict[str, Any] = {"experiment": "strong_scaling", "kind": "throughput", "dataset": "glyphs",
                              "model": "mlp_128", "optimizer": "sgd", "seed": 0, "epochs": 1, "train_examples": 4096,
                              "strategy": "mirrored", "replicas": 2, "scaling": "strong", "global_batch": 512}
    plain, parts = (run_rows(decode(record_for(RunConfig(**config, accumulation=count))))[0] for count in (1, 4))
    assert (plain["replica_batch"], plain["accumulation"], plain["placement"]) == (256, 1, "mirrored-2r")
    assert (parts["replica_batch"], parts["accumulation"], parts["placement"]) == (64, 4, "mirrored-2r-4x")
    older = record_for(RunConfig(**config))
    del older["config"]["accumulation"]
    assert run_rows(decode(older))[0]["replica_batch"] == 256


def test_the_report_holds_steps_goodput_and_the_largest_batch_that_fits(tmp_path: Path) -> None:
    study = replace(STUDY, memory=Memory(), train_examples=200_000)
    made = records(study)
    for record in made:
        record["environment"]["memory_bytes"] = 2 * 2 ** 30
    tables = from_records(made, manifest(study, made))
    folder = report.write_findings(Findings.of(tables), tmp_path)
    decision = json.loads((folder / "decision.json").read_text(), parse_constant=pytest.fail)
    fixed = decision["steps"][0]["step_model"]["fixed time of a gradient"]
    assert fixed["low"] < fixed["value"] < fixed["high"]
    assert len(decision["steps"][0]["held_out"]) == 4 and decision["goodput"]
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert '<section id="step"' in page
    section = page[page.index('<section id="memory"'):page.index('<section id="time"')]
    # 0.95 (2 GiB - 600 MB of the process) = 50 MB + 20 kB n
    expected = math.floor((0.95 * (2 * 2 ** 30 - 600e6) - 5e7) / 2e4)
    (largest,) = re.findall(r"<td[^>]*>([\d,]+) \(", section[section.index("largest batch per replica"):])[-1:]
    assert float(largest.replace(",", "")) == pytest.approx(expected, rel=0.01)
    assert "times the largest measured, a guess" in section


def test_a_batch_that_fits_does_not_exceed_the_data(tmp_path: Path) -> None:
    study = replace(STUDY, experiments=(), timing=None, memory=Memory())
    made = records(study)
    for record in made:
        record["environment"]["memory_bytes"] = 2 * 2 ** 30
    folder = report.write_findings(Findings.of(from_records(made, manifest(study, made))), tmp_path)
    assert "all 4,096 training examples at once" in (folder / "index.html").read_text(encoding="utf-8")


def test_a_model_that_misses_the_steps_says_so() -> None:
    made = results(STUDY)
    assert step.made_of(step_fits(made), ()).warnings == ()
    runs = made.runs.copy()
    several = runs["replicas"] > 1
    runs.loc[several, "step_seconds"] += 3e-5 * runs.loc[several, "replica_batch"]  # as replicas that share memory do
    (warning,) = step.made_of(step_fits(replace(made, runs=runs)), ()).warnings
    assert "does not describe them" in warning


def test_a_deadline_names_the_cheapest_option_that_meets_it(found: Results, tmp_path: Path,
                                                            capsys: pytest.CaptureFixture[str]) -> None:
    folder = report.write_findings(Findings.of(found, 3600.0), tmp_path)
    decision = json.loads((folder / "decision.json").read_text())
    (deadline,) = decision["deadlines"]
    assert deadline["seconds"] == 3600 and deadline["option"] is not None
    assert decide_of(Found(found)).deadlines == ()
    (tmp_path / "plan.json").write_text('{"runs": []}')
    assert cli.main(["report", str(tmp_path), "--deadline", "soon"]) == 2
    assert "--deadline 'soon' is no length of time" in capsys.readouterr().err
