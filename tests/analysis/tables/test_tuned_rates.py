"""The tuned arm: equal trials at every batch, the best by validation, and what is said when it cannot be believed."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.report_sections import built
from support.synthetic_records import SGD, Curve, Study, Tuning, manifest, records, results, write_store

from batchscale.analysis.decision.decision import decide_of
from batchscale.analysis.decision.next_plan import missing, plan_text
from batchscale.analysis.hypotheses.decide import decide
from batchscale.analysis.report import page as report
from batchscale.analysis.report.findings import Findings
from batchscale.analysis.report.sections.accuracy import tuned as sections_tuned
from batchscale.analysis.study.arms import load_arms
from batchscale.analysis.study.batch_gaps import gap_table
from batchscale.analysis.study.study import Study as Found
from batchscale.analysis.tables.reading import from_records, read
from batchscale.analysis.tables.results import Results, rules
from batchscale.analysis.tables.tuned_rates import HIGHEST, LOWEST, tuned_batches, TunedBatch
from batchscale.benchmarks.errors import PlanError
from batchscale.benchmarks.planning import expansion, plan
from batchscale.benchmarks.planning.expected_time import expected_seconds
from batchscale.benchmarks.planning.tuning import trial_rates
from batchscale.benchmarks.runs.run_config import RunConfig
from batchscale.benchmarks.schedules.rates import rates as step_rates, warmup_step_count
from batchscale.launchers.commands.runs.plan import _table as dry_run_table

BATCHES = (32, 128, 512)
LOSSY = Curve(accuracy_gap={128: 0.01, 512: 0.03}, loss_gap={128: 0.1, 512: 0.2})
TUNED = replace(SGD, batches=BATCHES, noise_batches=(), curves={"constant": LOSSY}, tuning=Tuning(gain={512: 0.001}))
STUDY = Study(experiments=(TUNED,), timing=None, memory=None, noise=1e-4)
PLAN = """
[plan]
name = "small"
[[experiment]]
name = "sgd"
dataset = "glyphs"
model = "mlp_128"
global_batches = [32, 128, 512]
rules = ["constant", "sqrt", "tuned"]
learning_rate = 0.02
seeds = 6
trials = 5
search = [0.25, 4]
noise_batches = [1, 8]
"""


def expand(text: str = PLAN) -> list[RunConfig]:
    return expansion.expand(plan.parse(text), lambda dataset, fraction: 4096, {}).runs


def with_tuning(**truth: Any) -> Study:
    tuning = replace(TUNED.tuning or Tuning(), **truth)
    return replace(STUDY, experiments=(replace(TUNED, tuning=tuning),))


def tuned(found: Results) -> dict[int, TunedBatch]:
    return {one.global_batch: one for one in found.tuned}


def test_every_batch_has_as_many_trials_with_every_seed_the_reference_batch_too() -> None:
    runs = [c for c in expand() if c.rule == "tuned"]
    assert Counter((c.global_batch, c.trial) for c in runs) == {(b, t): 6 for b in BATCHES for t in range(5)}
    assert len({c.run_id for c in runs}) == len(runs) == 3 * 5 * 6
    assert {c.noise_batches for c in runs} == {()}


def test_rates_lie_around_the_square_root_rule_s_at_the_same_places_in_every_batch() -> None:
    rates = {b: [c.base_learning_rate for c in expand() if (c.rule, c.global_batch, c.seed) == ("tuned", b, 0)]
             for b in BATCHES}
    middle = {b: 0.02 * math.sqrt(b / 32) for b in BATCHES}
    factors = [[rate / middle[b] for rate in rates[b]] for b in BATCHES]
    for places in factors:
        assert places == pytest.approx([0.25 * 16 ** u for u in (1 / 2, 1 / 4, 3 / 4, 1 / 8, 5 / 8)], rel=1e-5)
        assert 0.25 < min(places) and max(places) < 4


def test_a_trial_warms_up_to_its_own_rate_as_long_as_the_linear_rule_does_and_keeps_it() -> None:
    trial = next(c for c in expand() if c.rule == "tuned" and c.trial == 3 and c.global_batch == 512)
    warmup = warmup_step_count(trial)
    assert 1 < warmup == warmup_step_count(replace(trial, rule="linear", trial=-1)) < trial.steps
    ramp = [min(1.0, (t + 1) / warmup) for t in range(trial.steps)]
    assert step_rates(trial).tolist() == pytest.approx([trial.base_learning_rate * part for part in ramp])


def test_a_plan_s_dry_run_counts_and_prices_the_trials() -> None:
    with_trials, without = expand(), expand(PLAN.replace(', "tuned"', ""))
    line = next(text for text in dry_run_table(with_trials) if "tuned" in text)
    assert line.split()[-9:] == ["5", "rates", "32", "128", "512", "0.00707", "to", "0.16", "90"]
    assert len(with_trials) == len(without) + 90
    assert sum(map(expected_seconds, with_trials)) > 3 * sum(map(expected_seconds, without))


@pytest.mark.parametrize(("change", "message"), [
    (("trials = 5", "trials = 2"), "give at least 3"),
    (("[0.25, 4]", "[4, 0.25]"), "0 < low < high"),
    (("[0.25, 4]", "[0, 4]"), "0 < low < high"),
    (("[0.25, 4]", "[1, 2, 4]"), "must be [low, high]"),
    (("seeds = 6", "seeds = 6\nvalidation_fraction = 0.0"), "chosen by validation accuracy"),
    (("trials = 5", "trials = 5000"), "lists up to"),
])
def test_a_search_that_cannot_be_is_refused(change: tuple[str, str], message: str) -> None:
    assert change[0] in PLAN
    with pytest.raises(PlanError) as error:
        expand(PLAN.replace(*change))
    assert message in str(error.value)


def test_only_the_tuned_rule_has_trials() -> None:
    given = next(c for c in expand() if c.rule == "tuned")
    with pytest.raises(PlanError, match="only rule='tuned' has them"):
        replace(given, rule="sqrt")
    with pytest.raises(PlanError, match="numbered from 0"):
        replace(given, trial=-1)


def test_the_best_rate_by_validation_is_found_at_every_batch_and_is_the_arm() -> None:
    found = results(with_tuning(best={32: 1.0, 128: 10 ** -0.5, 512: 10 ** 0.25}))
    middle = {b: 0.01 * math.sqrt(b / 32) for b in BATCHES}
    rates = {b: one.chosen.learning_rate / middle[b] for b, one in tuned(found).items()}
    assert rates == {32: pytest.approx(1), 128: pytest.approx(10 ** -0.5, 1e-4), 512: pytest.approx(10 ** 0.25, 1e-4)}
    assert not any(one.edge or one.partial or one.lost_share for one in found.tuned)
    assert rules(found, "sgd") == ("constant", "tuned")
    arm = next(arm for arm in load_arms(found) if arm.rule == "tuned")
    assert Counter(arm.runs["global_batch"]) == {b: 6 for b in BATCHES}
    assert {b: set(rows["peak_learning_rate"]) for b, rows in arm.runs.groupby("global_batch")} == {
        b: {one.chosen.learning_rate} for b, one in tuned(found).items()}
    assert set(arm.evaluations["run_id"]) == set(arm.runs["run_id"])


def test_choosing_looks_at_validation_and_never_at_test() -> None:
    made = records(STUDY)
    best = max(record["config"]["base_learning_rate"] for record in made)
    for record in made:
        if record["config"]["rule"] == "tuned" and record["config"]["base_learning_rate"] == best:
            record["evaluations"][-1]["test_accuracy"] = 0.999
    assert tuned(from_records(made, manifest(STUDY, made)))[512].chosen.learning_rate < best


def test_the_tuned_arm_s_gaps_are_against_its_own_reference_batch() -> None:
    study = with_tuning(gain={32: 0.02, 128: 0.02, 512: 0.01})
    arm = next(arm for arm in load_arms(results(study)) if arm.rule == "tuned")
    gaps = {gap.global_batch: gap.estimate.value for gap in gap_table(arm, 0.005)}
    assert gaps == {128: pytest.approx(0.0, abs=5e-4), 512: pytest.approx(0.01, abs=5e-4)}


def test_equally_good_rates_give_way_to_the_smaller() -> None:
    made = records(with_tuning(curvature=0.0))
    for record in made:
        record["evaluations"][-1]["validation_accuracy"] = 0.9
    for one in from_records(made, manifest(STUDY, made)).tuned:
        assert one.chosen.learning_rate == min(trial.learning_rate for trial in one.trials)


@pytest.mark.parametrize(("best", "edge"), [(100.0, HIGHEST), (0.01, LOWEST)])
def test_a_best_rate_at_the_edge_is_flagged_and_the_next_plan_searches_wider(best: float, edge: str) -> None:
    found = results(with_tuning(best={512: best}))
    one = tuned(found)[512]
    assert one.edge == edge and not tuned(found)[128].edge
    assert any(f"is the {edge} of 8 tried" in text and "widen `search`" in text for text in one.warnings)
    arms = [arm for arm in load_arms(found)]
    next_up = plan.parse(plan_text(missing(found, {"sgd": arms}), found))
    search = next(e for e in next_up.experiments if e["name"] == "sgd_search")
    assert search["search"] == ((0.1, 100.0) if edge == HIGHEST else (0.01, 10.0))
    # The rates are scaled from batch 32, so that a plan trains it too: 512 alone would be a reference without warm-up.
    assert search["global_batches"] == (32, 512) and search["rules"] == ("tuned",)


def test_diverged_trials_are_never_chosen_where_another_completed() -> None:
    found = results(with_tuning(best={b: 5.0 for b in BATCHES}, diverged_above=0.9))
    for batch, one in tuned(found).items():
        lost = [trial for trial in one.trials if trial.lost]
        assert lost and not one.chosen.lost and one.lost_share == len(lost) / 8
        assert one.chosen.learning_rate < min(trial.learning_rate for trial in lost)
        assert not one.edge  # rates beyond were tried, and diverged
        assert any("trials diverged" in text for text in one.warnings)
    arm = next(arm for arm in load_arms(found) if arm.rule == "tuned")
    assert arm.batches == BATCHES and not arm.apart


def test_where_every_trial_diverged_the_batch_stands_apart() -> None:
    arm = next(arm for arm in load_arms(results(with_tuning(diverged_above=0.01))) if arm.rule == "tuned")
    assert arm.apart == {batch: "6 of 6 runs diverged" for batch in BATCHES}


def test_unfinished_trials_make_the_arm_partial_and_fewer_seeds_do_not_win(tmp_path: Path) -> None:
    study = with_tuning(best={512: 10 ** 0.25})
    made = records(study)
    best = tuned(results(study))[512].chosen
    late = [r["run_id"] for r in made if r["config"]["global_batch"] == 512 and r["config"]["seed"] > 0
            and r["config"]["base_learning_rate"] == best.learning_rate]
    assert len(late) == 5
    store = write_store(tmp_path, made)
    for run_id in late:
        (store.run(run_id).folder / "record.json").unlink()
    one = tuned(read(store))[512]
    assert one.partial and one.finished_trials == 7 and one.planned_trials == 8
    assert one.chosen.learning_rate != best.learning_rate and one.chosen.completed == 6
    assert "7 of 8 trials are finished, so the arm is partial" in one.warnings[0]


def test_of_halved_rates_each_is_finished_by_its_own_seeds_and_no_other_batch_s_rates_are_missed() -> None:
    """At 32 every rate went on to the end, the worst of them by three seeds; at 512 one more was tried beyond."""
    found = results(STUDY)
    tried = found.all_runs[found.all_runs["rule"] == "tuned"]
    early = tried[tried["global_batch"] == 32].assign(stops_after=2)
    beyond = tried[(tried["global_batch"] == 512) & (tried["trial"] == 0)].assign(trial=9)
    dropped = tried["global_batch"].eq(32) & tried["trial"].eq(3) & (tried["seed"] > 2)
    runs = pd.concat([tried[~dropped], early, beyond])
    statuses = runs[found.statuses.columns.intersection(runs.columns)]
    one = {each.global_batch: each for each in tuned_batches(runs, statuses)}[32]
    assert (one.finished_trials, one.planned_trials, one.partial, one.stopped) == (8, 8, False, ())
    assert [trial.completed for trial in one.trials if trial.trial == 3] == [3] and not one.warnings


def test_verdicts_say_which_rates_were_tuned() -> None:
    claim = next(verdict for verdict in decide(results(STUDY)) if verdict.number == 3)
    by_rule = {verdict.rule: verdict for verdict in (claim, *claim.others)}
    assert "At untuned rates." in by_rule["constant"].reason and "At tuned rates" not in by_rule["constant"].reason
    assert "At tuned rates" in by_rule["tuned"].reason and "untuned" not in by_rule["tuned"].reason
    assert by_rule["constant"].verdict == "supported" and by_rule["tuned"].verdict == "contradicted"
    assert claim.turned_round == ("tuned",) and "turns the answer round: at tuned rates it is" in claim.reason


def test_what_a_rule_leaves_on_the_table_is_the_paired_difference() -> None:
    study = with_tuning(gain={32: 0.02, 128: 0.02, 512: 0.02})
    section = built(sections_tuned.build, results(study))
    rows = {row[1]: row for row in section.tables[1].rows}
    assert rows["32"][2] == "all rules" and float(rows["32"][-1].split()[0]) == pytest.approx(2.0, abs=0.02)
    assert rows["512"][-1].startswith("+5.0") and "n = 6" in rows["512"][-1]  # 3 points lost, 2 gained
    figure, = section.figures
    assert "validation accuracy against the learning rate tried" in figure.title and "<svg" in figure.svg


def test_a_rule_that_lost_a_seed_has_no_difference() -> None:
    rows = pd.DataFrame({"seed": [0, 1], "status": ["completed", "diverged"], "test_accuracy": [0.9, math.nan]})
    best = pd.DataFrame({"seed": [0, 1], "status": "completed", "test_accuracy": [0.9, 0.91]})
    assert math.isnan(sections_tuned.advantage(best, rows).value)


def test_a_batch_that_equals_a_badly_tuned_reference_is_not_recommended() -> None:
    curves = {"constant": Curve()}  # as good at every batch, but 3 points below the tuned rate
    tuning = Tuning(gain={32: 0.03, 128: 0.03})
    study = replace(STUDY, experiments=(replace(TUNED, curves=curves, tuning=tuning),))
    decided = decide_of(Found(results(study)))
    chosen = decided.recommendations[0].option
    assert chosen is not None and chosen.rule == "tuned" and chosen.global_batch == 128
    assert {o.global_batch for o in decided.options if o.not_worse} == {32, 128}
    assert {o.rule for o in decided.options if o.not_worse} == {"tuned"}
    assert "batch 32 at its tuned rate" in decided.recommendations[0].reason
    assert "at rates tuned batch by batch" in decided.headlines[0]


def test_a_recommended_rate_at_the_edge_comes_with_a_caution() -> None:
    decided = decide_of(Found(results(with_tuning(best={512: 100.0}, gain={512: 0.3}, curvature=0.05))))
    one = decided.recommendations[0]
    assert one.option is not None and (one.option.rule, one.option.global_batch) == ("tuned", 512)
    assert one.caution.startswith("Caution: sgd, tuned arm at batch 512: the best rate, ")
    assert one.caution in decided.headlines[0] and one.to_json()["caution"] == one.caution


def test_the_report_and_its_files_hold_the_trials(tmp_path: Path) -> None:
    found = results(with_tuning(best={512: 100.0}))
    report.write_findings(Findings.of(found), tmp_path)
    decision = json.loads((tmp_path / "decision.json").read_text(encoding="utf-8"))
    last = decision["tuned"][-1]
    assert last["global_batch"] == 512 and last["edge"] == HIGHEST and len(last["trials"]) == 8
    assert any("widen `search`" in text for text in decision["warnings"])
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "what each rule leaves on the table" in page.lower()
    table = pd.read_csv(tmp_path / "results.csv")
    assert len(table) == len(found.statuses) == 6 * 3 * 9
    assert table.loc[table["rule"] == "tuned", "trial"].value_counts().to_dict() == {t: 18 for t in range(8)}


def test_an_experiment_tuned_alone_keeps_its_base_rate_in_the_next_plan() -> None:
    text = PLAN.replace('"constant", "sqrt", "tuned"', '"tuned"')
    assert {c.noise_batches for c in expand(text) if c.global_batch == 32} == {(1, 8)}
    made = [record for record in records(STUDY) if record["config"]["rule"] == "tuned"]
    found = from_records(made, {**manifest(STUDY, made), "text": text})
    arms = load_arms(found)
    assert [arm.rule for arm in arms] == ["tuned"]
    found = replace(found, tuned=tuple(replace(one, chosen=one.trials[0]) for one in found.tuned))
    search = next(gap.experiment for gap in missing(found, {"sgd": arms}) if gap.experiment["name"] == "sgd_search")
    assert search["learning_rate"] == 0.02 and search["trials"] == 5 and search["search"] == [0.025, 4.0]


def test_halton_s_points_halve_the_range_again_and_again() -> None:
    assert trial_rates(1.0, 7, (1, 256)) == [16, 4, 64, 2, 32, 8, 128]
