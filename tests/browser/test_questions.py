"""What people ask a report, and the way to the answer from the page alone: two clicks at most each.

Every test is one path. `Visitor` counts the clicks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.chromium import opened

pytestmark = pytest.mark.browser
pytest_plugins = ("support.browser",)


class Visitor:
    """Somebody who reads, clicks and types."""

    def __init__(self, page: Any) -> None:
        self.page, self.clicks = page, 0

    def click(self, target: Any) -> None:
        target.scroll_into_view_if_needed()
        target.click()
        self.clicks += 1

    def click_at(self, point: Any) -> None:
        point.scroll_into_view_if_needed()
        box = point.bounding_box()
        self.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        self.clicks += 1


@pytest.fixture
def visitor(browser: Any, url: str) -> Iterator[Visitor]:
    with opened(browser, url) as page:
        found = Visitor(page)
        yield found
        assert found.clicks <= 2


def test_which_batch_for_adam(visitor: Visitor) -> None:
    """Without a click: the first screen says it."""
    first = visitor.page.locator("#answer").inner_text()
    assert "Adam" in first and "512" in first


def test_what_does_batch_512_cost(visitor: Visitor) -> None:
    """A tap on the point at batch 512 of the chart of what is lost."""
    visitor.click_at(visitor.page.locator("svg[data-figure='w0-batchgap'] circle[aria-label^='constant, 512: ']"))
    assert "points (" in visitor.page.locator(".tip").inner_text()


def test_are_two_replicas_worth_it_at_3_an_hour(visitor: Visitor) -> None:
    """A click into the field of the price, and a 3: what they save and cost stands beside each recommendation."""
    visitor.click(visitor.page.locator("#price"))
    visitor.page.keyboard.type("3")
    told = visitor.page.locator("#decide article").first.inner_text()
    assert "2 replicas (mirrored-2r) train it in" in told and "cost" in told
    assert "every hour saved costs" in told or "no faster" in told or "no dearer" in told


def test_which_claim_is_not_decided_and_why(visitor: Visitor) -> None:
    """The link to the claims, then their reasons."""
    page = visitor.page
    visitor.click(page.locator("nav a[href='#claims']"))
    undecided = page.locator("#claims tbody tr", has=page.locator(".not-decided")).first
    number = undecided.locator("td").first.inner_text()
    visitor.click(page.locator("#claims summary", has_text="Reasons"))
    reasons = page.locator("#claims details tbody tr").all()
    assert any(row.locator("td").first.inner_text() == number and len(row.inner_text()) > 40 for row in reasons)


def test_run_that_point_again(visitor: Visitor) -> None:
    """A tap on the point, and on the button below its value."""
    page = visitor.page
    visitor.click_at(page.locator("svg[data-figure='w0-batchgap'] circle[aria-label^='constant, 512: ']"))
    visitor.click(page.locator(".tip button"))
    page.locator(".tip button", has_text="Copied").wait_for()
    assert page.locator(".tip code").inner_text().startswith("batchscale run mine.toml --only 'experiment=sgd,")
