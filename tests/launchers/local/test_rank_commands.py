"""The command lines by which ranks are started, and the cores they get."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from batchscale.benchmarks.errors import EnvironmentUnusable, PlanError
from batchscale.benchmarks.rank.devices import local_rank
from batchscale.benchmarks.runs.run_config import RunConfig
from batchscale.launchers.local import rank_commands
from batchscale.launchers.local.schedule import Slot, stages
from batchscale.launchers.local.worker import Limits, Worker

Make = Callable[..., RunConfig]
WORKER = ["--results", "r", "--shape", "s"]


@pytest.fixture(autouse=True)
def plain_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(rank_commands, "rank_program", lambda: ["batchscale-rank"])


def words(config: RunConfig, launcher: str = "horovodrun") -> str:
    return " ".join(rank_commands.start(config, WORKER, Path("logs"), launcher).words)


def test_each_launcher_has_its_command_line(config: Make) -> None:
    gloo = config(strategy="horovod", transport="gloo", replicas=2)
    mpi = config(strategy="horovod", transport="mpi", replicas=2)
    worker = "batchscale-rank --results r --shape s"
    assert words(config()) == worker
    assert words(config(strategy="mirrored", replicas=2)) == worker
    spread = words(config(strategy="multiworker", replicas=2))
    assert spread.endswith(f"-m batchscale.launchers.local.rank_group -np 2 --output-filename logs {worker}")
    assert words(gloo) == f"horovodrun -np 2 --gloo --output-filename logs {worker}"
    assert words(mpi) == f"horovodrun -np 2 --mpi --output-filename logs --mpi-args=--oversubscribe {worker}"
    assert words(mpi, "mpirun") == f"mpirun --oversubscribe --bind-to none -np 2 {worker}"
    assert words(gloo, "auto") == words(gloo) and words(mpi, "auto") == words(mpi, "mpirun")


def test_ranks_on_one_machine_leave_out_the_fabric_unless_the_user_chose(
        config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    mpi = config(strategy="horovod", transport="mpi", replicas=2)
    monkeypatch.delenv("OMPI_MCA_btl", raising=False)
    for launcher in ("mpirun", "horovodrun"):
        assert rank_commands.start(mpi, WORKER, Path("logs"), launcher).environment["OMPI_MCA_btl"] == "^ofi"
    monkeypatch.setenv("OMPI_MCA_btl", "self,tcp")
    assert rank_commands.start(mpi, WORKER, Path("logs"), "mpirun").environment["OMPI_MCA_btl"] == "self,tcp"


def test_a_single_rank_that_talks_by_gloo_needs_no_launcher(config: Make) -> None:
    alone = rank_commands.start(config(strategy="horovod", transport="gloo"), WORKER, Path("logs"), "auto")
    assert alone.words == ("batchscale-rank", *WORKER) and alone.environment["BATCHSCALE_LAUNCHER"] == "plain process"
    assert words(config(strategy="horovod", transport="mpi"), "auto").startswith("mpirun ")


def test_the_root_user_is_let_in(config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert "--allow-run-as-root" in words(config(strategy="horovod", transport="mpi", replicas=2), "mpirun")


def test_launchers_that_cannot_are_refused(config: Make) -> None:
    with pytest.raises(PlanError, match="Gloo"):
        words(config(strategy="horovod", transport="gloo", replicas=2), "mpirun")
    with pytest.raises(PlanError, match="Did you mean 'mpirun'"):
        words(config(), "mpirunn")


def test_accuracy_runs_are_packed_and_timing_runs_are_alone(config: Make) -> None:
    runs = [config(seed=seed) for seed in range(5)]
    runs += [config(kind="throughput"), config(strategy="mirrored", replicas=2)]
    packed, timed, mirrored = stages(runs, cores=[4, 5, 6])
    assert packed.slots == (Slot((4,)), Slot((5,)), Slot((6,))) and packed.runs == 5
    assert timed.slots == (Slot((4,)),)
    assert mirrored.slots == (Slot((4, 5)),)


def test_sixteen_accuracy_runs_take_eight_gpus_at_once_with_a_share_of_the_cores_each(config: Make) -> None:
    gpus = [str(number) for number in range(8)]
    (packed,) = stages([config(seed=seed) for seed in range(16)], range(32), gpus)
    assert len(packed.slots) == 8
    assert packed.slots[3] == Slot((12, 13, 14, 15), ("3",))
    (pairs,) = stages([config(strategy="mirrored", replicas=2, seed=seed) for seed in range(16)], range(32), gpus)
    assert [slot.gpus for slot in pairs.slots] == [("0", "1"), ("2", "3"), ("4", "5"), ("6", "7")]


def test_more_gpus_than_cores_are_all_used_and_share_the_cores(config: Make) -> None:
    gpus = [str(number) for number in range(8)]
    (packed,) = stages([config(seed=seed) for seed in range(16)], range(2), gpus)
    assert [(slot.cores, slot.gpus) for slot in packed.slots] == [((0, 1), (gpu,)) for gpu in gpus]


def test_a_timing_run_beside_gpus_has_all_of_the_machine(config: Make) -> None:
    (timed,) = stages([config(kind="throughput")], range(32), ["0", "1"])
    assert timed.slots == (Slot(tuple(range(32))),)


def test_gpus_without_enough_cores_to_feed_them_wait(config: Make) -> None:
    runs = [config(seed=seed, cores_per_replica=4) for seed in range(16)]
    assert [slot.gpus for slot in stages(runs, range(8), ["0", "1", "2", "3"])[0].slots] == [("0",), ("1",)]


@pytest.mark.parametrize(("gpus", "shown"), [(("2", "5"), "2,5 PCI_BUS_ID"), ((), "all")])
def test_a_worker_that_has_some_of_the_gpus_sees_no_other(config: Make, tmp_path: Path, gpus: tuple[str, ...],
                                                          shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    told = 'import os; print(os.environ.get("CUDA_VISIBLE_DEVICES", "all"), os.environ.get("CUDA_DEVICE_ORDER", ""))'
    monkeypatch.setattr(rank_commands, "rank_program", lambda: [sys.executable, "-c", told])
    worker = Worker(stages([config()], [0])[0], Slot((0,), gpus), Limits(tmp_path), "mark")
    worker.launch()
    assert worker.process and worker.process.wait(30) == 0
    assert (worker.logs / "worker.log").read_text().splitlines()[-1].strip() == shown


def test_never_more_slots_than_runs(config: Make) -> None:
    assert stages([config()], cores=range(64))[0].slots == (Slot((0,)),)


def test_the_local_rank_is_read_from_whichever_launcher_gave_it() -> None:
    assert local_rank({"HOROVOD_LOCAL_RANK": "3"}) == 3
    assert local_rank({"OMPI_COMM_WORLD_LOCAL_RANK": "1", "SLURM_LOCALID": "0"}) == 1
    assert local_rank({}) == 0


def test_ranks_share_out_the_cores_they_are_given(config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from batchscale.benchmarks.rank import devices
    from batchscale.benchmarks.rank.gpus import near_cores
    bound: list[list[int]] = []
    monkeypatch.setattr("os.sched_setaffinity", lambda pid, cores: bound.append(list(cores)))
    two = config(strategy="horovod", transport="gloo", replicas=2, cores_per_replica=2, global_batch=128)
    assert devices.pin(two, [2, 3, 6, 7], {"HOROVOD_LOCAL_RANK": "1"}) == [6, 7]
    assert devices.pin(config(strategy="mirrored", replicas=2), [2, 3, 6], {}) == [2, 3]
    assert [list(cores) for cores, _ in itertools.groupby(bound)] == [[6, 7], [2, 3]], "all threads of each alike"
    with pytest.raises(EnvironmentUnusable, match="needs 4 cores on this host .* has 3"):
        devices.pin(two, [0, 1, 2], {"HOROVOD_LOCAL_RANK": "1"})
    eight = list(range(8))
    two_gpus = config(strategy="horovod", transport="gloo", replicas=2, global_batch=128)
    assert devices.pin(two, eight, {"HOROVOD_LOCAL_RANK": "1"}, gpus=True) == [4, 5, 6, 7]
    assert devices.pin(config(strategy="mirrored", replicas=2), eight, {}, gpus=True) == eight
    crowded = config(strategy="mirrored", replicas=8, global_batch=128)
    assert devices.pin(crowded, [0, 1], {}, gpus=True) == [0, 1], "eight GPUs of a container with two cores"
    ranks = config(strategy="horovod", transport="gloo", replicas=8, global_batch=128)
    assert devices.pin(ranks, [0, 1], {"HOROVOD_LOCAL_RANK": "7"}, gpus=True) == [0, 1]
    monkeypatch.setattr(near_cores, "of_this_host", lambda cores, ranks, rank, shown: [rank, rank + 8])
    assert devices.pin(two_gpus, range(16), {"HOROVOD_LOCAL_RANK": "1"}, gpus=True) == [1, 9], "near its GPU"
    with pytest.raises(EnvironmentUnusable, match="needs 8 cores"):
        devices.pin(crowded, [0, 1], {}, gpus=False)
    bound_by_srun = {"SLURM_LOCALID": "1", "SLURM_CPU_BIND_TYPE": "mask_cpu:", "BATCHSCALE_LAUNCHER": "srun-gloo"}
    assert devices.pin(two, eight, bound_by_srun, gpus=True) == eight, "these are its own already"
