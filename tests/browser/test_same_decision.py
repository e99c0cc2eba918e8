"""The page decides as the command line does: 1,000 random settings of margin, price and deadline on each study."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from simulation import decision as simulated, sequential
from simulation.accuracy_tables import Arms, results as tables_of, shared_key
from support.stored_study import SMALL
from support.synthetic_records import change, manifest, records, results, Timing

from batchscale.analysis.decision.candidates import table_of
from batchscale.analysis.decision.grounds import grounds_of
from batchscale.analysis.decision.options import Option, options
from batchscale.analysis.decision.recommendation import cheapest_in_time, recommend
from batchscale.analysis.report.live import SCRIPTS, STATIC
from batchscale.analysis.study.study import Study
from batchscale.analysis.tables.reading import from_records
from batchscale.analysis.tables.results import Results
from batchscale.benchmarks.schedules.rules import TUNED_RULE

pytestmark = pytest.mark.browser
pytest_plugins = ("support.browser",)
WORTHWHILE = 0.5
PAIRS, DEADLINES = 40, 25
"""Settings of margin and price, and deadlines tried with each of them."""


def timed_study() -> Results:
    """SGD loses under two of three rules; two replicas of two strategies were timed at the trained batches."""
    study = replace(SMALL, timing=Timing(replica_batches=(16, 32, 256, 512), global_batches=(32, 512), noise=0.02),
                    experiments=SMALL.experiments[:1])
    study = change(study, "sgd", "constant", accuracy_gap={512: 0.01}, loss_gap={512: 0.2})
    return results(change(study, "sgd", "sqrt", accuracy_gap={512: 0.004}))


def tuned_study() -> Results:
    """Three rules and a tuned arm, at batches that lose more and more."""
    noise = np.random.default_rng(3)
    offset = noise.normal(0, simulated.OFFSET, 6)
    values = {shared_key(32): 0.9 + offset + noise.normal(0, 0.002, 6)}
    for place, rule in enumerate(("constant", "linear", "sqrt")):
        for batch, lost in ((128, 0.002), (512, 0.004), (2048, 0.02)):
            values[rule, -1, batch] = 0.9 - lost * (1 + place / 2) + offset + noise.normal(0, 0.002, 6)
    for trial in range(3):
        for batch in (32, 128, 512):
            values[TUNED_RULE, trial, batch] = 0.9 - 0.01 * (trial != 1) + offset + noise.normal(0, 0.002, 6)
    return tables_of(Arms(values, values, (5000, 5000)))


def loss_study() -> Results:
    """Runs without an accuracy are judged by their loss."""
    study = change(replace(SMALL, timing=None, memory=None, experiments=SMALL.experiments[1:]), "adam", "linear",
                   loss_gap={512: 0.03})
    made = records(study)
    for record in made:
        for row in record["evaluations"]:
            row.update({name: None for name in row if name.endswith("accuracy")})
    return from_records(made, manifest(study, made))


def looks_study() -> Results:
    """Seeds that are decided by looks and share their examples: each batch has those of another look."""
    losses = {"constant": (0.0, 0.0025, 0.02), "sqrt": (0.0, 0.001, 0.004)}
    whole = sequential.study(np.random.default_rng(5), losses, shared=True)["looks"]
    taken = {32: 10, 128: 5, 512: 10, 2048: 3}
    runs, evaluations, statuses = (frame[frame["seed"] < frame["global_batch"].map(taken)].reset_index(drop=True)
                                   for frame in (whole.runs, whole.evaluations, whole.statuses))
    return replace(whole, runs=runs, evaluations=evaluations, statuses=statuses)


STUDIES = {"timed": timed_study, "tuned": tuned_study, "loss": loss_study, "looks": looks_study}


def settings_of(seed: int) -> list[dict[str, float]]:
    """Random settings; deadlines lie around the times that small models take."""
    chance = np.random.default_rng(seed)
    return [{"margin": 10 ** chance.uniform(-3.5, -0.7), "loss_margin": 10 ** chance.uniform(-3, -0.31),
             "price": round(float(chance.uniform(0, 10)), 2)} for _ in range(PAIRS)]


def by_python(found: Results, one: dict[str, float], deadlines: list[float]) -> Iterator[dict[str, Any]]:
    """The decision as `batchscale report` comes to it, one for each deadline."""
    study = Study(found.under(margin=one["margin"], loss_margin=one["loss_margin"],
                              price_per_device_hour=one["price"]))
    (arms,) = study.arms_by_experiment.values()
    measured, grounds = options(arms, study.results), grounds_of(arms, study.results)
    sound = grounds.sound(measured)
    chosen = grounds.judged(recommend(arms, sound, WORTHWHILE)).option if not grounds.refusal else None
    p_values = [None if math.isnan(option.p_value) else option.p_value for option in measured]
    for deadline in deadlines:
        in_time = None if grounds.refusal else cheapest_in_time(sound, deadline)[0]
        yield {"chosen": named(chosen), "in_time": named(in_time), "p": p_values,
               "worse": [option.not_worse for option in measured],
               "money": [None if math.isnan(option.money.value) else option.money.value for option in measured]}


def named(option: Option | None) -> list[object] | None:
    return None if option is None else [option.global_batch, option.rule, option.rate, option.replicas,
                                        option.placement]


def table_for(found: Results) -> dict[str, Any]:
    study = Study(found)
    (arms,) = study.arms_by_experiment.values()
    measured, grounds = options(arms, found), grounds_of(arms, found)
    return table_of(arms, measured, grounds, recommend(arms, grounds.sound(measured), WORTHWHILE), WORTHWHILE, found)


BY_PAGE = """([table, all]) => all.map((settings) => {
  const named = (one) => one ? [one.batch, one.rule, one.rate, one.replicas, one.placement] : null;
  const found = decision.decide(table, settings);
  return {chosen: named(found.option), in_time: named(found.deadline.option),
          p: found.options.map((one) => Number.isNaN(one.p) ? null : one.p),
          worse: found.options.map((one) => one.notWorse), money: found.options.map((one) => one.money)};
})"""


@pytest.fixture(scope="module")
def page(browser: Any) -> Iterator[Any]:
    """An empty page with the scripts that decide."""
    found = browser.new_page()
    for name in SCRIPTS[:2]:
        found.add_script_tag(content=(STATIC / f"{name}.js").read_text(encoding="utf-8"))
    yield found
    found.close()


@pytest.mark.parametrize("name", STUDIES)
def test_the_page_decides_as_the_command_line(name: str, page: Any) -> None:
    found = STUDIES[name]()
    seconds = [option.seconds.value for option in options(*arms_and(found))]
    chance = np.random.default_rng(5)
    expected, given = [], []
    for one in settings_of(11):
        deadlines = [float(value) for value in chance.uniform(0.3 * min(seconds), 1.5 * max(seconds), DEADLINES)]
        expected += list(by_python(found, one, deadlines))
        given += [{**one, "deadline": deadline} for deadline in deadlines]
    told = page.evaluate(BY_PAGE, [table_for(found), given])
    assert len(told) == 1000
    for mine, theirs in zip(expected, told):
        assert {**theirs, "p": 0, "money": 0} == {**mine, "p": 0, "money": 0}
        for key in ("p", "money"):
            assert theirs[key] == [value if value is None else pytest.approx(value, abs=1e-9) for value in mine[key]]
    assert len({str(one["chosen"]) for one in expected}) > 1, "settings that never change the answer test nothing"


def arms_and(found: Results) -> tuple[Any, Results]:
    (arms,) = Study(found).arms_by_experiment.values()
    return arms, found


def test_students_tail_is_as_precise_as_scipys(page: Any) -> None:
    chance = np.random.default_rng(1)
    freedom = np.exp(chance.uniform(np.log(0.5), np.log(1e4), 2000))
    t = chance.standard_cauchy(2000) * 2
    told = page.evaluate("([t, f]) => t.map((value, at) => student.above(value, f[at]))",
                         [t.tolist(), freedom.tolist()])
    np.testing.assert_allclose(told, stats.t.sf(t, freedom), rtol=0, atol=1e-12)
