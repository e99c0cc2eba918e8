"""Figures are SVG text that a page can colour, with real batch sizes, labels that do not touch, and no scripts."""

from __future__ import annotations

import json
import math
import re
import xml.etree.ElementTree as ElementTree

import pytest

from batchscale.analysis.figures.bars import draw_rows, draw_stack, Row
from batchscale.analysis.figures.lines import Axis, draw_lines, Panel, Series, short, spread, thinned
from batchscale.analysis.figures.svg import standalone
from batchscale.analysis.figures.theme import GOOD, OTHERS, palette, role, RULE_ROLES, RULES, STRATEGY_ROLES, variable
from batchscale.analysis.statistics.estimate import Estimate, unknown, without_interval

DRAWN = True
SCRIPT = "<script>alert(1)</script>"
BATCHES = (32.0, 128.0, 512.0, 48_000.0)


def line(name: str, values: tuple[float, ...] = (0.9, 0.88, 0.86, 0.5)) -> Series:
    points = tuple((batch, Estimate(v, v - 0.01, v + 0.01, 6)) for batch, v in zip(BATCHES, values))
    return Series(name, role(name), points)


def accuracy_panel(*series: Series) -> str:
    return draw_lines(Panel("p", "accuracy", Axis("global batch", 2, BATCHES), Axis("accuracy", percent=True),
                            series)).svg


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_batches_are_written_as_they_are_and_lines_carry_their_names() -> None:
    written = texts(accuracy_panel(line("constant"), line("linear", (0.9, 0.9, 0.9, 0.89))))
    assert {"32", "128", "512", "48,000", "constant", "linear", "global batch"} <= set(written)


def test_colours_are_variables_of_the_page_so_that_dark_pages_can_change_them() -> None:
    svg = accuracy_panel(line("constant"), line("sqrt"))
    for name in ("constant", "sqrt"):
        assert f"var({variable(RULES[name].light)})" in svg
        assert RULES[name].light not in svg
    assert "currentColor" in svg
    for element in re.findall(r"#[0-9a-f]{6}", svg):
        pytest.fail(f"{element} would not follow the page")


def test_no_two_meanings_share_a_colour() -> None:
    roles = (*RULE_ROLES, *STRATEGY_ROLES, *OTHERS, GOOD)
    assert len({r.light for r in roles}) == len({r.dark for r in roles}) == len(roles)
    assert palette(dark=False).count("--c") == len(roles)


