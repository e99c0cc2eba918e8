"""Every interval of a report lies where its quantity can lie, also in studies of few, noisy and disturbed repeats."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support.stored_study import SMALL
from support.synthetic_records import Memory, results, Study, Timing

from batchscale.analysis.report import page as report
from batchscale.analysis.report.findings import Findings

ANY, POSITIVE, FRACTION = (-math.inf, math.inf), (0.0, math.inf), (0.0, 1.0)
# Of an efficiency: what is lost to a replica more is at most what all had.
SHARE = (-1.0, math.inf)
# By the last name of its place in decision.json. A number that is not here is not known to be possible.
RANGES = {
    **dict.fromkeys(("examples_per_second", "goodput", "step_seconds", "measured_seconds", "measured",
                     "predicted_seconds", "exposed_seconds", "seconds", "device_hours", "money", "money_per_million",
                     "seconds_to_target", "steps", "speedup", "efficiency", "bytes_per_example", "fixed_bytes",
                     "largest_replica_batch", "noise_scale", "worth", "worth_at_start", "worth_at_end", "curve",
                     "average", "start", "end", "critical_batch", "peak_replicas",
                     "single_replica_throughput"), POSITIVE),
    **dict.fromkeys(("contention", "coherency"), FRACTION),
    **dict.fromkeys(("gradient noise scale", "steps to target", "throughput knee"), POSITIVE),
    **dict.fromkeys(("fixed time of a gradient", "time per example", "local synchronization",
                     "local synchronization per replica", "synchronization across nodes",
                     "synchronization across nodes per replica"), POSITIVE),
    "gap": (-1.0, 1.0), "share_of_time": POSITIVE,
    "overlap": (1.0, 10.0), "share_of_step": FRACTION, "test_accuracy": FRACTION, "validation": FRACTION,
    "test_loss": ANY,
    "relative_error": (-1.0, math.inf), "marginal_efficiency": SHARE,
    "karp_flatt": ANY,  # negative where a speed-up is more than linear
}
CLAIMS = {  # by the first word of a claim's quantity that is one of these
    "accuracy": (-1.0, 1.0), "gap": (-2.0, 2.0), "loss": ANY, "slope": ANY, "growth": ANY, "bytes": ANY}
# Headings of the report's columns, and words before a number, of what may lie on either side of zero.
SIGNED = re.compile("gap|lost|added|no difference|train loss|test loss|each example takes|bring|equal steps|"
                    "equal epochs|equal train loss|slope|growth|Karp|error|loses|gains|"
                    "saved|against|points|minus|better")
INTERVAL = re.compile(r"[\(\[](-?[\d,.]+(?:e[-+]?\d+)?)(?: to |, )[^()\[\]]*?[\)\]]")

SEEDS = replace(SMALL, seeds=3)
STUDIES: dict[str, Study] = {
    "quiet": SMALL,
    "few and noisy": replace(SEEDS, noise=0.15, norm_noise=1.5, final_accuracy=0.985, memory=Memory(1e6, noise=2e7),
                             timing=Timing(noise=0.4)),
    "a launch disturbed by half": replace(SEEDS, timing=Timing(noise=0.02, disturbed=((1, 2, 2.0), (2, 1, 1.7)))),
    "a launch ten times slower": replace(SEEDS, timing=Timing(launches=2, noise=0.05, disturbed=((1, 2, 10.0),))),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The report of a study, written once in whatever order tests come."""
    @cache
    def write(name: str) -> Path:
        return report.write_findings(Findings.of(results(STUDIES[name])), tmp_path_factory.mktemp("ranges"))
    return write


QUICKLY = ("few and noisy", "a launch ten times slower")  # the others are like them, with less to go wrong


@pytest.fixture(params=[name if name in QUICKLY else pytest.param(name, marks=pytest.mark.slow) for name in STUDIES])
def folder(request: pytest.FixtureRequest, written: Callable[[str], Path]) -> Path:
    """The report of one study."""
    return written(request.param)


