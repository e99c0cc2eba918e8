"""`batchscale search largest-batch`: what it tries, keeps and answers; and the same with real ranks under a limit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from support.launching import batchscale, environment, require_strategy
from support.stored_study import SMALL
from support.synthetic_records import Memory as MemoryTruth
from support.synthetic_records import Study, manifest, records, write_store

from batchscale.analysis.report import page
from batchscale.benchmarks.data.order import epoch_order
from batchscale.benchmarks.errors import EXIT_OK, EXIT_RUNS_FAILED, EXIT_USAGE, PlanError, RecordError
from batchscale.benchmarks.planning.plan import parse
from batchscale.benchmarks.rank import devices
from batchscale.benchmarks.records import searches
from batchscale.benchmarks.records.searches import Answer, Trial
from batchscale.benchmarks.runs.run_config import RunConfig
from batchscale.launchers.search import largest_batch, starting_batch

PLAN = """
[plan]
name = "fit"
[[experiment]]
name = "adam"
dataset = "synthetic:64,examples=100"
model = "mlp_128"
optimizer = "adam"
global_batches = [32]
rules = ["constant", "tuned"]
strategies = ["single", "mirrored", "horovod-gloo"]
replicas = [1, 2]
"""


class Memory:
    """A fake rank group: `capacity` examples fit, `lasting` of them through a long run."""

    def __init__(self, capacity: int, lasting: int | None = None) -> None:
        self.capacity, self.lasting, self.seen = capacity, lasting or capacity, list[tuple[int, int]]()

    def __call__(self, config: RunConfig) -> Trial:
        self.seen.append((config.replica_batch, config.memory_steps))
        limit = self.capacity if config.memory_steps == 3 else self.lasting
        status = "completed" if config.replica_batch <= limit else "out_of_memory"
        return Trial(config.replica_batch, config.memory_steps, config.run_id, status, peak_bytes=1e6)


@pytest.fixture
def like(config: Callable[..., RunConfig]) -> RunConfig:
    return config(kind="memory", strategy="mirrored", replicas=2, accumulation=3, global_batch=6)


def test_the_batch_is_found_verified_and_kept_with_a_margin(like: RunConfig, tmp_path: Path) -> None:
    memory = Memory(1000)
    answer = largest_batch.search(like, largest_batch.Options(start=32), memory, tmp_path)
    assert answer.largest_batch is not None and 1000 / (1 + 1 / 16) <= answer.largest_batch <= 1000
    assert memory.seen[-1] == (answer.largest_batch, 30), "the last run is the longer one, at the batch found"
    assert answer.recommended_batch == answer.largest_batch * 95 // 100 // 8 * 8
    assert answer.recommended_global_batch == answer.recommended_batch * 2 * 3
    assert searches.read(tmp_path) == answer
    assert f"{answer.largest_batch:,} per replica fit" in largest_batch.sentence(answer)


def test_a_batch_that_fits_but_does_not_last_is_not_the_answer(like: RunConfig, tmp_path: Path) -> None:
    answer = largest_batch.search(like, largest_batch.Options(start=32), Memory(1000, 700), tmp_path)
    assert answer.largest_batch is not None and 600 <= answer.largest_batch <= 700


def test_where_nothing_fits_none_is_recommended(like: RunConfig, tmp_path: Path) -> None:
    answer = largest_batch.search(like, largest_batch.Options(start=32), Memory(0), tmp_path)
    assert (answer.largest_batch, answer.recommended_batch) == (0, 0)
    assert "not even a batch of 1" in largest_batch.sentence(answer)


def test_the_answer_so_far_is_kept_after_every_trial(like: RunConfig, tmp_path: Path) -> None:
    class Broken(Memory):
        def __call__(self, config: RunConfig) -> Trial:
            if len(self.seen) == 3:
                raise largest_batch.TrialFailed("a bug")
            return super().__call__(config)
    with pytest.raises(largest_batch.TrialFailed):
        largest_batch.search(like, largest_batch.Options(start=32), Broken(1000), tmp_path)
    kept = searches.read(tmp_path)
    assert [trial.replica_batch for trial in kept.trials] == [32, 64, 128] and kept.largest_batch is None


def test_one_search_for_each_placement_whatever_rules_and_rates_the_plan_has() -> None:
    targets = largest_batch.targets_here(parse(PLAN), largest_batch.Options(memory_limit_bytes=2**30))
    assert {(t.strategy, t.replicas) for t in targets} >= {("single", 1), ("mirrored", 2)}
    assert len(targets) == len({(t.strategy, t.transport, t.replicas) for t in targets})
    assert {t.memory_limit_bytes for t in targets} == {2**30} and {t.kind for t in targets} == {"memory"}
    chosen = largest_batch.targets_here(parse(PLAN), largest_batch.Options(only="strategy=single"))
    assert [(t.strategy, t.replicas) for t in chosen] == [("single", 1)]
    with pytest.raises(PlanError, match="selects no run"):
        largest_batch.targets_here(parse(PLAN), largest_batch.Options(only="experiment=other"))


def test_another_memory_limit_is_another_search(like: RunConfig, tmp_path: Path) -> None:
    assert searches.folder(tmp_path, like) != searches.folder(tmp_path, replace(like, memory_limit_bytes=2**30))


@pytest.mark.parametrize("text", ["4 chickens", "-1GiB", "nan", "inf", "0", "1e30", "GiB", "4GiBGiB"])
def test_a_size_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(PlanError, match="is no size"):
        largest_batch.byte_size(text)


def test_sizes_are_read_with_their_units() -> None:
    assert [largest_batch.byte_size(text) for text in ("", "512MiB", "8GB", "1.5 GiB", "100")] == [
        0, 512 * 2**20, 8 * 10**9, 3 * 2**29, 100]


@pytest.mark.parametrize("changes", [{"margin": 1.0}, {"resolution": -0.1}, {"most": 0}, {"multiple": 64, "most": 32}])
def test_options_that_make_no_search_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(PlanError):
        largest_batch.Options(**changes)  # type: ignore[arg-type]


def test_without_a_gpu_a_limit_must_be_given_and_must_be_there(like: RunConfig) -> None:
    with pytest.raises(PlanError, match="give --memory-limit"):
        largest_batch.check_limit(like, gpus=0)
    with pytest.raises(PlanError, match="available here"):
        largest_batch.check_limit(replace(like, memory_limit_bytes=2**52), gpus=0)
    largest_batch.check_limit(like, gpus=1)


def test_a_batch_larger_than_the_data_repeats_examples(config: Callable[..., RunConfig]) -> None:
    made = config(kind="memory", global_batch=4000)
    assert made.steps_per_epoch == 1
    order = epoch_order(0, 0, 100, at_least=250)
    assert len(order) == 250 and (order[:100] == order[100:200]).all() and (order[200:] == order[:50]).all()
    with pytest.raises(PlanError, match="larger than the 1146 training examples"):
        config(kind="throughput", global_batch=4000)


ANSWER = Answer("adam", "mlp_128", "adam", "float32", "mirrored", 2, 1, 2**30, 32, 2**20, 1, 1 / 16, 0.05, trials=(
    Trial(1024, 3, "a", "completed", peak_bytes=5e8), Trial(2048, 3, "b", "out_of_memory", "OOM when allocating <x>")),
    largest_batch=1024, fails_batch=1088, recommended_batch=968)


def test_the_report_has_a_section_where_a_search_was_made(tmp_path: Path) -> None:
    few = replace(SMALL, experiments=SMALL.experiments[:1], seeds=2)
    made = records(few)
    store = write_store(tmp_path / "plan", made, settings=manifest(few, made)["settings"])
    text = (page.write(store, tmp_path / "before") / "report.md").read_text()
    assert "Largest batch\n" not in text
    searches.write(tmp_path / "plan" / "search" / "one", ANSWER)
    (tmp_path / "plan" / "search" / "broken").mkdir()
    (tmp_path / "plan" / "search" / "broken" / searches.ANSWER).write_text('{"trials": 7}')
    text = (page.write(store, tmp_path / "after") / "report.md").read_text()
    assert "Largest batch\n" in text
    assert all(part in text for part in ("1,024", "1,088", "968", "1,936", "477 MiB", "1.00 GiB"))
    assert "trials = 7 must be a list of at most 1,000" in text


@pytest.mark.parametrize("change", [{"trials": [{"replica_batch": "x"}]}, {"largest_batch": -1}, {"margin": True},
                                    {"strategy": None}, {"trials": [{}]}, {"experiment": ["a"]}])
def test_an_answer_that_cannot_be_believed_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    searches.write(tmp_path, ANSWER)
    values = json.loads((tmp_path / searches.ANSWER).read_text())
    (tmp_path / searches.ANSWER).write_text(json.dumps({**values, **change}))
    with pytest.raises(RecordError):
        searches.read(tmp_path)


def test_the_memory_law_of_the_plans_own_runs_gives_the_first_size(tmp_path: Path) -> None:
    """(0.95 C - a) / b with C = 1,600 MB less the 600 MB that the process has before it trains."""
    study = Study(seeds=1, memory=MemoryTruth(5e7, 20_000.0, noise=0.0))
    store = write_store(tmp_path / "plan", records(study))
    memory = next(run.config for run in store.runs() if run.config.kind == "memory")
    limited = replace(memory, memory_limit_bytes=1_600_000_000)
    assert starting_batch.by_memory_law(store.folder, limited) == pytest.approx((0.95e9 - 5e7) / 20_000, rel=0.001)
    assert starting_batch.by_memory_law(store.folder, replace(limited, model="resnet_20")) is None
    assert starting_batch.by_memory_law(store.folder, replace(limited, memory_limit_bytes=500_000_000)) is None
    assert starting_batch.by_memory_law(tmp_path / "nothing", limited) is None


class FakeTensorFlow:
    """Keeps what was set on GPUs."""

    def __init__(self) -> None:
        self.limits, self.grows = list[object](), list[object]()
        self.config = self.experimental = self
        self.LogicalDeviceConfiguration = lambda memory_limit: memory_limit

    def set_visible_devices(self, devices: object, kind: str) -> None:
        pass

    def set_logical_device_configuration(self, gpu: object, limit: list[object]) -> None:
        self.limits.append((gpu, limit))

    def set_memory_growth(self, gpu: object, grows: bool) -> None:
        self.grows.append(gpu)


def test_on_gpus_a_limit_takes_the_place_of_growth(like: RunConfig) -> None:
    free, limited = FakeTensorFlow(), FakeTensorFlow()
    devices._prepare_gpus(free, ["a", "b", "c"], like, 2)
    devices._prepare_gpus(limited, ["a", "b", "c"], replace(like, memory_limit_bytes=2**30), 2)
    assert (free.limits, free.grows) == ([], ["a", "b"])
    assert (limited.limits, limited.grows) == ([("a", [1024]), ("b", [1024])], [])


def words(strategy: str, replicas: int, limit: str = "700MiB") -> list[str]:
    only = f"strategy={strategy.partition('-')[0]},replicas={replicas}"
    return ["search", "largest-batch", "fit.toml", "--only", only, "--memory-limit", limit, "--start", "8192",
            "--resolution", "0.5", "--verify-steps", "5"]


def ranks(folder: Path) -> list[psutil.Process]:
    return [process for process in psutil.process_iter(["cmdline", "cwd"]) if process.info["cwd"] == str(folder)
            and any("rank" in word for word in process.info["cmdline"] or [])]


def answer_in(folder: Path) -> Answer:
    (answer,), wrong = searches.read_all(folder / "results" / "fit")
    assert wrong == []
    return answer


@pytest.mark.launched
@pytest.mark.slow
@pytest.mark.parametrize(("strategy", "replicas"), [("single", 1), ("mirrored", 2), ("horovod-gloo", 2)])
def test_under_a_memory_limit_the_largest_batch_is_found(tmp_path: Path, strategy: str, replicas: int) -> None:
    require_strategy(strategy)
    (tmp_path / "fit.toml").write_text(PLAN)
    done = batchscale(*words(strategy, replicas), cwd=tmp_path, timeout=900)
    assert done.returncode == EXIT_OK, done.stdout + done.stderr
    answer = answer_in(tmp_path)
    assert answer.largest_batch and answer.fails_batch and answer.largest_batch > 100, "more than the data has"
    assert answer.fails_batch <= 1.5 * answer.largest_batch
    assert answer.trials[-1].steps == 5 and answer.trials[-1].fits
    assert {trial.status for trial in answer.trials} == {"completed", "out_of_memory"}
    assert not ranks(tmp_path), "no process is left behind"
    began = time.monotonic()
    again = batchscale(*words(strategy, replicas), cwd=tmp_path)
    assert again.returncode == EXIT_OK and again.stdout.count("(kept from before)") == len(answer.trials)
    assert answer_in(tmp_path) == answer
    assert time.monotonic() - began < 120


@pytest.mark.launched
@pytest.mark.slow
def test_interrupted_the_same_command_goes_on_where_it_stopped(tmp_path: Path) -> None:
    (tmp_path / "fit.toml").write_text(PLAN)
    command = [*words("single", 1), "--most", "16384"]
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "batchscale.launchers.cli", *command], cwd=tmp_path,
                                   env=environment(), stdout=log, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 200
    while not list(tmp_path.glob("results/fit/search/*/*/record.json")) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(60) == 143, (tmp_path / "log").read_text()
    assert not ranks(tmp_path), "no process is left behind"
    before = {path: path.read_bytes() for path in tmp_path.glob("results/fit/search/*/*/record.json")}
    done = batchscale(*command, cwd=tmp_path, timeout=400)
    assert done.returncode == EXIT_OK, done.stdout + done.stderr
    assert "8,192 per replica, 3 steps: completed (kept from before)" in done.stdout
    assert {path: path.read_bytes() for path in before} == before
    assert answer_in(tmp_path).largest_batch == 16384 and answer_in(tmp_path).fails_batch is None


@pytest.mark.launched
@pytest.mark.slow
def test_a_trial_that_fails_otherwise_ends_the_search_with_its_error(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("import os, keras\n\n\ndef build(shape, classes):\n"
                                     "    if 'BATCHSCALE_LAUNCHED' in os.environ:\n        raise ValueError('a bug')\n"
                                     "    return keras.Sequential([keras.Input(shape), keras.layers.Dense(classes)])\n")
    (tmp_path / "fit.toml").write_text(PLAN.replace("mlp_128", "bad:build"))
    done = batchscale(*words("single", 1), cwd=tmp_path)
    assert done.returncode == EXIT_RUNS_FAILED, done.stdout + done.stderr
    assert "a bug" in done.stderr and "no want of memory" in done.stderr and "Traceback" not in done.stderr


def test_no_limit_ends_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "fit.toml").write_text(PLAN)
    done = batchscale("search", "largest-batch", "fit.toml", cwd=tmp_path)
    assert done.returncode == EXIT_USAGE and "--memory-limit" in done.stderr and "Traceback" not in done.stderr
