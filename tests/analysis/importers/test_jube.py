"""Tables of JUBE: the rate of all devices, whichever form the table has."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.foreign_files import bring, reported, saved
from support.timing_files import jube_text, jube_tokens

from batchscale.analysis.importers import imported_store
from batchscale.analysis.importers.detection import detect
from batchscale.benchmarks.errors import RecordError

ROWS = ((4, 256, 1000.5), (4, 256, 1010.5), (8, 512, 1900.25))


@pytest.mark.parametrize("bars", [False, True])
def test_rows_are_launches_with_the_rate_of_all_devices(bars: bool, tmp_path: Path) -> None:
    path = saved(tmp_path, jube_text(ROWS, bars), "result.dat")
    assert detect(path)[0] == "jube"
    runs = bring(path, "jube").runs
    assert runs["replicas"].tolist() == [4, 4, 8] and runs["nodes"].tolist() == [1, 1, 2]
    assert runs["global_batch"].tolist() == [256, 256, 512] and runs["replica_batch"].tolist() == [64, 64, 64]
    assert runs["examples_per_second"].tolist() == [1000.5, 1010.5, 1900.25] and runs["launch"].tolist() == [0, 1, 0]
    assert runs["step_seconds"].tolist() == pytest.approx([256 / 1000.5, 256 / 1010.5, 512 / 1900.25])
    assert set(runs["model"]) == {"resnet50"} and set(runs["precision"]) == {"fp16"}
    page, _ = reported(tmp_path / "results")
    assert "resnet50" in page


def test_tokens_tell_the_rate_beyond_the_two_decimals_of_a_step(tmp_path: Path) -> None:
    path = saved(tmp_path, jube_tokens(((4, 1, 512, 1.237), (8, 2, 512, 0.7512))), "result.csv")
    runs = bring(path, "jube").runs
    assert runs["examples_per_second"].tolist() == pytest.approx([512 / 1.237, 512 / 0.7512], rel=1e-6)
    assert runs["replicas"].tolist() == [4, 4], "two devices share a replica of the second"
    assert runs["strategy"].tolist() == ["data parallel", "data parallel, 2 devices a replica"]
    assert set(runs["model"]) == {"GPT 800M"}


def test_a_failed_job_is_left_out_and_a_table_of_something_else_refused(tmp_path: Path) -> None:
    failed = jube_text(ROWS).replace("1010.50", "")
    store = imported_store.write(saved(tmp_path, failed, "a.dat"), tmp_path / "results", "jube")
    assert any("1 rows without a rate" in note and "row 2" in note for note in imported_store.notes(store.manifest))
    with pytest.raises(RecordError, match="no header with Devices, GlobalBatchSize"):
        bring(saved(tmp_path, "nodes,size,result\n1,2,3\n", "b.csv"), "jube")
    with pytest.raises(RecordError, match="Devices=0.0 must be a whole number"):
        bring(saved(tmp_path, jube_text(((0, 256, 10.0),)), "c.csv"), "jube")
