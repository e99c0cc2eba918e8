"""Ending what is left of a worker ends nothing else; ranks that can begin nothing end the command soon, with a code."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from batchscale.analysis.tables import reading
from batchscale.benchmarks.errors import EXIT_ENVIRONMENT, EXIT_RUNS_FAILED, PlanError, RecordError
from batchscale.benchmarks.records.store import Store
from batchscale.benchmarks.runs.run_config import RunConfig
from batchscale.launchers.local import guardian, machine_lock, study, supervisor, worker
from batchscale.launchers.local.display.progress import Progress
from batchscale.launchers.local.rank_commands import Start

Started = list[subprocess.Popen[bytes]]


@pytest.fixture
def sleepers(tmp_path: Path) -> Iterator[Started]:
    """Processes of a worker in one folder and of one in another, by the same path within it; and a stranger."""
    places = [{"BATCHSCALE_LOGS": str(tmp_path / name / "logs" / "single-01")} for name in ("mine", "other")]
    started = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env={**os.environ, **place})
               for place in (*places, {})]
    yield started
    for process in started:
        process.kill()
        process.wait()


def test_only_the_ranks_that_log_there_are_ended(
        tmp_path: Path, sleepers: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    worker.kill_left(Path("logs/single-01"))
    assert sleepers[0].wait(10) == -9
    assert [process.poll() for process in sleepers[1:]] == [None, None]


LAUNCHER = """
import os, signal, subprocess, sys, time
from batchscale.launchers.local import guardian
with guardian.guardian() as mark:
    marked = {**os.environ, guardian.VARIABLE: mark}
    words = [sys.executable, "-c", "import time; time.sleep(120)"]
    ranks = [subprocess.Popen(words, env=marked, start_new_session=True) for _ in range(2)]
    ranks[0].send_signal(signal.SIGSTOP)
    print(*(rank.pid for rank in ranks), flush=True)
    time.sleep(120)
"""


def test_what_a_killed_launcher_leaves_is_woken_and_ended() -> None:
    """Halted processes, too, that nobody else would wake; a stranger is not touched."""
    program = LAUNCHER.replace("with guardian", "guardian.__file__ = sys.argv[1]\nwith guardian", 1)
    quick = Path(guardian.__file__).read_text().replace("LEAVE_SECONDS = 30.0", "LEAVE_SECONDS = 3.0")
    with tempfile.NamedTemporaryFile("w", suffix=".py") as copy:
        copy.write(quick)
        copy.flush()
        launcher = subprocess.Popen([sys.executable, "-c", program, copy.name], stdout=subprocess.PIPE, text=True)
        stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
        try:
            assert launcher.stdout is not None
            ranks = [psutil.Process(int(word)) for word in launcher.stdout.readline().split()]
            launcher.kill()
            launcher.wait()
            woken = psutil.wait_procs(ranks, 1.5)[1]
            assert len(woken) == 2 and psutil.STATUS_STOPPED not in [rank.status() for rank in woken]
            assert psutil.wait_procs(ranks, 20)[1] == []
            assert stranger.poll() is None
        finally:
            stranger.kill()
            stranger.wait()
            launcher.kill()
            launcher.communicate()


def test_the_guardian_ends_with_its_launchers_work() -> None:
    with guardian.guardian() as mark:
        assert mark and any(mark in " ".join(process.info["cmdline"] or ()) for process in
                            psutil.process_iter(["cmdline"]))
    assert not any(mark in " ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"]))


def test_logs_that_cannot_be_made_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="cannot write .*file/single-01: .*--results"):
        worker.fresh_folder(tmp_path / "file", "single")


FAILS_ONE = """
import sys
from pathlib import Path
from batchscale.benchmarks.records.store import Store
store = Store(Path(sys.argv[1]))
run, attempt = store.claim_next(store.runs(), 0.0)
run.fail(attempt, "failed", 0, "by itself")
sys.exit(1)
"""


def ended_by(words: list[str], folder: Path, configs: list[RunConfig], monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit code of a plan whose workers are `words`."""
    store = Store(folder)
    store.prepare(configs, {"name": "plan"})
    runs, limits = store.runs(), worker.Limits(folder)
    monkeypatch.setattr(worker, "start", lambda *_: Start(tuple(words), {}))
    with (supervisor.StandBy(rounds=False) as none,
          Progress(runs, lambda run: worker.unfinished(run, limits), {}) as progress):
        usable = study.passes(runs, limits, progress, none)
    return study.exit_code(runs, usable)