def estimates(content: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """(place, what holds it, estimate) of every number with an interval."""
    for name, value in content.items() if isinstance(content, dict) else enumerate(content):
        if isinstance(value, dict) and {"value", "low", "high", "n"} <= set(value):
            yield f"{place}.{name}", content if isinstance(content, dict) else {}, value
        elif isinstance(value, (dict, list)):
            yield from estimates(value, f"{place}.{name}")


def possible(place: str, holder: dict[str, Any]) -> tuple[float, float]:
    names = [name for name in place.strip(".").split(".") if not name.isdigit()]
    if names[0] == "claims":
        quantity = holder["quantity"] or "gap"  # without a quantity there is no number either
        return next(limits for word, limits in CLAIMS.items() if word in quantity)
    return RANGES[names[-1]]


def test_no_interval_of_the_decision_is_outside_what_is_possible(folder: Path) -> None:
    content = json.loads((folder / "decision.json").read_text(encoding="utf-8"))
    found = list(estimates(content))
    assert len(found) > 50
    for place, holder, estimate in found:
        least, most = possible(place, holder)
        low, high = estimate["low"], estimate["high"]
        assert low is None or least <= low, (place, estimate)
        assert high is None or high <= most, (place, estimate)
        assert low is None or high is None or low <= high, (place, estimate)


def test_no_interval_of_the_report_is_below_zero_but_of_what_has_a_sign(folder: Path) -> None:
    text = (folder / "report.md").read_text(encoding="utf-8").replace("\\", "")
    seen, heading = 0, [""]
    for line in text.splitlines():
        cells = line.split("|") if line.startswith("|") else [line]
        if line.startswith("|") and heading == [""]:
            heading = cells
        elif not line.startswith("|"):
            heading = [""]
        for index, cell in enumerate(cells):
            for match in INTERVAL.finditer(cell):
                seen += 1
                about = f"{heading[index] if index < len(heading) else ''} {cell[:match.start()]}"
                assert not match[1].startswith("-") or SIGNED.search(about), (about, match[0])
    assert seen > 50


def test_accuracies_of_the_report_stay_within_a_hundred_percent(folder: Path) -> None:
    content = json.loads((folder / "decision.json").read_text(encoding="utf-8"))
    accuracies = [estimate for place, _, estimate in estimates(content) if place.endswith(".test_accuracy")]
    assert accuracies and all(estimate["high"] <= 1 for estimate in accuracies if estimate["high"] is not None)
    text = (folder / "report.md").read_text(encoding="utf-8").replace("\\", "")
    for high in re.findall(r"test accuracy [\d.]+ % \([\d.]+ to ([\d.]+), n", text):
        assert float(high) <= 100


NUMBER = r"-?\+?[\d,]*\.?\d+"
WRITTEN = re.compile(rf"({NUMBER})(?: [^\s(|;:\d]+){{0,2}} \(({NUMBER}) to ({NUMBER})(?:,|\))")


def digits(written: str) -> int:
    """Decimals of a number; of a whole one the zeros that it ends in, below 0."""
    if "." in written:
        return len(written.partition(".")[2])
    return -(len(written) - len(written.rstrip("0"))) if written.strip("0") else 0


def test_no_number_of_the_report_has_more_digits_than_its_interval_carries(folder: Path) -> None:
    text = (folder / "report.md").read_text(encoding="utf-8").replace("\\", "")
    seen = 0
    for match in WRITTEN.finditer(text):
        seen += 1
        value, low, high = (float(part.replace(",", "").replace("+", "")) for part in match.groups())
        assert low <= value <= high, match[0]
        if value in (low, high) or not value:
            continue  # an end of what is possible, which is known exactly; 0 is written alike to any digit
        half = min(side for side in (value - low, high - value) if side > 0)
        most = 1 - math.floor(math.log10(half))
        assert digits(match[1].replace(",", "")) <= most, match[0]
    assert seen > 50
    for wrong in (r"\d\.\d*e\+\d", r"\d \[[\d.,]+, [\d.,]+\]", r"(?:gains|loses) 0\.0+ points", r"\bnan\b"):
        assert not re.search(wrong, text), wrong


def test_no_section_of_the_report_is_empty_and_no_warning_stands_twice(folder: Path) -> None:
    text = (folder / "report.md").read_text(encoding="utf-8")
    chapters = re.split(r"^## .*$", text, flags=re.MULTILINE)[1:]
    assert len(chapters) > 10 and all(chapter.strip() for chapter in chapters)
    shown = (folder / "index.html").read_text(encoding="utf-8")
    for section in re.findall(r"<section id=[^>]*>(.*?)</section>", shown, re.DOTALL):
        assert re.search(r"<(?:figure|table|p|li|pre|article)\b", section)
    warnings = re.findall(r'<p class="warning"><b>Warning.</b> (.*?)</p>', shown)
    assert len(warnings) == len(set(warnings))
