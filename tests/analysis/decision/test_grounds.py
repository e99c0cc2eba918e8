"""Nothing is recommended at chance, where all was lost, or against what the runs themselves warn of."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from batchscale.analysis.decision.decision import decide_of, Decision
from batchscale.analysis.report.findings import Findings
from batchscale.analysis.report.first_screen import first_screen
from batchscale.analysis.report.live import live_of
from batchscale.analysis.report.page import html, markdown
from batchscale.analysis.study.study import Study as Found
from batchscale.analysis.tables.reading import from_records, read
from batchscale.benchmarks.runs.run_warnings import STATISTICS_NOT_FORGOTTEN
from support.synthetic_records import SGD, Curve, Study, change, manifest, records, write_store

RULES = {"constant": Curve(), "sqrt": Curve()}
STUDY = Study(experiments=(replace(SGD, batches=(32, 512), curves=RULES, noise_batches=()),), timing=None, memory=None,
              seeds=5, epochs=2)
AT_CHANCE = replace(STUDY, final_accuracy=0.102, noise=0.002)
STATISTICS = STATISTICS_NOT_FORGOTTEN.sentence(needed=458, updates=248)
Edit = Callable[[dict[str, Any]], None]


def findings(study: Study, edit: Edit = lambda record: None) -> Findings:
    made = records(study)
    for record in made:
        edit(record)
    return Findings.of(from_records(made, manifest(study, made)))


def decision(study: Study, edit: Edit = lambda record: None, deadline_seconds: float | None = None) -> Decision:
    return decide_of(Found(findings(study, edit).results), [], deadline_seconds)


def warn_at(*batches: int) -> Edit:
    def edit(record: dict[str, Any]) -> None:
        if record["config"]["global_batch"] in batches:
            record["warnings"] = [STATISTICS]
    return edit


def test_at_chance_nothing_is_recommended_and_the_sentence_says_why_and_what_to_try() -> None:
    found = decision(AT_CHANCE, deadline_seconds=1e6)
    headline, = found.headlines
    assert found.recommendations[0].option is None and found.deadlines[0].option is None
    assert headline.startswith("SGD on mlp_128: nothing was learned: test accuracy is 10.2 % (")
    assert "n = 5 seeds) at batch 32, and guessing among 10 classes reaches 10.0 %." in headline
    grounds = found.to_json()["grounds"][0]
    assert grounds["chance"] == 0.1 and grounds["refusal"] in headline
    assert [(row["rule"], row["global_batch"], row["learned"]) for row in grounds["learned"]] == [
        ("constant", 32, False), ("constant", 512, False), ("sqrt", 512, False)]
    # Untrained models lose nothing at any batch, and more of them would show no more.
    assert headline.endswith("labels and the same scaling.") and found.overview == ()
    assert not any("batch 512" in text for text in (*found.answers, *found.open_questions))
    assert decision(STUDY).recommendations[0].option is not None


def loss_stays(record: dict[str, Any]) -> None:
    for row in record["evaluations"]:
        row["train_loss"] = 2.3


def test_a_loss_that_does_not_fall_asks_for_a_lower_rate_and_one_that_falls_a_little_for_more_epochs() -> None:
    assert "did not fall: try a lower learning_rate, such as 0.001 instead of 0.01" in decision(
        AT_CHANCE, loss_stays).headlines[0]
    assert "try more epochs than 2, or another learning_rate than 0.01, such as 0.001 or 0.1" in decision(
        replace(AT_CHANCE, final_loss=2.0)).headlines[0]


def test_the_share_of_the_largest_class_is_chance_too() -> None:
    def two_classes(record: dict[str, Any]) -> None:
        record["workload"] |= {"classes": 2, "baseline_accuracy": 0.9}
    headline, = decision(STUDY, two_classes).headlines
    assert "nothing was learned: test accuracy is 79.2 % (" in headline
    assert "always answering the most common class reaches 90.0 %" in headline


def test_a_regression_that_is_no_better_than_the_mean_is_refused() -> None:
    def regression(level: float) -> Edit:
        def edit(record: dict[str, Any]) -> None:
            record["workload"] |= {"classes": 0, "baseline_loss": level}
            for row in record["evaluations"]:
                row |= {name: None for name in row if name.endswith("accuracy")}
        return edit
    assert decision(STUDY, regression(9.0)).recommendations[0].option is not None
    refused = decision(STUDY, regression(0.2)).recommendations[0]
    assert refused.option is None
    assert "always answering the mean of the training targets has a loss of 0.2" in refused.reason


def test_a_loss_without_such_a_level_must_fall_below_the_one_before_training() -> None:
    def not_fallen(record: dict[str, Any]) -> None:
        record["workload"]["classes"] = 0
        for row in record["evaluations"]:
            row |= {name: None for name in row if name.endswith("accuracy")}
            row |= {name: 2.3 + record["config"]["seed"] / 100 for name in row if name.endswith("loss")}
    assert "the loss before training is 2.3" in decision(STUDY, not_fallen).headlines[0]


def test_all_runs_diverged_is_said_once_with_a_lower_rate() -> None:
    headline, = decision(change(STUDY, "sgd", diverged=(32, 512))).headlines
    assert headline == ("SGD on mlp_128: all 15 runs diverged, so nothing was learned. Try a lower learning_rate, such "
                        "as 0.001 instead of 0.01, or clip_norm = 1.")


def test_a_batch_that_learned_nothing_is_left_out_and_a_reference_that_did_not_decides_nothing() -> None:
    one = decision(change(STUDY, "sgd", "sqrt", accuracy_gap={512: 0.8})).recommendations[0]
    assert one.option is not None and "nothing is shown to be learned there: batch 512 (sqrt)" in one.caution
    lost = decision(change(AT_CHANCE, "sgd", "sqrt", accuracy_gap={512: -0.8})).recommendations[0]
    assert lost.option is None
    assert "batch 512 (sqrt) reaches 79." in lost.reason and "Set reference_batch = 512" in lost.reason


def test_evaluations_that_the_runs_warn_of_are_not_recommended_on() -> None:
    """Batch norm's statistics: at the reference batch nothing can be judged, at another one that batch cannot."""
    refused = decision(STUDY, warn_at(32, 512)).recommendations[0]
    assert refused.option is None and "reference batch 32 cannot be believed" in refused.reason
    assert "need 458 updates" in refused.reason
    one = decision(change(STUDY, "sgd", accuracy_gap={512: -0.02}), warn_at(512)).recommendations[0]
    assert one.option is not None and one.option.global_batch == 32
    assert "batch 512 (constant) and batch 512 (sqrt); batch norm's moving statistics need 458" in one.caution