def test_ranks_that_begin_nothing_end_the_command_with_the_code_of_the_environment(
        tmp_path: Path, config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever code the program that starts them ends with; and not once for each run that is left."""
    configs = [config(strategy="horovod", transport="mpi", replicas=2, seed=seed) for seed in range(9)]
    words = ["sh", "-c", "echo 'batchscale-rank: no library' >&2; exit 1"]
    assert ended_by(words, tmp_path / "plan", configs, monkeypatch) == EXIT_ENVIRONMENT
    starts = len(list((tmp_path / "plan" / "logs").iterdir()))
    assert starts == supervisor.MOST_EMPTY_STARTS * study.MOST_BARREN_PASSES
    assert capsys.readouterr().out.count("no library") == 1


def test_workers_that_begin_runs_and_die_are_started_again_until_every_run_has_its_end(
        tmp_path: Path, config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch) -> None:
    configs = [config(strategy="horovod", transport="mpi", replicas=2, seed=seed) for seed in range(3)]
    words = [sys.executable, "-c", FAILS_ONE, str(tmp_path / "plan")]
    assert ended_by(words, tmp_path / "plan", configs, monkeypatch) == EXIT_RUNS_FAILED
    assert [len(run.attempts()) for run in Store(tmp_path / "plan").runs()] == [1, 1, 1]


# A rank as far as it matters here: claims a run and runs a user's code for the model.
RUNS_USERS_CODE = """
import faulthandler, sys, traceback
from pathlib import Path
from batchscale.benchmarks.data.user_function import import_function, search_beside
from batchscale.benchmarks.records.store import Store
faulthandler.enable()
store = Store(Path(sys.argv[1]))
search_beside(sys.argv[2])
run, attempt = store.claim_next(store.runs(), 0.0)
try:
    import_function("dying:build", "model")
except Exception as error:
    run.fail(attempt, "failed", 0, error, traceback.format_exc())
    sys.exit(1)
"""


@pytest.mark.parametrize(("line", "said", "code"), [
    ("import os; os.kill(os.getpid(), 11)", "ended by signal 11 (Segmentation fault): Fatal Python error", "lost"),
    ("raise type('Stop', (BaseException,), {})('enough')", "ended with code 1", "lost"),
    ("raise ValueError('no such mode')", "importing dying raised ValueError: no such mode", "failed"),
])
def test_starts_that_die_in_the_same_line_of_a_users_code_are_not_made_again_and_told_once(
        tmp_path: Path, config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str], line: str, said: str, code: str) -> None:
    """Not once for each run that is left; and the report has the same words."""
    (tmp_path / "dying.py").write_text(f"mode = 1\n{line}\n")
    configs = [config(strategy="horovod", transport="mpi", replicas=2, seed=seed) for seed in range(9)]
    words = [sys.executable, "-c", RUNS_USERS_CODE, str(tmp_path / "plan"), str(tmp_path / "plan.toml")]
    assert ended_by(words, tmp_path / "plan", configs, monkeypatch) == EXIT_ENVIRONMENT
    assert len(list((tmp_path / "plan" / "logs").iterdir())) == supervisor.MOST_ALIKE
    place = f'File "{tmp_path / "dying.py"}", line 2: {line}'
    told, = [row for row in capsys.readouterr().out.splitlines() if row.startswith(configs[0].shape)]
    assert said in told and place in told
    statuses = reading.read(Store(tmp_path / "plan")).statuses
    messages = list(statuses[statuses["status"] == code]["message"])
    assert messages and all(said in message and place in message for message in messages)


def test_the_machines_lock_is_a_plain_file_that_is_there_for_all(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PlanError, match="cannot open .*link, which keeps two studies .*BATCHSCALE_LOCK"):
        machine_lock.open_lock(tmp_path / "link")
    descriptors = [machine_lock.open_lock(tmp_path / "lock") for _ in range(2)]
    assert os.stat(tmp_path / "lock").st_mode & 0o444 == 0o444 and not (tmp_path / "elsewhere").exists()
    for descriptor in descriptors:
        os.close(descriptor)
