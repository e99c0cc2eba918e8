"""A tuned arm whose rates are halved: what goes on from a shorter run ends as if it had been trained at once, killed or
not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import known_workloads
from support.launching import batchscale, environment, wait_until

from batchscale.benchmarks.errors import EXIT_INCOMPLETE, EXIT_OK
from batchscale.benchmarks.records.store import open_store, Store
from batchscale.launchers.machine.cores import usable_cores

pytestmark = [pytest.mark.launched, pytest.mark.slow]
PLAN = """
[plan]
name = "rates"
drift_guard = false
[[experiment]]
name = "momentum"
dataset = "digits"
model = "mlp_128"
optimizer = "momentum"
global_batches = [64]
rules = ["tuned"]
trials = 4
halve_after = [2]
epochs = 6
seeds = 2
"""


def study(folder: Path, text: str = PLAN) -> Store:
    """The plan in a folder of its own, run to its end."""
    folder.mkdir(exist_ok=True)
    (folder / "rates.toml").write_text(text)
    known_workloads.describe(folder / "results" / "rates")
    done = batchscale("run", "rates.toml", cwd=folder, timeout=900)
    assert done.returncode == EXIT_OK, done.stdout + done.stderr
    return open_store(folder / "results")


def trained(store: Store, **wanted: Any) -> dict[str, Any]:
    """What each run evaluated, without what a clock said."""
    return {record["run_id"]: [{**row, "train_seconds": None} for row in record["evaluations"]]
            for record in store.records() if all(record["config"].get(key) == value for key, value in wanted.items())}


@pytest.fixture(scope="module")
def halved(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return study(tmp_path_factory.mktemp("halved"))


def test_what_goes_on_from_a_shorter_run_ends_as_all_at_once_does(halved: Store, tmp_path: Path) -> None:
    at_once = trained(study(tmp_path / "at_once", PLAN.replace("halve_after = [2]\n", "")))
    whole, short = trained(halved, stops_after=0), trained(halved, stops_after=2)
    assert len(short) == 4 * 2 and 0 < len(whole) < len(at_once) + 2 * 6
    assert all(rows == at_once[name] for name, rows in whole.items() if name in at_once) and set(whole) & set(at_once)
    for record in halved.records():
        if record["run_id"] in set(whole) & set(at_once):
            assert record["continues"] in short and record["resumed"][0]["run"] == record["continues"]
    assert not list(halved.folder.glob("*/*/checkpoint*")), "nothing goes on from them any more"
    starts = list((halved.folder / "logs").glob(f"{halved.runs()[0].config.shape}-*"))
    assert len(starts) <= len(usable_cores()), "workers stand by from one length to the next"


def test_killed_in_its_midst_it_tries_the_same_rates(halved: Store, tmp_path: Path) -> None:
    (tmp_path / "rates.toml").write_text(PLAN)
    known_workloads.describe(tmp_path / "results" / "rates")
    process = subprocess.Popen([sys.executable, "-m", "batchscale.launchers.cli", "run", "rates.toml"], cwd=tmp_path,
                               env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    records = "results/rates/*/record.json"
    assert wait_until(lambda: len(list(tmp_path.glob(records))) >= 9, 600), "one of the longer runs is done"
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    asked = json.loads((tmp_path / "results" / "rates" / "plan.json").read_text())["runs"]
    assert set(asked) <= {run.run_id for run in halved.runs()}
    status = batchscale("status", "results", cwd=tmp_path)
    assert status.returncode == EXIT_INCOMPLETE and "rates by halving" in status.stdout
    again = study(tmp_path)
    assert trained(again) == trained(halved)
    report = batchscale("report", "results/rates", cwd=tmp_path)
    assert report.returncode == EXIT_OK
    page = (tmp_path / "results" / "rates" / "report" / "index.html").read_text()
    assert "rates were halved. After 2 of 6 epochs, by 2 seeds" in page
