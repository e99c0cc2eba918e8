"""Slow nodes and ranks are named from each rank's own time; a disturbance in one launch is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from support.report_sections import built
from support.synthetic_records import Study, Timing, records

from batchscale.analysis.report.findings import Findings
from batchscale.analysis.report.sections.speed import ranks
from batchscale.analysis.study.timing import slow_ranks
from batchscale.analysis.tables import rank_rows
from batchscale.analysis.tables.reading import from_records
from batchscale.analysis.tables.results import Results
from batchscale.benchmarks.records.rows import OwnWindow
from batchscale.benchmarks.records.schema import problems

HOSTS = ("g9", "g9", "g10", "g10")
PLACE = {"experiment": "timing", "placement": "horovod-gloo-4r", "nodes": 2, "global_batch": 64}


def found(*launches: tuple[float, ...]) -> list[slow_ranks.Pace]:
    """Paces of four ranks on two nodes, from each launch's seconds per step."""
    runs, rows = [], []
    for launch, seconds in enumerate(launches):
        runs.append({"run_id": str(launch), **PLACE})
        windows = [OwnWindow(rank=rank, host=host, phase=0, steps=10, seconds=10 * own * noise)
                   for rank, (host, own) in enumerate(zip(HOSTS, seconds)) for noise in (1.0, 0.9, 5.0)]
        rows += rank_rows.rank_rows(str(launch), windows)
    return slow_ranks.paces(pd.DataFrame(runs), pd.DataFrame(rows))


def slow(paces: list[slow_ranks.Pace]) -> list[tuple[str, int]]:
    return [(pace.host, pace.rank) for pace in paces if pace.slow]


def test_a_slow_rank_is_named_and_its_peers_are_not() -> None:
    paces = found((0.01, 0.01, 0.01, 0.02), (0.01, 0.01, 0.01, 0.02))
    assert ("g10", 3) in slow(paces) and not {("g9", 0), ("g9", 1), ("g10", 2)} & set(slow(paces))
    assert paces[0].rank == 3 and paces[0].ratios == pytest.approx((2.0, 2.0))
    assert paces[0].own_step_seconds == pytest.approx(0.02)  # the median of its windows: one of them was disturbed


def test_a_slow_node_is_named_by_the_median_of_its_ranks() -> None:
    assert slow(found(*[(0.012, 0.012, 0.01, 0.01)] * 2))[0] == ("g9", slow_ranks.WHOLE_NODE)
    assert slow(found(*[(0.0105, 0.0105, 0.01, 0.01)] * 2)) == []  # within the limit of a tenth


def test_what_was_slow_in_one_launch_of_two_is_not_called_slow() -> None:
    assert slow(found((0.01, 0.01, 0.01, 0.02), (0.01, 0.01, 0.01, 0.01))) == []
    assert slow(found((0.01, 0.01, 0.01, 0.02))) == []


def test_one_rank_has_no_peer() -> None:
    rows = rank_rows.rank_rows("0", [OwnWindow(rank=0, host="g9", phase=0, steps=1, seconds=1.0)])
    assert slow_ranks.paces(pd.DataFrame([{"run_id": "0", **PLACE}]), pd.DataFrame(rows)) == []


@pytest.fixture
def results() -> Callable[[float], Results]:
    """A study whose last rank computes so many times as long as the first."""
    def made(factor: float) -> Results:
        study = Study(experiments=(), timing=Timing())
        kept = [dict(record) for record in records(study)]
        for record in kept:
            if record["config"]["strategy"] == "horovod" and record["config"]["replicas"] > 1:
                record["own_windows"] = [
                    {"rank": rank, "host": f"n{rank}", "phase": 0, "steps": 10,
                     "seconds": 0.1 * (factor if rank == record["config"]["replicas"] - 1 else 1)}
                    for rank in range(record["config"]["replicas"])]
                assert problems(record) == []
        return from_records(kept, {"runs": [record["run_id"] for record in kept]})
    return made


def test_the_report_names_the_slow_node_once(results: Callable[[float], Results]) -> None:
    section = built(ranks.build, results(1.5))
    assert any(w.startswith("node n1 is slow at ") and "+50 %" in w for w in section.warnings)
    assert not any(w.startswith(("rank", "node n0")) for w in section.warnings)
    assert section.tables[0].rows[0][1] in ("node n1", "rank 1 on n1")


def test_the_report_says_when_none_is_slow_and_when_nothing_is_known(results: Callable[[float], Results]) -> None:
    quiet = built(ranks.build, results(1.05))
    assert quiet.warnings == () and "No rank on" in quiet.text[-1]
    nothing: dict[str, Any] = {"runs": []}
    assert ranks.build(Findings.of(from_records([], nothing))) is None
