"""What the terminal shows while a study works: the time left, what is running, what to know."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from batchscale.benchmarks.planning.expansion import expand
from batchscale.benchmarks.planning.plan import parse
from batchscale.benchmarks.records.store import Store
from batchscale.benchmarks.runs.run_config import RunConfig
from batchscale.launchers.local.display import announcement
from batchscale.launchers.local.display.progress import Progress
from batchscale.launchers.local.display.remaining import Remaining

PLAN = """
[plan]
name = "mine"
drift_guard = false
[[experiment]]
name = "sgd"
dataset = "digits"
model = "mlp_128"
global_batches = [64, 128, 512]
rules = ["constant", "linear"]
warmup_epochs = 5
epochs = 2
seeds = 2
"""


@pytest.mark.parametrize("runs", [[30.0] * 4, [5.0, 50.0, 1.0], [100.0]])
@pytest.mark.parametrize("slower", [0.5, 1.0, 4.0])
def test_the_time_left_never_grows_while_a_run_goes_on(runs: list[float], slower: float) -> None:
    rest, now = Remaining(sum(runs), 0.0), 0.0
    for expected in runs:
        shown = [rest.seconds(expected, now + passed) for passed in range(int(expected * slower) + 1)]
        assert shown == sorted(shown, reverse=True) and shown[-1] >= 0
        now += expected * slower
        rest.finished(expected, now)
    assert rest.seconds(0.0, now) == pytest.approx(0.0)


def test_the_pace_of_what_ended_scales_what_is_left() -> None:
    rest = Remaining(1000.0, 0.0)
    rest.finished(500.0, 1500.0)
    assert 2.5 * 500 < rest.seconds(0.0, 1500.0) < 3 * 500, "three times as slow, with a minute's trust in the guess"


@pytest.mark.parametrize(("first", "then"), [(1.0, 3.0), (3.0, 1.0), (2.0, 0.7)])
def test_the_end_of_a_study_is_foretold_within_a_factor_of_1_5_when_the_pace_changed(first: float, then: float) -> None:
    took = [5.0 * first] * 40 + [5.0 * then] * 60
    rest, now, ratios = Remaining(500.0, 0.0), 0.0, []
    for seconds in took[:-1]:
        now += seconds
        rest.finished(5.0, now)
        if now > 0.8 * sum(took):
            ratios.append(rest.seconds(0.0, now) / (sum(took) - now))
    assert len(ratios) > 10 and all(1 / 1.5 < ratio < 1.5 for ratio in ratios), ratios


def test_the_moving_line_fits_the_terminal_and_says_what_is_running_and_since_when(
        tmp_path: Path, config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path / "mine")
    store.prepare([config(seed=seed) for seed in range(4)], {"name": "mine"})
    claimed = store.claim_next(store.runs())
    assert claimed is not None
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    for columns in (300, 40):
        monkeypatch.setenv("COLUMNS", str(columns))
        seconds = {run.config.digest: 10.0 for run in store.runs()}
        with Progress(store.runs(), lambda run: not run.has_record, seconds) as progress:
            progress.update()
        line = capsys.readouterr().out.split("\r\033[K")[1]
        assert line.startswith("░" * 16 + " [0/4] 0 s so far, ") and len(line) < columns
        if columns == 300:
            assert re.search(rf"about (40|3\d) s left; running: {claimed[0].run_id} \(\d+ s\)$", line)


def test_what_to_know_is_said_once_for_all_batches_it_holds_for() -> None:
    runs = expand(parse(PLAN), lambda *_: 1200, {}).runs
    found = announcement.remarks(runs)
    assert "longer than the run" in found[0] and found[0].endswith(" (4 runs: sgd, linear, batch 128 and 512)")
    assert len(found) > 1 and len(set(found)) == len(found) and all(line.startswith("to know: ") for line in found)
    assert announcement.remarks(runs, 1) == [found[0], f"to know: {len(found) - 1} more; `batchscale plan` lists them"]
