"""How the best rate grows with the batch, as the report and decision.json say it, for a tuned arm with known truth."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from matplotlib.figure import Figure
from support.report_sections import built
from support.synthetic_records import Curve, results, SGD, Study, Tuning

from batchscale.analysis.figures.contours import Contours, draw_contours
from batchscale.analysis.report.blocks import Section
from batchscale.analysis.report.findings import Findings
from batchscale.analysis.report.sections.accuracy import best_rates
from batchscale.analysis.study.tuning.rate_laws import TunedLaw
from batchscale.analysis.tables.results import Results
from batchscale.benchmarks.schedules.rules import POWERS

DRAWN = True
BATCHES = (32, 128, 512, 2048)
LOSSY = Curve(accuracy_gap={128: 0.005, 512: 0.02, 2048: 0.05})


@cache
def study(exponent: float = 0.7, batches: tuple[int, ...] = BATCHES, last: float = 0.0) -> Results:
    """Tables of a tuned arm whose best rate grows with this exponent; last: another best one at the largest batch, as a
    multiple of the square-root rule's."""
    best = {batch: (batch / 32) ** (exponent - 0.5) for batch in batches}
    if last:
        best[batches[-1]] = last
    tuning = Tuning(best=best, gain={128: -0.001, 512: -0.004, 2048: -0.012}, curvature=0.03)
    tuned = replace(SGD, batches=batches, noise_batches=(), tuning=tuning,
                    curves={"constant": LOSSY, "linear": LOSSY, "sqrt": LOSSY})
    return results(Study(experiments=(tuned,), timing=None, memory=None, noise=1e-3))


def law(found: Results) -> TunedLaw:
    one, = Findings.of(found).study.rate_laws
    return one


def words(section: Section) -> str:
    return " ".join(section.text)


@pytest.mark.parametrize("exponent", [0.3, 0.7])
def test_the_exponent_of_a_tuned_arm_is_found_and_said_beside_the_rules(exponent: float) -> None:
    found = law(study(exponent)).law
    assert found is not None and found.exponent.low < exponent < found.exponent.high
    assert found.exponent.value == pytest.approx(exponent, abs=0.06)
    said = words(built(best_rates.build, study(exponent)))
    assert re.search(r"grows as batch\^a with a = 0\.\d+ \(0\.\d+ to 0\.\d+, n = 4 batches\)", said)
    assert "holds none of the rules" in said and "the linear rule (1), far below the noise scale" in said


def test_the_next_rates_follow_the_line_and_reach_no_farther_than_a_law_may_be_believed() -> None:
    found = law(study())
    assert list(found.next_rates) == [4096, 8192]
    for batch, rate in found.next_rates.items():
        assert rate.low < 0.01 * (batch / 32) ** 0.7 < rate.high
    assert "at batch 8,192" in words(built(best_rates.build, study()))


def test_a_best_rate_at_the_edge_is_said_to_lie_beyond_and_is_no_point_of_the_line() -> None:
    edged = law(study(last=20.0))
    assert [one.beyond for one in edged.best] == ["", "", "", "above"] and edged.law is not None
    assert edged.law.exponent.high > 0.95 and edged.law.exponent.value < 0.85
    section = built(best_rates.build, study(last=20.0))
    assert any("at or above 0.450, the edge" in cell for table in section.tables for row in table.rows for cell in row)
    assert "Triangles" in section.figures[0].caption


def test_two_batches_have_no_exponent_and_say_why() -> None:
    found = study(batches=(32, 128))
    assert law(found).law is None and law(found).next_rates == {}
    section = built(best_rates.build, found)
    assert "no exponent, for rates were compared at 2 of the 3 batches" in words(section) and not section.figures


def test_the_picture_shows_every_rule_s_rates_the_best_ones_and_the_surface() -> None:
    figure, = built(best_rates.build, study()).figures
    shown = {str(row[0]) for row in figure.rows}
    assert shown == {"measured", *POWERS, ""} and set(POWERS) >= {"constant", "linear", "sqrt"}
    last = {row[0]: row[2] for row in figure.rows if row[1] == pytest.approx(2048)}
    assert last["constant"] == pytest.approx(0.01) and last["sqrt"] == pytest.approx(0.08)
    dots = {row[1]: row[2] for row in figure.rows if row[0] == ""}
    assert dots[512.0] == pytest.approx(0.01 * 16 ** 0.7, rel=0.1)
    assert re.search(r">\d+(\.\d)? %<", figure.svg), "no contour has its value"


def test_contours_leave_the_limits_of_the_axes_as_they_are() -> None:
    axes = Figure().add_subplot()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 2)
    places = np.linspace(-5.0, 5.0, 11)
    draw_contours(axes, Contours(places, places, places[:, None] ** 2 + places ** 2))
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 1), (0, 2)) and len(axes.collections) == 1
    draw_contours(axes, None)
    assert len(axes.collections) == 1


def test_decision_json_has_the_law_with_its_prior_and_where_a_rate_lies_beyond() -> None:
    found = Findings.of(study(last=20.0)).to_json()
    one, = json.loads(json.dumps(found["rate_laws"], allow_nan=False))
    assert one["exponent"]["n"] == 4 and one["exponent"]["low"] < one["exponent"]["value"] < one["exponent"]["high"]
    assert one["best_rates"][-1]["lies_beyond"] == "above" and one["best_rates"][-1]["learning_rate"]["high"] is None
    assert "McCandlish" in one["prior"]["source"]
    assert [each["global_batch"] for each in one["next_rates"]] == [4096, 8192]
