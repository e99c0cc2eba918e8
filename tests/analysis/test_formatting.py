"""Numbers, their intervals, words and tables as reports write them."""

from __future__ import annotations

from dataclasses import replace
from math import nan

import pytest

from batchscale.analysis import formatting
from batchscale.analysis.formatting import brief, degenerate, estimated, percentage, table, written_seconds
from batchscale.analysis.statistics.estimate import Estimate, unknown
from batchscale.analysis.tables.outcome import ACCURACY
from batchscale.benchmarks.text import byte_count, counted, duration, listed, number


@pytest.mark.parametrize(("value", "text"), [
    (48_000.0, "48,000"), (0.01234, "0.0123"), (0.0, "0"), (-1.5, "-1.50"), (1e-9, "1.00e-09"), (nan, "not known")])
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


def test_estimates_carry_interval_and_n() -> None:
    assert estimated(Estimate(2.0, 1.5, 2.5, 6, "seeds"), "s") == "2.00 s (1.50 to 2.50, n = 6 seeds)"
    assert percentage(Estimate(0.9, 0.88, 0.92, 6)) == "90.0 % (88.0 to 92.0, n = 6)"
    assert percentage(Estimate(0.01, -0.01, 0.03, 6), signed=True) == "+1.0 points (-1.0 to +3.0, n = 6)"
    assert brief(Estimate(1730.0, 910.0, 3280.0, 6), "examples") == "1,730 examples (910 to 3,280)"
    assert brief(unknown()) == "not known" and brief(Estimate(7.0, nan, nan, 1)) == "7.00"
    assert written_seconds(Estimate(2.862, 2.6, 3.1, 3), of_devices=True) == "2.86 device-seconds (2.60 to 3.10)"
    assert written_seconds(Estimate(0.0281, 0.013, 0.064, 3)) == "28 ms (13 to 64)"
    assert estimated(unknown(3)) == "not known (n = 3)"
    assert estimated(Estimate(7.0, nan, nan, 1, "launches"), "s") == "7.00 s (no interval, n = 1 launch)"


@pytest.mark.parametrize(("value", "low", "high", "text"), [
    (27.0712, 22.4193, 32.0077, "27.1 (22.4 to 32.0, n = 6)"), (438_460.0, 1_192.0, 918_112.0,
                                                                "440,000 (1,000 to 920,000, n = 6)"),
    (2_156_171.0, 2_057_768.0, 2_264_564.0, "2,160,000 (2,060,000 to 2,260,000, n = 6)"),
    (0.381, 0.192, 124.3, "0.38 (0.19 to 120, n = 6)"), (16.11, 1.994, 30.24, "16 (2 to 30, n = 6)"),
    (0.0012, -0.0003, 0.0027, "0.0012 (-0.0003 to 0.0027, n = 6)"), (1.0, 0.5, float("inf"),
                                                                     "1.00 (0.50 to unbounded, n = 6)"),
    (99.6, 89.64, 109.56, "100 (90 to 110, n = 6)")])
def test_an_interval_leads_the_digits_of_what_it_is_about(value: float, low: float, high: float, text: str) -> None:
    assert estimated(Estimate(value, low, high, 6)) == text


def test_an_interval_narrower_than_can_be_resolved_is_not_printed() -> None:
    steps = Estimate(951.6, 951.6, 951.6 + 1e-13, 4, "runs")
    assert estimated(steps) == "952 (alike, n = 4 runs)" and brief(steps) == "952"
    accuracy = Estimate(0.9361, 0.9356, 0.9366, 6, "seeds")
    assert percentage(accuracy) == "93.61 % (93.56 to 93.66, n = 6 seeds)"
    few, many = (replace(ACCURACY, resolution=1 / examples) for examples in (360, 10_000))
    assert few.level(accuracy) == "93.6 % (closer than can be told, n = 6 seeds)"
    assert many.level(accuracy) == percentage(accuracy)
    assert degenerate(accuracy, 1 / 360) and not degenerate(accuracy, 1 / 10_000)
    assert not degenerate(unknown(), 1.0)


def test_words() -> None:
    assert counted(1, "run") == "1 run" and counted(1200, "run") == "1,200 runs"
    assert listed("abc") == "a, b and c" and listed([]) == "" and listed("abcd", most=2) == "a, b and 2 more"
    assert duration(42) == "42 s" and duration(200) == "3 min 20 s" and duration(7500) == "2 h 5 min"
    assert byte_count(3 * 2**20) == "3.00 MiB"


def test_long_tables_say_how_much_is_not_shown() -> None:
    (made,) = table(("n",), ([n] for n in range(50)), longest=40)
    assert len(made.rows) == 40 and made.left_out == 10
    assert table(("n",), ()) == ()


def test_markdown_text_stays_text() -> None:
    assert formatting.plain("a|b\n<c> [d](e)") == r"a\|b \<c\> \[d\]\(e\)"
