"""Pictures of a decision: what counts as the same is shaded, what is taken has a ring, and names do not touch."""

from __future__ import annotations

import re

import pytest

from batchscale.analysis.figures.compact import Bar, draw_bars
from batchscale.analysis.figures.lines import Axis, draw_lines, Panel, Series
from batchscale.analysis.figures.scatter import Dot, draw_scatter
from batchscale.analysis.figures.theme import GOOD, OTHERS, role, variable
from batchscale.analysis.statistics.estimate import Estimate, without_interval

DRAWN = True
LINE = Series("constant", role("constant"), ((32.0, without_interval(0.0, 5)), (512.0, Estimate(3.0, 2.5, 3.5, 5))))


def drawn(**more: object) -> str:
    return draw_lines(Panel("x", "x", Axis("batch", 2, (32.0, 512.0)), Axis("lost"), (LINE,),
                            **more)).svg  # type: ignore[arg-type]


def test_what_counts_as_the_same_is_shaded_and_the_choice_has_a_ring_and_a_name() -> None:
    plain, shown = drawn(), drawn(within=0.5, chosen=(512.0, 3.0, "512!"))
    assert variable(GOOD.light) not in plain and shown.count(variable(GOOD.light)) >= 2
    assert "512!" not in plain and re.search(r"<text[^>]*font-weight: 700; font-size: 11px[^>]*>512!</text>", shown)


@pytest.mark.parametrize(("chosen", "side"), [((512.0, 3.0, "here"), "end"), ((32.0, 0.0, "here"), "middle")])
def test_the_name_of_a_point_at_the_right_edge_is_written_to_its_left(chosen: tuple[float, float, str],
                                                                      side: str) -> None:
    name = re.search(r"<text[^>]*>here</text>", drawn(chosen=chosen))
    assert name is not None and f"text-anchor: {side}" in name[0]


def test_a_lower_panel_is_lower() -> None:
    heights = [float(re.search(r'viewBox="0 0 \S+ (\S+)"', drawn(height=height))[1])  # type: ignore[index]
               for height in (2.0, 3.0)]
    assert heights == [144.0, 216.0]


def test_bars_are_written_out_and_the_one_taken_stands_out() -> None:
    bars = [Bar("batch 32", Estimate(9.0, 8.0, 10.0, 3), "9.0 s"),
            Bar("batch 512", without_interval(3.0, 1), "3.0 s", True)]
    found = draw_bars("x", "x", "seconds", bars)
    assert all(text in found.svg for text in ("batch 32", "9.0 s", "batch 512", "3.0 s"))
    assert [row[:3] for row in found.rows] == [("batch 32", "", 9.0), ("batch 512", "taken", 3.0)]


def test_points_that_lie_on_each_other_have_one_name_and_each_group_its_own() -> None:
    near = [Dot("a", name, OTHERS[0], without_interval(x, 3), without_interval(0.9, 3), ringed=name == "512")
            for name, x in (("511", 10.0), ("512", 10.01), ("32", 100.0))]
    found = draw_scatter("x", "x", "device-seconds", "accuracy", [*near, Dot("b", "", OTHERS[1], without_interval(
        50.0, 3), without_interval(0.5, 3), filled=False)], percent=True)
    assert [name for name in ("511", "512", "32") if f">{name}</text>" in found.svg] == ["512", "32"]
    assert found.svg.count(">a</text>") == found.svg.count(">b</text>") == 1 and len(found.rows) == 4
