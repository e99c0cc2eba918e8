"""Scripts of the kinds that people write: each goes on one process, on two replicas of tf.distribute and on two ranks
of Horovod, or says in one sentence why not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.launching import batchscale, require_strategy

from batchscale.benchmarks.records.store import open_store

pytestmark = [pytest.mark.launched, pytest.mark.slow]
SCRIPTS = Path(__file__).parents[1] / "support" / "scripts" / "kinds"
REFUSED = {"two_optimizers": "with 2 optimizers beside that of compile (d_optimizer, g_optimizer), as a GAN has"}
KINDS = sorted({script.stem for script in SCRIPTS.glob("*.py")} - set(REFUSED))
PLACES = {"alone": ('["single"]', 1), "together": ('["mirrored", "horovod"]', 2)}
PLAN = """
[[experiment]]
name = "{kind}.{place}"
script = "{kind}.py"
global_batches = [24]
epochs = 1
strategies = {strategies}
replicas = [{replicas}]
"""


def plan() -> str:
    """One plan of all, so that runs of one shape share a worker."""
    return '[plan]\nname = "kinds"\ndrift_guard = false\n\n[defaults]\nseeds = 1\n' + "".join(
        PLAN.format(kind=kind, place=place, strategies=strategies, replicas=replicas)
        for kind in KINDS for place, (strategies, replicas) in PLACES.items())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("kinds")
    shutil.copytree(SCRIPTS, found, dirs_exist_ok=True)
    return found


@pytest.fixture(scope="module")
def trained(folder: Path) -> Path:
    """The results of all kinds."""
    require_strategy("horovod-mpi")
    (folder / "kinds.toml").write_text(plan())
    done = batchscale("run", "kinds.toml", cwd=folder, timeout=3600)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "results" / "kinds"


def test_every_kind_of_script_trains_on_one_process_and_on_two_replicas(trained: Path) -> None:
    records = list(open_store(trained).records())
    found = {(one["config"]["experiment"].partition(".")[0], one["config"]["strategy"]): one for one in records}
    assert set(found) == {(kind, strategy) for kind in KINDS for strategy in ("single", "mirrored", "horovod")}
    assert {one["status"] for one in records} == {"completed"}
    for one in records:
        assert one["evaluations"][-1]["examples"] == one["config"]["train_examples"]  # the last batch among them
        assert one["evaluations"][-1]["test_loss"] is not None


def test_what_the_plan_says_is_not_taken_over_is_told_in_every_record(trained: Path) -> None:
    store = open_store(trained)
    told = [said.partition(".py: ")[::2] for said in store.manifest.settings["leaves_out"]]
    assert {kind for kind, _ in told} > {"augmented_pictures", "fine_tuned", "generator", "tabular", "variational"}
    for one in store.records():
        kind = one["config"]["experiment"].partition(".")[0]
        expected = {f"not taken over from the script: {note}" for of, note in told if of == kind}
        assert expected <= set(one["warnings"]), (kind, one["config"]["strategy"])


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_taken_over_is_refused_in_one_sentence(folder: Path, kind: str) -> None:
    done = batchscale("study", f"{kind}.py", "--batches", "16,32", cwd=folder)
    said, = [line for line in done.stderr.splitlines() if line.startswith("batchscale study: ")]
    assert done.returncode == 2 and REFUSED[kind] in said
