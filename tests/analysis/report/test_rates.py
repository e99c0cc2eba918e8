"""What the report says about sharpness, weight decay and AdaScale's gains, from records with a known truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from support.report_sections import built
from support.synthetic_records import SGD, Study, manifest, record_for, records

from batchscale.analysis.report import page
from batchscale.analysis.report.blocks import Section
from batchscale.analysis.report.findings import Findings
from batchscale.analysis.report.sections.accuracy import rates, sharpness
from batchscale.analysis.tables.reading import from_records
from batchscale.analysis.tables.results import Results
from batchscale.benchmarks.records.schema import problems
from batchscale.benchmarks.runs.run_config import RunConfig

BATCHES, SEEDS = (32, 128, 512), 3
SMALL = Study(experiments=(replace(SGD, batches=BATCHES, noise_batches=()),), timing=None, memory=None, seeds=SEEDS,
              epochs=2)
T_975_2 = 4.302653  # Student's t, two degrees of freedom


def read(made: Sequence[dict[str, Any]]) -> Results:
    assert [problem for record in made for problem in problems(record)] == []
    return from_records(made, manifest(SMALL, made))


def sharp(record: dict[str, Any]) -> dict[str, Any]:
    """Eigenvalue 40 + 10 seed at every batch, 4 times that under the linear rule at 512."""
    config, last = record["config"], record["evaluations"][-1]
    factor = 4 if (config["rule"], config["global_batch"]) == ("linear", 512) else 1
    row = {"phase": last["phase"], "step": last["step"], "examples": 1000, "loss": 0.2, "gradient_norm": 0.1,
           "eigenvalue": factor * (40.0 + 10 * config["seed"]), "products": 20, "converged": True,
           "sam_sharpness": 0.01, "learning_rate": record["derived"]["peak_learning_rate"]}
    return {**record, "sharpness": [row]}


@pytest.fixture(scope="module")
def measured() -> Results:
    return read([sharp(record) for record in records(SMALL) if record["config"]["kind"] == "accuracy"])


def rows(section: Section) -> list[dict[str, str]]:
    table, = section.tables
    return [dict(zip(table.header, row)) for row in table.rows]


def row(section: Section, rule: str, batch: int) -> dict[str, str]:
    found, = [r for r in rows(section) if r["rule"] == rule and r["batch"] == f"{batch:,}"]
    return found


def test_sharpness_stands_against_batch_with_interval_and_n(measured: Results) -> None:
    section = built(sharpness.build, measured)
    half = T_975_2 * 10 / math.sqrt(3)  # 40, 50, 60: mean 50, standard deviation 10
    found = row(section, "constant", 128)
    assert found["top Hessian eigenvalue"] == f"50 ({50 - half:.0f} to {50 + half:.0f}, n = 3 seeds)"
    assert found["last rate x eigenvalue"].startswith("0.50 (") and found["stable to"] == "2.00"
    assert [figure.name for figure in section.figures] == ["w0-eigenvalue", "w0-sam-sharpness"]


def test_runs_beyond_the_bound_of_stability_are_told(measured: Results) -> None:
    # linear at 512: 0.16 x 4 x (40, 50, 60) = 25.6, 32, 38.4; at 128: 0.04 x 40.. = 1.6, 2.0, 2.4.
    warnings = built(sharpness.build, measured).warnings
    assert any("linear, batch 512: 3 of 3 runs ended where rate times top Hessian eigenvalue is above 2" in w
               for w in warnings)
    assert any("linear, batch 128: 1 of 3 runs" in w for w in warnings)
    assert not any("constant" in w for w in warnings)


def test_it_is_worded_as_a_diagnostic(measured: Results) -> None:
    text = " ".join(built(sharpness.build, measured).text)
    assert "no explanation of a generalization gap" in text and "rescaled" in text


def test_without_sharpness_the_section_says_how_to_get_it() -> None:
    found = Findings.of(read(records(SMALL)))
    assert sharpness.build(found) is None and sharpness.build.lacks(found, None)
    assert sharpness.build.needs == "sharpness_examples = 1000"


def test_both_sections_are_in_the_report(measured: Results) -> None:
    chapters = page.chapters_of(Findings.of(measured))
    assert {"rates", "sharpness"} <= {chapter.anchor for chapter in chapters}


def adamw(rule: str, batch: int, seed: int) -> dict[str, Any]:
    return record_for(RunConfig(experiment="adamw", kind="accuracy", dataset="glyphs", model="mlp_128",
                                optimizer="adamw", weight_decay=0.1, base_learning_rate=0.01, global_batch=batch,
                                train_examples=4096, seed=seed, rule=rule, epochs=2))


def test_decay_is_shown_as_a_confounder() -> None:
    runs = [adamw("constant", 32, 0), adamw("constant", 512, 0), adamw("linear", 512, 0)]
    section = built(rates.build, read(runs))
    assert "Weight decay is a confounder" in " ".join(section.text)
    kept = {(r["rule"], r["batch"]): r["kept per epoch"] for r in rows(section)}
    # (1 - eta wd)^(N / B): 0.999^128, 0.999^8, 0.984^8.
    assert kept == {("constant", "32"): f"{100 * 0.999**128:.4g} %", ("constant", "512"): f"{100 * 0.999**8:.4g} %",
                    ("linear", "512"): f"{100 * 0.984**8:.4g} %"}


def test_a_plan_without_decay_or_adascale_has_neither_column(measured: Results) -> None:
    header = built(rates.build, measured).tables[0].header
    assert header == ("experiment", "rule", "batch", "peak rate", "warm-up")
    assert row(built(rates.build, measured), "linear", 128)["warm-up"] == "160 steps"  # 5 epochs of 32


def adascale(seed: int, steps: int) -> dict[str, Any]:
    """Ended after `steps`, worth 256: the steps of two epochs at batch 32."""
    record = record_for(RunConfig(experiment="sgd", kind="accuracy", dataset="glyphs", model="mlp_128",
                                  optimizer="sgd", global_batch=128, train_examples=4096, seed=seed, epochs=2,
                                  rule="adascale", accumulation=4))
    last = {**record["evaluations"][-1], "step": steps, "reference_steps": 256.0, "gain": 2.0}
    return {**record, "evaluations": [e for e in record["evaluations"] if e["step"] < steps] + [last]}


def test_adascale_shows_its_mean_gain_and_the_steps_it_took() -> None:
    found = read([adascale(0, 100), adascale(1, 128)])
    assert list(found.runs["steps"]) == [100, 128], "what it took, not what it could have"
    section = built(rates.build, found)
    shown = row(section, "adascale", 128)
    assert shown["mean gain"].startswith("2.3 (") and shown["steps taken"].startswith("110 (")
    assert "adascale: gain r_t times" in section.text[0]