def test_warnings_are_on_the_first_screen_in_markdown_and_in_decision_json() -> None:
    found = findings(STUDY, warn_at(512))
    first = first_screen(found)
    said = f"{STATISTICS} (10 runs: sgd, constant, batch 512; sgd, sqrt, batch 512)"
    assert first.warnings == (said,)
    assert "moving statistics need 458 updates" in html(first, (), live_of(found))
    assert "The runs warn" in markdown(first, ())
    group, = json.loads(json.dumps(found.to_json()["run_warnings"]))
    assert (group["warning"], group["runs"], group["undermines"]) == (STATISTICS, 10, "evaluation")
    assert group["arms"][0] == {"experiment": "sgd", "rule": "constant", "global_batches": [512]}


def test_an_arm_that_never_reaches_its_rate_is_not_judged_as_its_rule(tmp_path: Path) -> None:
    """Its batch stands apart, also of records that were written before; where that was all, nothing is left to say."""
    curves = {"constant": Curve(), "linear": Curve(accuracy_gap={512: 0.5})}
    study = replace(STUDY, experiments=(replace(STUDY.experiments[0], curves=curves),), seeds=5)
    made = records(study)
    for record in made:
        record["warnings"] = record["derived"]["flags"]
    assert any("the peak is never reached" in text for record in made for text in record["warnings"])
    found = Found(read(write_store(tmp_path, made)))
    arm = next(one for one in found.arms if one.rule == "linear")
    assert (arm.batches, arm.apart) == ((32,), {512: "5 of 5 runs never reached the peak of their rate"})
    decided = decide_of(found, [])
    assert {(o.rule, o.global_batch) for o in decided.options} == {("constant", 32), ("constant", 512)}
    assert "Batch 512 5 of 5 runs never reached the peak of their rate under the linear rule." in decided.headlines[0]
