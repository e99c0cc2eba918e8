"""The report in Chromium: points, legends, tables and settings answer; nothing is asked of the network."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.chromium import axe_script, DESKTOP, opened, PHONE

pytestmark = pytest.mark.browser
pytest_plugins = ("support.browser",)
GAP = "svg[data-figure='w0-batchgap']"


@pytest.fixture
def page(browser: Any, url: str) -> Iterator[Any]:
    with opened(browser, url) as found:
        yield found


def middle(page: Any, point: Any) -> tuple[float, float]:
    """Where a point is on the screen, scrolled to."""
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def point_of(page: Any, series: str, x: str, figure: str = GAP) -> Any:
    return page.locator(f"{figure} circle[aria-label^='{series}, {x}: ']")


def test_the_pointer_reads_every_value_with_its_interval_and_the_command_that_repeats_it(page: Any) -> None:
    point = point_of(page, "constant", "512")
    page.mouse.move(*middle(page, point))
    told = page.locator(".tip").inner_text()
    value, low, high = map(float, point.get_attribute("data-v").split())
    assert low < value < high and 0.03 < value < 0.07
    assert "constant" in told and "512" in told and "n = 5" in told
    assert point.get_attribute("aria-label").partition(": ")[2] in told
    assert ("batchscale run mine.toml --only 'experiment=sgd,rule=constant,global_batch=512' "
            "--results results/again") in told
    page.mouse.move(2, 2)
    page.locator(".tip").wait_for(state="hidden")


def test_a_tap_pins_a_value_and_escape_puts_it_away(browser: Any, url: str) -> None:
    with opened(browser, url, PHONE, has_touch=True) as page:
        page.touchscreen.tap(*middle(page, point_of(page, "constant", "512")))
        box = page.locator(".tip.pinned").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= PHONE[0]
        page.keyboard.press("Escape")
        assert page.locator(".tip").is_hidden()


def test_a_chart_is_one_stop_of_the_keyboard_and_arrows_move_in_it(page: Any) -> None:
    assert page.locator(f"{GAP} [tabindex='0']").count() == 1
    page.locator(f"{GAP} [tabindex='0']").focus()
    seen = [page.evaluate("document.activeElement.getAttribute('aria-label')")]
    for key in ("ArrowRight", "ArrowDown", "Home"):
        page.keyboard.press(key)
        seen.append(page.evaluate("document.activeElement.getAttribute('aria-label')"))
    assert [label.partition(":")[0] for label in seen] == ["constant, 32", "constant, 512", "linear, 512", "linear, 32"]
    assert "linear" in page.locator(".tip").inner_text()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.textContent") == "Copy the command that repeats it"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == seen[-1]
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('svg')") is None


def test_every_point_of_every_chart_says_its_value(page: Any) -> None:
    points = page.evaluate("""[...document.querySelectorAll('svg[data-names]')].map((svg) => [svg.dataset.figure,
        [...svg.querySelectorAll('.points circle')].map((point) => point.getAttribute('aria-label'))])""")
    assert len(points) > 15
    assert [name for name, labels in points if not labels] == []
    assert all(re.search(r": \S", label) for _, labels in points for label in labels)


def test_series_switch_off_and_on_from_the_legend(page: Any) -> None:
    button = page.locator(f"{GAP} + .legend button", has_text="linear")
    line = page.locator(f"{GAP} g[aria-hidden] [data-series='1']").first
    assert button.get_attribute("aria-pressed") == "true" and line.is_visible()
    button.click()
    assert button.get_attribute("aria-pressed") == "false" and not line.is_visible()
    assert point_of(page, "linear", "512").is_hidden()
    button.press("Enter")
    assert line.is_visible()


def column(page: Any, table: str, at: int) -> list[str]:
    return [row.locator("td").nth(at).inner_text() for row in page.locator(table).locator("tbody tr").all()
            if row.is_visible()]


def test_tables_sort_by_any_column_and_back(page: Any) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    table = "#accuracy table >> nth=0"
    head = page.locator(table).locator("thead th", has_text="batch").first
    before = column(page, table, 2)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    numbers = [int(text.replace(",", "")) for text in column(page, table, 2)]
    assert numbers == sorted(numbers) != [int(text.replace(",", "")) for text in before]
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert [int(text.replace(",", "")) for text in column(page, table, 2)] == numbers[::-1]
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") is None and column(page, table, 2) == before


def test_a_column_of_durations_sorts_by_time(page: Any) -> None:
    order = page.evaluate("""['3 min 20 s', '42 s', '1 h 5 min', '25 ms', 'not known'].map(tables.numberOf)""")
    assert order[:4] == [200, 42, 3900, 0.025] and order[4] is None or order[4] != order[4]


def test_long_tables_filter_by_words(page: Any) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    label = page.locator(".filter").first
    rows = label.locator("xpath=following::table[1]").locator("tbody tr").all()
    everything = [row.inner_text().lower() for row in rows]
    words = max(everything[0].split(), key=len), max(everything[-1].split(), key=len)
    for word in words:
        label.locator("input").fill(word)
        shown = [row.inner_text().lower() for row in rows if row.is_visible()]
        assert shown == [text for text in everything if word in text]
        assert f"{len(shown)} of {len(rows)} rows" in label.inner_text()
    label.locator("input").fill("no row has this")
    assert not any(row.is_visible() for row in rows)
    label.locator("input").fill("")
    assert all(row.is_visible() for row in rows) and len(rows) >= 8


def decided(page: Any) -> dict[str, str]:
    return {one.get_attribute("data-experiment"): one.inner_text() for one in page.locator("#decide article").all()}


def test_as_written_the_page_says_what_decision_json_says(page: Any, report_folder: Path) -> None:
    told = decided(page)
    for one in json.loads((report_folder / "decision.json").read_text(encoding="utf-8"))["recommendations"]:
        option = one["option"]
        said = f"Batch {option['global_batch']:,}, learning rate {option['learning_rate']:.3g}"
        assert said in told[one["experiment"]]
        assert f"({option['placement']})" in told[one["experiment"]]
    assert page.locator(".command").inner_text() == "batchscale report results/mine"


def test_another_margin_decides_otherwise_and_a_link_brings_it_back(browser: Any, url: str) -> None:
    with opened(browser, url) as page:
        before = decided(page)
        page.fill("#margin", "10")
        page.fill("#price", "3")
        page.fill("#deadline", "2h")
        page.locator(f"{GAP} + .legend button", has_text="linear").click()
        after, link = decided(page), page.url
        assert after["sgd"] != before["sgd"] and "in money" in after["sgd"] and "Within 2 h 0 min" in after["sgd"]
        assert page.locator(".command").inner_text().endswith("--margin 0.1 --price 3 --deadline 2h")
    with opened(browser, link) as page:
        assert decided(page) == after
        assert page.input_value("#margin") == "10" and page.input_value("#deadline") == "2h"
        assert point_of(page, "linear", "512").is_hidden()
        page.click("text=As the report was written")
        assert decided(page) == before and "margin" not in page.url


@pytest.mark.parametrize(("field", "text", "rule"), [("margin", "0", "above 0"), ("margin", "50", "up to 20"),
                                                     ("price", "-1", "0 or more"), ("deadline", "soon", "90s")])
def test_a_setting_that_cannot_be_is_told_and_changes_nothing(page: Any, field: str, text: str, rule: str) -> None:
    before = decided(page)
    page.fill(f"#{field}", text)
    assert rule in page.locator(f"#{field}-error").inner_text() and decided(page) == before
    assert page.locator(f"#{field}").get_attribute("aria-invalid") == "true"


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_nothing_serious_and_all_fits_the_screen(browser: Any, url: str, size: tuple[int, int],
                                                           colours: str) -> None:
    with opened(browser, url, size, color_scheme=colours, bypass_csp=True) as page:
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        point = point_of(page, "constant", "512")
        page.mouse.click(*middle(page, point))
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        page.evaluate(axe_script())
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    serious = [(one["id"], one["help"], [node["html"][:150] for node in one["nodes"][:3]]) for one in
               found["violations"] if one["impact"] in ("serious", "critical")]
    assert serious == []


def test_without_scripts_the_page_still_has_every_number(browser: Any, url: str) -> None:
    with opened(browser, url, java_script_enabled=False) as page:
        assert page.locator("#decide").is_hidden()
        assert page.locator("#claims table").first.is_visible()
        assert page.locator(f"{GAP} .points circle").first.get_attribute("aria-label")


def test_printed_the_page_has_no_controls(page: Any) -> None:
    page.emulate_media(media="print")
    assert page.locator(".legend").first.is_hidden() and page.locator("#decide").is_hidden()


def test_a_name_from_a_record_stays_text_in_what_scripts_write(page: Any) -> None:
    page.evaluate("""() => { const table = JSON.parse(document.getElementById('live').textContent).tables[0];
        table.who = '<img src=x onerror=alert(1)>'; window.odd = {tables: [table], report: '<b>',
        settings: {margin: 0.005, loss_margin: 0.02, price: null, deadline: null}};
        controls.begin(window.odd, {}, () => {}); }""")
    assert page.locator("#decide img").count() == 0 and "<img" in page.locator("#decide h3").first.inner_text()
