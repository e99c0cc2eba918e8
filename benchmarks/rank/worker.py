"""`batchscale-rank`: one rank of a worker, which claims and does the pending runs of one shape until none is left.

By hand: `horovodrun -np 2 batchscale-rank --results results/quick --shape horovod-mpi-2r-1n-1c`.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from ..errors import (EXIT_ENVIRONMENT, EXIT_INCOMPLETE, EXIT_OK, EXIT_RUNS_FAILED, BatchscaleError, PlanError,
                      RanksDisagree, RecordError)
from ..data.user_function import search_beside
from ..planning import keys, selection
from ..records import leases
from ..records.failures import FAILURE, when_memory_ran_out
from ..records.json_files import read_json
from ..records.run_folder import attempt_number, remove_states, Run
from ..records.store import Store
from ..runs.run_config import RunConfig
from . import devices, imports
from .meters import gpu_counters
from .watchdog import address, Watchdog

if TYPE_CHECKING:
    from .session import Loaded, Session

ORPHAN_GRACE_SECONDS = 20.0
LEAVING_SECONDS = 10
FIRST_WORD_SECONDS = 3.0


class Interruption:
    """Set by a signal, or when the launcher is gone; ranks look at it at step boundaries."""

    def __init__(self) -> None:
        self.reason = ""
        self.listen()

    def listen(self) -> None:
        """Again once TensorFlow's workers have met, for their preemption notice takes SIGTERM to itself."""
        for number in (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT):
            signal.signal(number, self._signalled)

    def _signalled(self, number: int, frame: Any) -> None:
        self.reason = "preempted"

    def __call__(self) -> str:
        return self.reason

    def follow(self, parent: int) -> None:
        """Stop soon after process `parent` has ended, however it ended."""
        threading.Thread(target=self._follow, args=(parent,), daemon=True).start()

    def _follow(self, parent: int) -> None:
        started_by = os.getppid()  # horovodrun or mpirun; a rank that outlives it has another parent
        while Path(f"/proc/{parent}").exists() and os.getppid() == started_by:
            time.sleep(0.5)
        self.reason = "preempted"
        time.sleep(ORPHAN_GRACE_SECONDS)
        os._exit(EXIT_INCOMPLETE)


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed arguments of `batchscale-rank`."""
    parser = argparse.ArgumentParser(prog="batchscale-rank", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True, help="the plan's folder, RESULTS/<plan>")
    parser.add_argument("--shape", required=True, help="do runs of this shape; `batchscale plan` lists them")
    parser.add_argument("--only", default="", help="of these, the runs that fit, e.g. seed<3")
    parser.add_argument("--cores", default="", help="cores to share out among local ranks, e.g. 0,1 (default: all)")
    parser.add_argument("--until", type=float, default=float("inf"), help="start no run after this UNIX time")
    parser.add_argument("--retry-before", type=float, default=0.0,
                        help="also do failed and invalid runs last begun before this UNIX time")
    parser.add_argument("--turn", type=Path, metavar="LOGS",
                        help="import and load, and wait until this folder says that it is the worker's turn")
    parser.add_argument("--stand-by", type=Path, metavar="LOGS",
                        help="when no run is left, wait until this folder says that there are more; one rank alone")
    parser.add_argument("--parent", type=int, default=0, help="stop when this process has ended")
    return parser.parse_args(words)


def pending_runs(runs: Sequence[Run], folder: Path, shape: str, only: str, rank: int = 0) -> list[Run]:
    """Return the plan's runs of this shape, in order. Raises PlanError when there is none.

    Other ranks than the first are told which run is next, and get one alone: hundreds of them would read every file of
    a plan at once.
    """
    wanted = selection.parse(only)
    fitting = (run for run in runs if run.config.shape == shape and wanted(run.config))
    found = list(islice(fitting, 1))
    found += fitting if rank == 0 or (found and found[0].config.ranks == 1) else ()
    if not found:
        shapes = sorted({run.config.shape for run in runs})
        raise PlanError(f"no run of {folder} has shape {shape!r}; shapes: {', '.join(shapes)}.")
    return found


def ready(config: RunConfig, workloads: Mapping[str, Any], logs: Path, interruption: Interruption,
          watchdog: Watchdog) -> tuple[dict[Any, Loaded], float]:
    """Import and load what disturbs a worker that is timed, and wait for the turn; ranks have not met yet. Returns the
    data and the seconds waited."""
    imports.tensorflow_and_keras()
    watchdog.progress("data")
    from . import session, strategies
    strategies.load(config)
    loaded = session.loaded_ahead(config, workloads)
    return loaded, leases.wait_for_turn(logs, partial(_waits, interruption, watchdog))


def wait_for_more(logs: Path, interruption: Interruption, watchdog: Watchdog) -> bool:
    """Wait until the launcher says that there are more runs. Returns False where it asks the worker to end instead."""
    leases.stand_by(logs, partial(_waits, interruption, watchdog))
    return not interruption()


def _waits(interruption: Callable[[], str], watchdog: Watchdog) -> str:
    watchdog.progress("the worker's turn")
    return interruption()


def open_session(config: RunConfig, cores: str, interruption: Interruption, watchdog: Watchdog,
                 waited_seconds: float = 0.0) -> Session:
    """Take the core budget, start TensorFlow and the strategy."""
    allowed = [int(c) for c in cores.split(",")] if cores else sorted(os.sched_getaffinity(0))
    own = devices.pin(config, allowed, os.environ)
    imports.tensorflow_and_keras()
    watchdog.progress("start")
    local = devices.prepare(config)
    from . import strategies
    from .session import Session
    strategy = strategies.create(config, local)
    devices.ask_for_memory_first(local)
    interruption.listen()
    watchdog.meet(strategy.rank, strategy.gather(address()))
    watchdog.progress("first run")
    counters = gpu_counters.gpu_counters(devices.visible_gpus(), os.environ.get("CUDA_VISIBLE_DEVICES"))
    watchdog.free_bytes = counters.free_bytes
    started = _start_seconds(os.environ.get("BATCHSCALE_LAUNCHED"), waited_seconds)
    return Session(strategy, local, own, config.ranks, interruption, started, counters, watchdog=watchdog)


def _start_seconds(launched: str | None, waited_seconds: float) -> dict[str, float]:
    """From the launcher's start to this process', and from there until runs can be done, less what was waited for."""
    began = psutil.Process().create_time()
    return {"launch_seconds": max(0.0, began - float(launched)) if launched else 0.0,
            "import_seconds": max(0.0, time.time() - began - waited_seconds)}


def work(store: Store, runs: list[Run], all_runs: Sequence[Run], session: Session, until: float,
         retry_before: float) -> int:
    """Claim one of `runs` on rank 0, do it on all ranks, again and again. Returns the exit code."""
    strategy, logs = session.strategy, leases.own_logs()
    if strategy.size != session.size_expected and devices.launched_rank(os.environ) != 0:
        return EXIT_ENVIRONMENT  # of ranks that did not find each other, the first one says so on a run
    while True:
        claimed = None
        leases.wait_until_alone(logs, partial(_waits, session.interrupted, session.watchdog))
        may = time.time() < until and not leases.said(logs, leases.LEAVES)
        if strategy.rank == 0 and may and not session.interrupted():
            claimed = store.claim_next(runs, retry_before)
        taken = strategy.broadcast((claimed[0].run_id, claimed[1].name) if claimed else None)
        if taken is None:
            return EXIT_INCOMPLETE if session.interrupted() else EXIT_OK
        run = store.run(taken[0])
        code = do(run, run.folder / taken[1], session, all_runs)
        if code != EXIT_OK:
            return code


def do(run: Run, attempt: Path, session: Session, runs: Sequence[Run]) -> int:
    """Do one run. Returns EXIT_OK when the worker can go on with the next one."""
    from . import checkpoint, continuation
    from .execution import Execution
    from .recorder import Interrupted, step_writer
    rank, config = session.strategy.rank, run.config
    try:
        with session.watchdog.watching(run, attempt), leases.Heartbeat(attempt) if rank == 0 else nullcontext():
            earlier = continuation.agreed(session.strategy, run, runs)
            shorter = continuation.beginnings(run, runs)
            kept = checkpoint.Checkpoints(run, attempt, session.checkpoint_seconds, shorter)
            execution = Execution(config, session, step_writer(attempt, rank), kept, earlier)
            workload = session.workloads.get(config.workload_key, {})
            record = execution.record(run.run_id, attempt_number(attempt), workload)
            if rank == 0:
                if continuation.is_continued(run, runs):
                    with suppress(RecordError):  # without it the continuation trains this phase again
                        continuation.save(attempt, execution.variables)
                run.finish(attempt, record)
                for done in shorter if config.stops_after else (*shorter, run):  # a longer run goes on from this one
                    remove_states(done)
        return EXIT_OK
    except Interrupted as stop:
        if rank == 0:
            run.fail(attempt, stop.status, rank, stop)
        with suppress(Exception):  # a launcher ends all ranks once one has left
            session.strategy.barrier()
        return EXIT_INCOMPLETE
    except RanksDisagree as error:
        run.fail(attempt, "invalid", rank, error)
        print(f"batchscale-rank: run {run.run_id} is invalid: {error}", file=sys.stderr, flush=True)
        return EXIT_OK if session.strategy.replicas == config.replicas else EXIT_ENVIRONMENT
    except BaseException as error:  # a user's code may end Python, or raise what is no Exception
        if config.memory_limit_bytes:
            devices.lift_memory_limit()
        memory = devices.is_out_of_memory(error, config.memory_limit_bytes > 0)
        status = when_memory_ran_out(leases.own_logs()) if memory else "failed"
        if session.strategy.lost_a_peer(error):
            status = "lost"  # a rank that raised says so before it leaves; one that was killed does not
            time.sleep(FIRST_WORD_SECONDS)
        given_up = (attempt / FAILURE).exists()  # by others, who will not let this process go on either
        reason = devices.NO_BUFFER if devices.lacked_horovod_buffer(error) else error
        run.fail(attempt, status, rank, reason, "" if memory else traceback.format_exc())
        print(f"run {run.run_id}: {status}: {reason}", file=sys.stderr, flush=True)
        if session.strategy.size == 1:
            return EXIT_RUNS_FAILED if given_up else EXIT_OK
        _leave()
        return EXIT_RUNS_FAILED


def _leave() -> None:
    """End this process soon, also where its library waits for peers that wait for this rank's gradients."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(LEAVING_SECONDS)  # a thread may need more memory than there is


