"""Imported tables that lack columns: whatever is left out beyond what a kind of run needs, there is a report."""

from __future__ import annotations

import csv
import io
import json
import math
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from support.foreign_files import bring, saved
from support.synthetic_records import SGD, Study, Timing, results

from batchscale.analysis.columns import TEXT_KEYS, WHOLE_KEYS
from batchscale.analysis.exporters import csv as export
from batchscale.analysis.importers.registry import KINDS
from batchscale.analysis.report import page
from batchscale.analysis.report.findings import Findings
from batchscale.benchmarks.planning import plan
from batchscale.benchmarks.records.schema import finite

STUDY = Study(experiments=(replace(SGD, batches=(32, 512)),), seeds=6, epochs=1, timing=Timing(
    replicas=(1, 2), strategies=("mirrored",), replica_batches=(32, 128, 512), global_batches=(512,)))
NEEDED = {name for kind in ("accuracy", "throughput", "memory") for name in (*KINDS[kind].needed, *KINDS[kind].one_of)}
KEYS = [name for name in (*TEXT_KEYS, *WHOLE_KEYS) if name not in NEEDED]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """The rows of results.csv of a study with runs of every kind."""
    folder = tmp_path_factory.mktemp("study")
    export.write(results(STUDY), folder)
    with open(folder / export.RUNS, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def findings(rows: list[dict[str, str]], left: set[str], folder: Path) -> Findings:
    """What is found in the rows with these columns alone."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [name for name in rows[0] if name in left], extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return Findings.of(bring(saved(folder, text.getvalue(), "table.csv"), "csv"))


@pytest.mark.slow
def test_a_decision_is_made_without_any_column_that_is_not_needed(table: list[dict[str, str]], tmp_path: Path) -> None:
    for absent in KEYS:
        (tmp_path / absent).mkdir()
        found = findings(table, set(table[0]) - {absent}, tmp_path / absent)
        json.dumps(finite(found.to_json()))
        assert found.decided.recommendations[0].option is not None, absent
        tomllib.loads(found.decided.next_plan)


@pytest.mark.parametrize("kind", ["accuracy", "throughput", "memory"])
def test_the_columns_that_a_kind_needs_suffice_for_a_report(table: list[dict[str, str]], tmp_path: Path,
                                                            kind: str) -> None:
    own = [row for row in table if row["kind"] == kind and row["experiment"] != "drift_guard"]
    found = findings(own, {*KINDS[kind].needed, *KINDS[kind].one_of}, tmp_path)
    assert set(found.results.runs["kind"]) == {kind}
    page.write_findings(found, tmp_path / "report")


def test_what_is_not_known_of_an_option_is_left_unknown(table: list[dict[str, str]], tmp_path: Path) -> None:
    own = [row for row in table if row["kind"] == "accuracy"]
    found = findings(own, set(table[0]) - {"replicas", "replica_batch", "accumulation"}, tmp_path)
    option = found.decided.options[0]
    assert option.replicas is None and option.to_json()["replicas"] is None
    assert math.isnan(option.device_hours.value) and math.isfinite(option.seconds.value)
    recommended = found.decided.recommendations[0]
    assert recommended.option is not None and "How many replicas it ran on is not known." in recommended.reason


def test_the_next_plan_has_no_value_that_was_never_there(table: list[dict[str, str]], tmp_path: Path) -> None:
    own = [row for row in table if row["kind"] == "accuracy"]
    text = findings(own, {*KINDS["accuracy"].needed, "test_accuracy"}, tmp_path).decided.next_plan
    assert "# To be filled in, the runs do not have it: dataset, model, optimizer, learning_rate." in text
    filled = text.replace("[[experiment]]", '[[experiment]]\ndataset = "glyphs"\nmodel = "mlp_128"')
    assert {one["name"] for one in plan.parse(filled).experiments} >= {"imported", "memory"}
