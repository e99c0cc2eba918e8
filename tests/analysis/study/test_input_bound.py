"""Three throughputs of a step that reads from disk: every verdict is found from a truth that is known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.report_sections import built
from support.synthetic_records import Study, Timing, records, write_store

from batchscale.analysis.report.page import write
from batchscale.analysis.report.findings import Findings
from batchscale.analysis.report.sections.speed import input
from batchscale.analysis.study.timing.input_bound import (COMPUTE, INPUT, NOT_DECIDED, OVERLAP, SUSPECT, Halves,
                                                          hidden_share, three_ways, verdict)
from batchscale.analysis.tables.reading import from_records
from batchscale.analysis.tables.results import Results
from batchscale.analysis.tables.selections import timing_runs
from batchscale.benchmarks.records.schema import problems

PLACE = ("timing", "single-1r", 1, 64)
NOISE = (1.0, 1.02, 0.98)


def together(given: float, model: float, hidden: float) -> float:
    """Seconds per example of both halves less the hidden part of the shorter one, turned over."""
    seconds = (1 / given, 1 / model)
    return 1 / (sum(seconds) - hidden * min(seconds))


def halves(given: float, model: float, hidden: float, noise: Sequence[float] = NOISE) -> Halves:
    return Halves(PLACE, tuple(together(given, model, hidden) * n for n in noise), tuple(given * n for n in noise),
                  tuple(model * n for n in noise))


@pytest.mark.parametrize(("given", "model", "hidden", "expected"), [
    (1200, 5000, 1.0, INPUT), (5000, 1200, 1.0, COMPUTE), (1200, 5000, 0.7, INPUT),
    (1000, 1000, 1.0, COMPUTE), (1000, 1000, 0.0, OVERLAP), (1000, 2000, 0.0, OVERLAP), (2000, 1000, 0.5, OVERLAP),
    (20_000, 1000, 0.0, COMPUTE),  # input so fast that it does not matter that nothing of it is hidden
])
def test_the_verdict_is_that_of_the_truth(given: float, model: float, hidden: float, expected: str) -> None:
    assert halves(given, model, hidden).verdict == expected


def test_the_hidden_share_comes_back() -> None:
    for hidden in (0.0, 0.25, 1.0):
        assert hidden_share(together(1200, 5000, hidden), 1200, 5000) == pytest.approx(hidden)
    assert hidden_share(together(1200, 5000, 0.0) / 2, 1200, 5000) < 0


def test_what_is_faster_than_its_own_halves_is_no_verdict() -> None:
    assert verdict(2000, 1000, 5000) == SUSPECT
    assert verdict(1050, 1000, 5000) == INPUT  # within the spread of windows


def test_launches_that_differ_decide_nothing() -> None:
    mixed = Halves(PLACE, (1000.0, 600.0), (1000.0, 1000.0), (5000.0, 5000.0))
    assert mixed.verdicts == (INPUT, OVERLAP) and mixed.verdict == NOT_DECIDED
    assert "1 say input bound, 1 say they overlap badly" in mixed.sentence()


def test_the_difference_is_named_in_one_sentence() -> None:
    said = Halves(PLACE, (1150.0,), (1200.0,), (5000.0,)).sentence()
    assert said.startswith("input bound: the pipeline alone gives 1,200 examples/s")
    assert "the model alone 5,000 examples/s" in said and "both together 1,150 examples/s" in said
    assert said.endswith("that is 23 % of what the model could.")
    assert "could feed 4.2 times as much" in Halves(PLACE, (1190.0,), (5000.0,), (1200.0,)).sentence()
    assert "hinder each other" in Halves(PLACE, (300.0,), (1000.0,), (1000.0,)).sentence()
    assert "0 % of the shorter half" in Halves(PLACE, (500.0,), (1000.0,), (1000.0,)).sentence()


def results(given: float, model: float) -> Results:
    """A study whose timing runs read from disk and overlap perfectly; both ranks' windows, one of them slower."""
    kept = [dict(record) for record in records(Study(experiments=(), timing=Timing()))]
    for record in kept:
        batch = record["config"]["global_batch"]
        for name, rate in (("windows", min(given, model)), ("input_windows", given), ("synthetic_windows", model)):
            record[name] = [{"rank": rank, "phase": 0, "start_step": 10 * window, "steps": 10, "steady": window > 0,
                             "seconds": 10 * batch / rate * (1.0 if rank else 0.8) * (1 + window / 1000)}
                            for rank in range(2) for window in range(4)]
        assert problems(record) == []
    return from_records(kept, {"runs": [record["run_id"] for record in kept]})


def test_records_give_the_throughputs_of_the_slowest_rank() -> None:
    found = three_ways(timing_runs(results(1200, 5000)))
    assert found and {item.verdict for item in found} == {INPUT}
    assert all(len(item.given) == 3 for item in found)
    assert found[0].given[0] == pytest.approx(1200, rel=0.01)
    assert found[0].model[0] == pytest.approx(5000, rel=0.01)
    assert found[0].of_model.value == pytest.approx(0.24, rel=0.01)


def test_the_report_says_what_was_measured_and_what_was_not() -> None:
    section = built(input.build, results(5000, 1200))
    assert section.tables[0].rows[0][-1] == COMPUTE
    assert any(COMPUTE in sentence for sentence in section.text)
    assert input.build(Findings.of(from_records([], {"runs": []}))) is None


def test_the_verdict_is_in_decision_json(tmp_path: Path) -> None:
    made = [dict(record) for record in records(Study(experiments=(), timing=Timing(replica_batches=(32,))))]
    for record in made:
        record["input_windows"] = record["synthetic_windows"] = record["windows"]
    folder = write(write_store(tmp_path / "store", made), tmp_path / "report")
    found = json.loads((folder / "decision.json").read_text())["input"]
    assert found and found[0]["verdict"] == COMPUTE and found[0]["real_of_model"]["value"] == pytest.approx(1.0)
