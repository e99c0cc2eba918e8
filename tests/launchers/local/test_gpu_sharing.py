"""Accuracy runs share a GPU where that is measured to train more of them an hour, and are done again where memory runs
out for it."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from batchscale.benchmarks.records import leases
from batchscale.benchmarks.records.failures import when_memory_ran_out
from batchscale.benchmarks.records.store import Store
from batchscale.benchmarks.runs.run_config import RunConfig
from batchscale.launchers.local import supervisor, worker
from batchscale.launchers.local.gpu_sharing import guests, measured
from batchscale.launchers.local.gpu_sharing.measured import ENOUGH, gains, Sharing, Spell, Trained, untold, UNTOLD
from batchscale.launchers.local.rank_commands import Start
from batchscale.launchers.local.schedule import may_share_gpus, Slot, Stage
from support.synthetic_records import record_for

Make = Callable[..., RunConfig]
NO_LIMIT = 64


def test_how_many_runs_a_gpu_had_is_an_average_over_a_runs_time() -> None:
    whole, half, other = Spell("0", 0, 20), Spell("0", 10, 30), Spell("1", 0, 30)
    every = [whole, half, other]
    assert [one.runs_there(every) for one in every] == [1.5, 1.5, 1.0]


def test_what_sharing_gains_is_told_by_runs_that_are_alike() -> None:
    """Two together take 15 s where one takes 10: 4/3 of the work. What had company for a part of its time tells
    nothing, nor does what has no run like it that was alone."""
    alone = [Trained("small", 1.0, 9.9), Trained("small", 1.1, 10.1)]
    together = [Trained("small", 2.0, seconds) for seconds in (15.0, 15.0, 16.5)]
    others = [Trained("small", 1.5, 90.0), Trained("large", 2.0, 90.0)]
    assert gains([*alone, *together, *others]) == {1: 1.0, 2: pytest.approx(2 / 1.5)}
    assert gains([*alone, *together[:ENOUGH - 1]]) == {1: 1.0} and gains(together) == {}
    assert untold([*alone, *together, *others], 2) == 1


def test_a_number_is_held_against_half_of_it_where_no_run_like_these_was_alone() -> None:
    """Four of the large batch take twice as long as two of it: no more work than two, 1.8 times that of one."""
    alone, two = [Trained("small", 1.0, 9.0)], [Trained("small", 2.0, 10.0)] * ENOUGH
    large = [*[Trained("large", 2.0, 20.0)] * 2, *[Trained("large", 4.0, 40.0)] * ENOUGH]
    assert gains([*alone, *two, *large]) == {1: 1.0, 2: pytest.approx(1.8), 4: pytest.approx(1.8)}


def test_where_no_runs_tell_it_goes_back() -> None:
    sharing, alone = Sharing(), Trained("small", 1.0, 9.0)
    assert sharing.decide([alone], lambda: NO_LIMIT) == "1 run on a GPU at a time; 2 are tried"
    others = [Trained(f"large {number}", 2.0, 9.0) for number in range(UNTOLD)]
    assert sharing.decide([alone, *others[1:]], lambda: NO_LIMIT) == "" and sharing.count == 2
    assert "no runs tell what 2 on a GPU at a time gain" in sharing.decide([alone, *others], lambda: NO_LIMIT)
    assert (sharing.count, sharing.settled) == (1, True)


def test_a_worker_that_died_halves_the_number_and_one_that_left_keeps_it() -> None:
    died, left = Sharing(4), Sharing(4)
    assert "2 of 4 runs" in died.ended(died=True) and left.ended(died=False) == ""
    assert [(one.count, one.settled) for one in (died, left)] == [(2, True), (4, True)]


@dataclass
class Device:
    """A GPU that does the work of `whole` runs at full speed, and of more at no more."""

    whole: float

    def done(self, seconds: Sequence[float], most: int) -> tuple[float, Sharing, list[str]]:
        """Seconds until all runs are done where as many share the device as are found to be worth it."""
        sharing, waiting, said = Sharing(), list(seconds), list[str]()
        going: list[tuple[float, float]] = []  # what is left of each and when it began
        ended, spells, now = list[Trained](), list[Spell](), 0.0
        while waiting or going:
            while waiting and len(going) < sharing.count:
                going.append((waiting.pop(0), now))
            speed = min(1.0, self.whole / len(going))
            step = min(left for left, _ in going) / speed
            now += step
            rest = [(left - step * speed, began) for left, began in going]
            over = [Spell("0", began, now) for left, began in rest if left < 1e-9]
            going = [one for one in rest if one[0] >= 1e-9]
            spells += over
            every = [*spells, *(Spell("0", began, now) for _, began in going)]
            ended += [Trained("one", one.runs_there(every), now - one.began) for one in over if not sharing.settled]
            said.append("" if sharing.settled else sharing.decide(ended, lambda: most))
        return now, sharing, [line for line in said if line]


@pytest.mark.parametrize("whole, most, expected", [
    (1.0, NO_LIMIT, 1), (1.05, NO_LIMIT, 1), (2.0, NO_LIMIT, 2), (2.6, NO_LIMIT, 4), (4.0, NO_LIMIT, 4), (4.0, 2, 2),
    (4.0, 1, 1)])
def test_a_device_has_as_many_runs_at_a_time_as_train_faster_together(whole: float, most: int, expected: int) -> None:
    noise = random.Random(1)
    runs = [10 * noise.uniform(0.97, 1.03) for _ in range(120)]
    seconds, sharing, said = Device(whole).done(runs, most)
    assert (sharing.count, sharing.settled) == (expected, True), said
    assert seconds < 1.1 * sum(runs) / min(whole, expected), "finding out costs little"


def test_what_was_decided_is_said() -> None:
    *_, said = Device(2.0).done([10.0] * 40, NO_LIMIT)
    assert said == ["1 run on a GPU at a time; 2 are tried",
                    "2 runs on a GPU at a time, which do 2.00 times the work of one; 4 are tried",
                    "4 runs on a GPU at a time do 2.00 times the work of one, 2 2.00 times: 2 from now on"]


def test_only_accuracy_runs_of_one_process_and_one_gpu_share_it(config: Make) -> None:
    wide = config(strategy="mirrored", replicas=2)
    ranks = config(strategy="horovod", transport="mpi", replicas=1)
    assert may_share_gpus(config(), ["0"]) and not may_share_gpus(config(), ())
    assert not any(may_share_gpus(one, ["0", "1"]) for one in (wide, ranks, config(kind="memory")))


def test_out_of_memory_is_a_result_but_beside_other_runs(tmp_path: Path) -> None:
    assert when_memory_ran_out(None) == when_memory_ran_out(tmp_path) == "out_of_memory"
    assert not leases.said(tmp_path, leases.FULL)
    leases.say(tmp_path, leases.SHARES)
    assert when_memory_ran_out(tmp_path) == "lost" and leases.said(tmp_path, leases.FULL)


def test_a_worker_waits_until_its_gpu_is_its_own_or_it_is_to_leave(tmp_path: Path) -> None:
    asked: list[int] = []

    def interrupted() -> str:
        asked.append(1)
        if len(asked) == 2:
            leases.unsay(tmp_path, leases.SHARES)
        return "late" if len(asked) > 5 else ""

    leases.wait_until_alone(None, lambda: pytest.fail("it has no logs"))
    leases.wait_until_alone(tmp_path, lambda: pytest.fail("it shares nothing"))
    for word in (leases.SHARES, leases.FULL):
        leases.say(tmp_path, word)
    leases.wait_until_alone(tmp_path, interrupted)
    assert len(asked) == 2
    for word in (leases.SHARES, leases.LEAVES):
        leases.say(tmp_path, word)
    leases.wait_until_alone(tmp_path, lambda: pytest.fail("it is to leave"))


# A rank whose runs take as long beside one other as alone, begin beside it where it is to come, and find no memory
# there if FULL. If ALONE, the first rank leaves the last run to others, which goes on until nothing is shared any more
# and dies at its first attempt.
RANK = """
import json, os, sys, time
from pathlib import Path
from batchscale.benchmarks.rank.worker import arguments
from batchscale.benchmarks.records import failures, leases
from batchscale.benchmarks.records.store import Store
folder, options, logs = Path(sys.argv[1]), arguments(sys.argv[2:]), leases.own_logs()
store = Store(options.results)
runs = store.runs()[:-1 if ALONE and len(list(logs.parent.iterdir())) == 1 else None]
def shares_until(event):
    end = time.monotonic() + 60
    while leases.said(logs, leases.SHARES) and not event():
        assert time.monotonic() < end, "nobody came, and nobody said that it was alone"
        time.sleep(0.02)