def main(words: Sequence[str] | None = None) -> int:
    """Run the program with these words, or those of the command line, and return its exit code."""
    faulthandler.enable()
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # as NVML numbers GPUs; CUDA's own is by speed
    options = arguments(words)
    interruption = Interruption()
    try:
        if options.parent:
            interruption.follow(options.parent)
        store = Store(options.results.absolute())  # a script works in a folder of its own
        all_runs = store.runs()
        runs = pending_runs(all_runs, store.folder, options.shape, options.only, devices.launched_rank(os.environ))
        settings = store.manifest.settings
        search_beside(store.manifest.source)
        watchdog = Watchdog(keys.setting_seconds(settings, "watchdog_seconds"))
        workloads = read_json(store.folder / "workloads.json") or {}
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        loaded: dict[Any, Loaded] = {}
        waited = 0.0
        if options.turn:
            loaded, waited = ready(runs[0].config, workloads, options.turn, interruption, watchdog)
            if interruption():
                return EXIT_INCOMPLETE
        session = open_session(runs[0].config, options.cores, interruption, watchdog, waited)
        session.workloads, session.loaded = workloads, loaded
        session.checkpoint_seconds = keys.setting_seconds(settings, "checkpoint_seconds")
        while True:
            code = work(store, runs, all_runs, session, options.until, options.retry_before)
            if code != EXIT_OK or not options.stand_by or not wait_for_more(options.stand_by, interruption, watchdog):
                return code
            all_runs = store.runs()
            runs = pending_runs(all_runs, store.folder, options.shape, options.only)
    except BatchscaleError as error:
        print(f"batchscale-rank: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
