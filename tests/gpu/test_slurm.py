"""Pretended GPUs that Slurm hands out: two on each of two nodes, which are this one machine."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.pretended import pretended_environment
from support.slurm_study import HEADER, running_cluster, Study

pytestmark = [pytest.mark.gpu, pytest.mark.slurm, pytest.mark.launched, pytest.mark.slow]

SITE = """
partition = "debug"
time = "00:20:00"
signal_seconds = 60
concurrency = 2
launcher = "auto"
exclusive = "never"
gpus = "gpus-per-node"
cpus_per_gpu = 2
"""
TIMED = """
kind = "throughput"
windows = 2
window_seconds = 0.05
launches = 1
"""
RANKS = HEADER + f"""
[[experiment]]
name = "ranks"
strategies = ["horovod-gloo", "multiworker"]
replicas = [4]
nodes = [2]
{TIMED}"""
ALONE = HEADER + """
[[experiment]]
name = "alone"
epochs = 400
strategies = ["single", "mirrored"]
"""
COPIED, MET = re.compile(r"^to GPU (\d+):", re.MULTILINE), re.compile(r"NCCL rank (\d) of 4 on GPU (\d) by (\w+)")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    pretended_environment(2)  # or skip
    with running_cluster(tmp_path_factory.mktemp("slurm")) as folder:
        yield folder


def submitted(folder: Path, text: str) -> Study:
    """The plan, run to its end on the cluster beside two pretended GPUs a node."""
    own = pretended_environment(2, PRETENDED_SHOW="1")
    changed = {name: value for name, value in own.items() if os.environ.get(name) != value and name != "PYTHONPATH"}
    study = Study(folder, text, SITE, variables={**changed, "PYTHONPATH": own["PYTHONPATH"]})
    assert study.submitted.returncode == 0, study.submitted.stderr
    study.until_ended(900)
    assert set(study.statuses()) == {"completed"}, study.said()
    return study


def logs_of(study: Study, shape: str) -> dict[int, str]:
    """By rank, what the ranks of a shape wrote."""
    found = study.store.folder.glob(f"logs/{shape}*/**/rank-*.log")
    return {int(path.stem.rpartition("-")[2]): path.read_text(errors="replace") for path in found}


def test_each_rank_has_the_gpu_the_cores_and_the_network_that_are_its_own(cluster: Path) -> None:
    study = submitted(cluster / "ranks", RANKS)
    records = {record["config"]["strategy"]: record for record in study.store.records()}
    assert set(records) == {"horovod", "multiworker"}
    for name, record in records.items():
        ranks: list[dict[str, Any]] = record["environment"]["ranks"]
        assert [one["devices"] for one in ranks] == [["GPU:0"]] * 4
        assert record["environment"]["gpus"] == ["Pretended H100"]
        own = [set(one["affinity"]) for one in ranks]
        assert all(own), "every rank has cores"
        if (os.cpu_count() or 1) > 1:
            assert own[0] != own[1] and own[2] != own[3], "the ranks of a node share its cores out"
        logs = logs_of(study, name)
        assert [logs[rank].splitlines()[0] for rank in range(4)] == [
            "rank 0 of 4 on g9", "rank 1 of 4 on g9", "rank 2 of 4 on g10", "rank 3 of 4 on g10"]
        assert {rank: {int(gpu) for gpu in COPIED.findall(text)} for rank, text in logs.items()} == {
            0: {0}, 1: {1}, 2: {0}, 3: {1}}, "a rank's examples go to the GPU of its number on its node alone"
    told = [found.groups() for text in logs_of(study, "multiworker").values() for found in MET.finditer(text)]
    assert set(told) == {("0", "0", "lo"), ("1", "1", "lo"), ("2", "0", "lo"), ("3", "1", "lo")}
    words = "".join(path.read_text() for path in study.store.folder.glob("logs/**/step.log"))
    assert words.count("--cpus-per-task=2") == 2, "cores for each GPU, as the site has them"


def test_jobs_side_by_side_on_a_node_train_on_the_gpu_that_slurm_gave_each(cluster: Path) -> None:
    """Both see one GPU, which is number 0 to TensorFlow; the driver's own numbers differ."""
    study = submitted(cluster / "alone", ALONE)
    gpus = [{int(gpu) for text in logs_of(study, name).values() for gpu in COPIED.findall(text)}
            for name in ("single", "mirrored")]
    assert sorted(map(sorted, gpus)) == [[0], [1]], study.said()
