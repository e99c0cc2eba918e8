"""Site profiles: what they may say, and how they are told what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from batchscale.benchmarks.errors import PlanError
from batchscale.launchers.slurm import site
from batchscale.slurm import local_cluster


def test_nothing_said_leaves_every_choice_to_slurm() -> None:
    found = site.read("")
    assert (found.partition, found.account, found.gpus, found.launcher) == ("", "", "none", "srun-gloo")


@pytest.mark.parametrize("name", ["gpu_cluster", "local_cluster"])
def test_the_bundled_profiles_are_valid(name: str) -> None:
    assert site.read(name).partition == {"gpu_cluster": "gpu", "local_cluster": "debug"}[name]


def test_a_profile_is_read_by_path(tmp_path: Path) -> None:
    path = f"{tmp_path}/mine.toml"
    with open(path, "w") as file:
        file.write('partition = "p"\nsetup = ["module load x"]\nsbatch_options = ["--mem=8G"]\n')
    found = site.read(path)
    assert (found.partition, found.setup, found.sbatch_options) == ("p", ("module load x",), ("--mem=8G",))


@pytest.mark.parametrize(("text", "message"), [
    ('partitoin = "x"', r"key='partitoin' is not known; .*Did you mean 'partition'\?"),
    ('launcher = "ssh"', r"launcher='ssh' is not known; choose one of: auto, mpirun, srun-gloo, srun-mpi"),
    ('gpus = "4"', r"gpus='4' is not known; choose one of: gpus-per-node, gpus-per-task, gres, none"),
    ("gpus = 4", "gpus = 4 must be one of: gpus-per-node, gpus-per-task, gres, none"),
    ("account = 12", "account = 12 must be text in quotes"),
    ("exclusive = true", "exclusive = True must be one of: always, never, timing"),
    ('setup = "module load x"', "must be a list of texts"),
    ('sbatch_options = [1]', r"sbatch_options\[0\] = 1 must be text in quotes"),
    ("concurrency = 0", "concurrency = 0 must be a whole number from 1 to 10000"),
    ("concurrency = true", "concurrency = True must be a whole number"),
    ('time = "1 hour"', "time='1 hour' is no time limit; write minutes, HH:MM:SS or D-HH:MM:SS"),
    ('time = "2"', "signal_seconds=120 is not shorter than time=2"),
    ('container = "apptainer \'exec"', "cannot be split into words: No closing quotation"),
    ("partition", "is not valid TOML"),
])
def test_what_is_wrong_is_named_with_the_choices(text: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        site.parse(text, "site.toml")


def test_a_profile_that_is_not_there_lists_the_bundled_ones() -> None:
    with pytest.raises(PlanError, match="bundled profiles, by name: gpu_cluster, local_cluster"):
        site.read("nowhere.toml")


@pytest.mark.parametrize(("text", "hours"), [
    ("90", 1.5), ("90:30", 1.5 + 30 / 3600), ("01:30:00", 1.5), ("1-12", 36.0), ("1-12:30", 36.5),
    ("2-00:00:36", 48.01)])
def test_time_limits_are_slurms(text: str, hours: float) -> None:
    assert site.hours(text) == pytest.approx(hours)


@pytest.mark.parametrize(("launcher", "transports"), [
    ("srun-gloo", ("gloo",)), ("srun-mpi", ("mpi", "gloo")), ("mpirun", ("mpi", "gloo")), ("auto", ("gloo", "mpi"))])
def test_the_launcher_decides_what_ranks_can_talk_by(launcher: str, transports: tuple[str, ...]) -> None:
    assert site.parse(f'launcher = "{launcher}"').transports == transports


def test_the_cluster_on_one_machine_takes_no_folder_that_it_did_not_make(tmp_path: Path) -> None:
    """Starting it removes what was there, and its configuration is code that root runs."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis").write_text("")
    for action in (local_cluster.stop, local_cluster.answers):
        with pytest.raises(local_cluster.ClusterError, match="no cluster of yours"):
            action(tmp_path / "mine")
    (tmp_path / "mine" / local_cluster.MARK).touch()
    (tmp_path / "mine").chmod(0o777)
    with pytest.raises(local_cluster.ClusterError, match="no cluster of yours"):
        local_cluster.answers(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis").exists() and local_cluster.answers(tmp_path / "absent") == []
