"""Every section of the registry: it builds from whatever was measured, and a new one needs its line alone."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from support.foreign_files import bring, horovod_text, saved, timings
from support.stored_study import SMALL, STUDY
from support.synthetic_records import manifest, records, results

from batchscale.analysis.report import page, sections
from batchscale.analysis.report.blocks import Section
from batchscale.analysis.report.builder import ORIGINS, section, SectionBuilder
from batchscale.analysis.report.findings import CURVES, ENDS, Findings, FOREIGN, OWN
from batchscale.analysis.report.sections import SECTIONS
from batchscale.analysis.tables.reading import from_records
from batchscale.benchmarks.planning import keys

ENDS_TABLE = ("run_id,status,global_batch,reference_batch,rule,seed,epochs,train_examples,test_accuracy,replicas,"
              "replica_batch,accumulation\n" + "".join(
                  f"r{batch}-{seed},completed,{batch},32,{rule},{seed},2,640,{0.9 + seed / 1000},1,{batch},1\n"
                  for batch, rule in ((32, "constant"), (64, "linear")) for seed in range(3)))


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Findings]:
    """Findings of a full study, of one without any record, and of imported runs with and without accuracy."""
    made, folder = records(SMALL), tmp_path_factory.mktemp("imported")
    return {"full": Findings.of(results(SMALL)), "memory": Findings.of(results(STUDY), 100.0),
            "empty": Findings.of(from_records([], manifest(SMALL, made))),
            "ends": Findings.of(bring(saved(folder / "a", ENDS_TABLE, "ends.csv"), "csv")),
            "timings": Findings.of(bring(saved(folder / "b", timings({"test_x": [0.5, 0.6]}), "t.json"),
                                         "pytest-benchmark")),
            "horovod": Findings.of(bring(saved(folder / "c", horovod_text(2, [10.0, 11.0, 12.0])), "horovod"))}


def test_the_origin_of_the_runs_decides_which_sections_stand_there(every: dict[str, Findings]) -> None:
    assert {name: found.origin for name, found in every.items()} == {
        "full": OWN, "memory": OWN, "empty": OWN, "ends": ENDS, "timings": FOREIGN, "horovod": FOREIGN}
    anchors = {name: [one.anchor for one in page.chapters_of(found)] for name, found in every.items()}
    assert {"decision", "claims", "accuracy", "throughput", "scaling", "memory", "not-measured"} <= set(anchors["full"])
    assert "tuned" not in anchors["full"] and anchors["empty"] == ["failures", "repeat", "not-measured"]
    assert "claims" not in anchors["ends"] and {"decision", "accuracy", "provenance"} <= set(anchors["ends"])
    assert anchors["timings"] == ["timing", "provenance", "not-measured"]
    assert anchors["horovod"] == ["throughput", "provenance", "not-measured"]


@pytest.mark.parametrize("builder", SECTIONS, ids=lambda one: f"{one.anchor}-{one.origin}")
def test_a_section_builds_from_whatever_was_measured(builder: SectionBuilder, every: dict[str, Findings]) -> None:
    for found in every.values():
        if found.origin in ORIGINS[builder.origin]:
            made = builder(found)
            assert made is None or made.title and made.anchor == builder.anchor
            assert made is None or made.has_data or made.text or made.listing or made.commands


@pytest.mark.parametrize("builder", [one for one in SECTIONS if one.needs], ids=lambda one: one.anchor)
def test_a_section_without_data_is_named_once_with_lines_of_a_plan(builder: SectionBuilder,
                                                                   every: dict[str, Findings]) -> None:
    assert builder(every["empty"]) is None and builder.lacks(every["empty"], None)
    rows = [row for table in page.chapters_of(every["empty"])[-1].tables for row in table.rows]
    named = [lines for titles, lines in rows if builder.title in titles.split("; ")]
    assert named == [builder.needs]
    keys.defaults({**tomllib.loads(builder.needs.replace("; ", "\n"))}, "plan")  # refuses what is no key


@pytest.mark.parametrize("origin", [OWN, CURVES, ENDS, FOREIGN])
def test_anchors_are_unique_in_a_report(origin: str) -> None:
    anchors = Counter(one.anchor for one in SECTIONS if origin in ORIGINS[one.origin])
    assert set(anchors.values()) == {1}
    assert all(re.fullmatch(r"[a-z][a-z-]*", anchor) for anchor in anchors)


def test_the_names_of_figures_are_unique_in_a_report(every: dict[str, Findings]) -> None:
    for found in every.values():
        names = Counter(figure.name for chapter in page.chapters_of(found) for figure in chapter.figures)
        assert [name for name, count in names.items() if count > 1] == []
        assert all(re.fullmatch(r"[a-z][\w-]*", name) for name in names)


def test_a_new_section_needs_its_line_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    @section("toy", "A toy", needs="toys = 1")
    def build(findings: Findings) -> Section | None:
        return Section((f"It was played with in {len(findings.results.runs)} runs.",)) if len(
            findings.results.runs) else None
    monkeypatch.setattr(sections, "SECTIONS", (*SECTIONS, build))
    folder = page.write_findings(Findings.of(from_records([], {"runs": []})), tmp_path)
    text, html = ((folder / name).read_text(encoding="utf-8") for name in ("report.md", "index.html"))
    assert "| A toy | toys = 1 |" in text and "toys = 1" in html and '<section id="toy">' not in html
    folder = page.write_findings(Findings.of(results(replace(SMALL, seeds=1))), tmp_path)
    text, html = ((folder / name).read_text(encoding="utf-8") for name in ("report.md", "index.html"))
    assert "## A toy\n\nIt was played with" in text
    assert '<section id="toy">' in html and '<a href="#toy">A toy</a>' in html