while True:
    leases.wait_until_alone(logs, lambda: "")
    claimed = None if leases.said(logs, leases.LEAVES) else store.claim_next(runs, 0.0)
    if claimed is None:
        break
    run, attempt = claimed
    begun = folder / "begun" / f"{os.getpid()}-{run.run_id}"
    begun.touch()
    beside = lambda: len({path.name.split("-")[0] for path in (folder / "begun").iterdir()}) > 1
    shares_until(beside)
    time.sleep(SECONDS)
    if ALONE and run.run_id == store.runs()[-1].run_id:
        shares_until(lambda: False)
        if len(run.attempts()) == 1:
            begun.unlink()
            os._exit(13)
    if FULL and beside() and leases.said(logs, leases.SHARES):
        run.fail(attempt, failures.when_memory_ran_out(logs), 0, "no memory")
    else:
        record = json.loads((folder / "records" / run.run_id).read_text())
        record["evaluations"][-1]["train_seconds"] = SECONDS
        run.finish(attempt, record)
    begun.unlink()
"""


def shared_stage(folder: Path, config: Make, monkeypatch: pytest.MonkeyPatch, count: int, *, full: bool = False,
                 alone: bool = False) -> tuple[list[str], Store]:
    """What is said while one pretended GPU has so many runs to do, and the store afterwards."""
    configs = [config(seed=seed) for seed in range(count)]
    for name in ("records", "begun"):
        (folder / name).mkdir()
    for one in configs:
        (folder / "records" / one.run_id).write_text(json.dumps(record_for(one)))
    store = Store(folder / "plan")
    store.prepare(configs, {"name": "plan"})
    program = RANK.replace("if FULL", f"if {full}").replace("if ALONE", f"if {alone}").replace("SECONDS", "0.3")
    monkeypatch.setattr(worker, "start", lambda config, words, *_: Start(
        (sys.executable, "-c", program, str(folder), *words), {}))
    monkeypatch.setattr(guests, "room_on", lambda slot, now: 2)
    monkeypatch.setattr(measured, "NEARLY", 0.5)  # between two runs a slow machine takes its time
    monkeypatch.setattr(supervisor, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(supervisor, "POLL_SECONDS", 0.05)
    stage = Stage(configs[0], (Slot((0, 1), ("0",)),), count, shares_gpus=True)
    limits, said = worker.Limits(folder / "plan", runs_per_gpu=8), list[str]()
    with supervisor.StandBy(rounds=False) as none:
        problems = list(supervisor.in_turn([(stage, store.runs())], limits, lambda: None, none, said.append))
    assert problems == [""] and {run.status() for run in store.runs()} == {"completed"}
    return [line.partition(": ")[2] for line in said], store


def test_a_second_worker_joins_and_both_go_on_to_the_end(
        tmp_path: Path, config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    said, store = shared_stage(tmp_path, config, monkeypatch, 12)
    assert said[0] == "1 run on a GPU at a time; 2 are tried"
    assert "which do 2.00 times the work of one; no more than 2 have room" in said[1]
    assert len(list((store.folder / "logs").iterdir())) == 2, "a host and one guest"


def test_runs_without_memory_beside_others_are_done_again_alone(
        tmp_path: Path, config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    said, store = shared_stage(tmp_path, config, monkeypatch, 8, full=True)
    assert said[-1] == "a GPU's memory ran out while runs shared it: one run on a GPU at a time from now on"
    assert max(len(run.attempts()) for run in store.runs()) == 2


def test_a_guest_whose_host_has_ended_has_the_gpu_to_itself_and_is_started_again_where_it_dies(
        tmp_path: Path, config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    _, store = shared_stage(tmp_path, config, monkeypatch, 10, alone=True)
    assert [len(run.attempts()) for run in store.runs()] == [1] * 9 + [2]
