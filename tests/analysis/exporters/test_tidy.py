"""The table for people: one number a row, the reference batch under every rule, the chosen trials marked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.stored_study import folder
from support.synthetic_records import results, SGD, Study, Timing, Tuning

from batchscale.analysis.columns import MEANINGS
from batchscale.analysis.exporters.tidy import tidy, TIDY
from batchscale.analysis.tables.results import Results
from batchscale.benchmarks.errors import EXIT_OK
from batchscale.launchers import cli

STUDY = Study(experiments=(replace(SGD, batches=(32, 512), tuning=Tuning()),), seeds=4, epochs=2,
              timing=Timing(replica_batches=(32, 512), global_batches=(), launches=3))


@pytest.fixture(scope="module")
def found() -> Results:
    return results(STUDY)


def test_the_reference_batch_stands_under_every_rule(found: Results) -> None:
    table = tidy(found)
    assert tuple(table.columns) == TIDY and set(TIDY) <= set(MEANINGS)
    ends = table[(table["measure"] == "test_accuracy") & table["chosen"]]
    at = {rule: set(rows["global_batch"]) for rule, rows in ends.groupby("rule")}
    assert len(at) >= 3 and all(batches == {32, 512} for batches in at.values())
    shared = [ends[(ends["rule"] == rule) & (ends["global_batch"] == 32)]["value"].to_numpy()
              for rule in ("constant", "linear")]
    assert len(shared[0]) == 4 and np.array_equal(*shared)


def test_every_number_is_that_of_the_runs(found: Results) -> None:
    table = tidy(found)
    rates = table[table["measure"] == "examples_per_second"].set_index("run_id")["value"]
    own = found.runs[found.runs["kind"] == "throughput"].set_index("run_id")["examples_per_second"]
    pd.testing.assert_series_equal(rates.sort_index(), own.sort_index(), check_names=False)
    assert not table["value"].isna().any()


def test_trials_that_do_not_stand_for_a_tuned_batch_are_marked(found: Results) -> None:
    table = tidy(found)
    out = table[~table["chosen"]]
    assert len(found.not_chosen) and set(out["run_id"]) == set(found.not_chosen["run_id"])
    assert set(out["rule"]) == {"tuned"}


def test_the_command_writes_it_described(tmp_path: Path) -> None:
    assert cli.main(["export", str(folder(tmp_path / "small")), "--tidy", "--output", str(tmp_path / "out")]) == EXIT_OK
    table = pd.read_csv(tmp_path / "out" / "tidy.csv")
    assert len(table) and "## tidy.csv" in (tmp_path / "out" / "README.md").read_text()