def contrast(colour: str, page: str) -> float:
    """WCAG 2.1 contrast ratio of two sRGB colours."""
    def luminance(text: str) -> float:
        channels = [int(text[i:i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    bright, dim = sorted((luminance(colour), luminance(page)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def test_labels_can_be_read_on_light_and_on_dark_pages() -> None:
    for each in (*RULE_ROLES, *STRATEGY_ROLES, *OTHERS):
        assert contrast(each.light, "#ffffff") >= 4.5
        assert contrast(each.dark, "#161d25") >= 4.5


def test_intervals_are_drawn_where_there_are_any() -> None:
    without = Series("constant", role("constant"), ((32.0, Estimate(0.9, math.nan, math.nan, 1)),))
    drawn = [accuracy_panel(series).count('<g data-series="0"') for series in (line("constant"), without)]
    assert drawn[0] == drawn[1] + 1


def test_values_that_are_not_finite_are_left_out_and_an_empty_panel_says_so() -> None:
    broken = Series("constant", role("constant"), ((32.0, unknown()), (math.nan, Estimate(1, 0, 2, 3))))
    assert "no finite values" in texts(accuracy_panel(broken))


def test_what_is_not_positive_has_no_place_on_a_logarithmic_axis() -> None:
    points = ((1.0, Estimate(-1.0, -2.0, 0.0, 3)), (2.0, Estimate(2.0, -1.0, 5.0, 3)), (4.0, Estimate(8, 7, 9, 3)))
    svg = draw_lines(Panel("p", "t", Axis("x", 2), Axis("y", 10), (Series("s", role("s"), points),))).svg
    assert "nan" not in svg and "inf" not in svg


def test_lost_runs_are_drawn_as_crosses_with_their_number() -> None:
    panel = Panel("p", "t", Axis("batch", 2, BATCHES), Axis("y"), (line("linear"),),
                  lost=((512.0, role("linear"), "2 of 6"),))
    assert "2 of 6" in texts(draw_lines(panel).svg)


def test_ids_carry_the_figure_s_name_so_that_many_fit_on_one_page() -> None:
    svg = accuracy_panel(line("constant"))
    assert set(re.findall(r'\bid="([^-"]*)', svg)) == {"p"}
    for target in re.findall(r'(?:href="#|url\(#)([^")]+)', svg):
        assert f'id="{target}"' in svg


def test_nothing_is_written_that_does_nothing_or_again_and_again() -> None:
    """A page with many figures is a third smaller for it."""
    drawn = accuracy_panel(line("constant"), line("linear"))
    used = set(re.findall(r"#([\w.-]+)", drawn))
    assert used and set(re.findall(r' id="([^"]*)"', drawn)) == used
    assert "rotate(-0" not in drawn and not re.search(r">\s+<", drawn)
    styles = re.findall(r' style="([^"]*)"', drawn)
    assert not [style for style in styles if "var(--c" not in style and styles.count(style) > 2]
    classes = set(re.findall(r' class="(p-s[^"]*)"', drawn))
    assert classes and all(f".{one}{{" in drawn for one in classes)


def test_hostile_names_stay_text() -> None:
    svg = accuracy_panel(Series("<script>alert(1)</script>", role("x"), line("x").points))
    assert "<script" not in svg
    assert "<script>alert(1)</script>" in texts(svg)


def test_dollar_signs_are_text_and_no_formula() -> None:
    assert "cost $a_b$" in texts(accuracy_panel(Series("cost $a_b$", role("x"), line("x").points)))


def test_a_file_of_its_own_brings_both_colour_schemes() -> None:
    text = standalone(accuracy_panel(line("constant")))
    assert "prefers-color-scheme:dark" in text
    assert "<circle" in text and ".points circle{fill:none}" in text  # in a page its own style hides them
    ElementTree.fromstring(text)


@pytest.mark.parametrize("wanted", [[], [0.5], [0.5, 0.5, 0.5], [0.0, 0.01, 0.9, 1.0], [1.0] * 6, [0.0] * 4])
def test_labels_never_touch_and_stay_on_the_panel(wanted: list[float]) -> None:
    places = spread(wanted, gap=0.1)
    assert all(b - a >= 0.1 - 1e-9 for a, b in zip(places, places[1:]))
    assert all(-1e-9 <= place <= 1 + 1e-9 for place in places)


def test_labels_with_room_stay_where_they_are_wanted() -> None:
    assert spread([0.1, 0.5, 0.9], gap=0.1) == pytest.approx([0.1, 0.5, 0.9])


def test_ticks_are_thinned_but_the_ends_stay() -> None:
    assert thinned([float(n) for n in range(1, 101)], 0)[::len(thinned([float(n) for n in range(1, 101)], 0)) - 1] \
        == (1.0, 100.0)
    assert thinned(BATCHES, 2) == BATCHES
    doubled = tuple(64.0 * 2 ** power for power in range(8))  # "1,024", "2,048" and "4,096" would touch
    assert thinned(doubled, 2) == (64, 128, 256, 512, 2048, 8192)


@pytest.mark.parametrize(("value", "text"), [(0.0, "0"), (48_000.0, "48,000"), (0.001, "0.001"), (1e-7, "1e-7"),
                                             (2.5, "2.5"), (1e9, "1e9")])
def test_tick_numbers(value: float, text: str) -> None:
    assert short(value) == text


def test_rows_say_what_is_not_known() -> None:
    svg = draw_rows("r", "t", "examples", [Row("noise", Estimate(900, 500, 1500, 6), role("a")),
                                           Row("steps", unknown(), role("b"))], log=True).svg
    assert {"noise", "steps", "not known", "900"} <= set(texts(svg))


def test_rows_on_a_short_logarithmic_axis_have_numbers_for_ticks() -> None:
    svg = draw_rows("r", "t", "examples", [Row("steps", Estimate(1080, 778, 1507, 18), role("a"))], log=True).svg
    found = set(texts(svg))
    assert not [text for text in found if "$" in text or "math" in text]
    assert len([text for text in found if text.replace(",", "").isdigit()]) >= 3


def test_stacks_name_their_parts() -> None:
    stack = draw_stack("s", "t", "seconds", ["sgd", "adam"],
                       [("data", role("a"), [1, 2]), ("train", role("b"), [3, 4])])
    assert {"sgd", "adam", "data", "train"} <= set(texts(stack.svg))


def test_every_point_says_its_value_and_how_it_is_repeated_without_a_script() -> None:
    points = tuple((batch, Estimate(0.9, 0.89, 0.91, 6, "seeds")) for batch in BATCHES)
    runs = {batch: f"rule=linear,global_batch={batch:.0f}" for batch in BATCHES}
    svg = accuracy_panel(line("constant"), Series("linear", role("linear"), points, runs=runs),
                         Series("law", role("sqrt"), tuple((x, without_interval(0.9, 0)) for x in BATCHES), band=True))
    root = ElementTree.fromstring(svg)
    marks = [one for one in root.iter() if one.tag.endswith("circle")]
    assert len(marks) == 2 * len(BATCHES), "the points of a law are no measurements"
    last = marks[-1].attrib
    assert last["aria-label"] == "linear, 48,000: 90.0 % (89.0 to 91.0, n = 6 seeds)"
    assert (last["data-v"], last["data-n"], last["data-runs"]) == ("0.9 0.89 0.91", "6", runs[48_000.0])
    assert [mark.get("tabindex") for mark in marks] == ["0", *[None] * (len(marks) - 1)]
    hidden = [one for one in root if one.get("aria-hidden") == "true"]
    assert len(hidden) == 1 and not any(one.get("tabindex") for one in hidden[0].iter())


def test_marks_stand_where_the_points_are_drawn() -> None:
    """matplotlib's own coordinates of the markers, which it writes as places of a symbol."""
    svg = accuracy_panel(Series("constant", role("constant"), ((32.0, Estimate(0.9, 0.8, 1.0, 6)),
                                                               (512.0, Estimate(0.7, 0.6, 0.8, 6)))))
    line_of = re.search(r'<g data-series="0">.*?</g>\s*</g>', svg, flags=re.DOTALL)
    assert line_of is not None
    drawn = [(float(x), float(y)) for x, y in re.findall(r'<use [^>]*x="([\d.]+)" y="([\d.]+)"', line_of[0])]
    marked = [(float(x), float(y)) for x, y in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', svg)]
    assert len(marked) == 2 and drawn == [pytest.approx(place, abs=0.1) for place in marked]


def test_names_in_marks_stay_text() -> None:
    odd = '<b> & "c"'
    panel = Panel("p", odd, Axis(odd, 2, BATCHES), Axis(odd), (Series(odd, role(odd), line("x").points),))
    root = ElementTree.fromstring(draw_lines(panel).svg)
    assert root.get("data-x") == odd and json.loads(root.get("data-names", "")) == [odd]


def test_panels_escape_names_in_their_svg() -> None:
    drawn = draw_stack("stack", SCRIPT, SCRIPT, [SCRIPT], [(SCRIPT, RULES["tuned"], [1.0])]).svg
    assert "<script" not in drawn and "&lt;script&gt;" in drawn
