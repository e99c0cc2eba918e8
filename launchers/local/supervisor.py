"""Workers of one stage: started, watched, started again when they die, and never left behind."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence

from ...benchmarks.errors import EXIT_ENVIRONMENT, EXIT_USAGE
from ...benchmarks.records.run_folder import Run
from . import deaths, guardian
from .schedule import Stage
from .worker import STOPS, Limits, Worker, kill_left, unfinished

GRACE_SECONDS = 40.0  # ranks look every 20 s of training whether to stop, and then keep their state
POLL_SECONDS = 0.2
LOOK_SECONDS = 1.0  # between looks at all runs' folders, which cost milliseconds of a core that is being timed
MOST_EMPTY_STARTS = 2
MOST_ALIKE = 2  # starts that end in the same line of a user's code without a result between them


class Alike(str):
    """The words for a stage that was given up since its starts end alike: another start would, too."""


def work(stage: Stage, limits: Limits, runs: Sequence[Run], on_poll: Callable[[], None]) -> str:
    """Run a stage to its end. Returns "" or why the stage was given up.

    A worker that dies is started again as long as there are runs to do and it begins some; one that says that the
    environment is unusable, or twice began nothing, or twice died in the same line of a user's code as that was run
    for its model or data, ends the stage.
    """
    with guardian.guardian() as mark:
        return _work([Worker(stage, slot, limits, mark) for slot in stage.slots], limits, runs, on_poll)


def _work(workers: Sequence[Worker], limits: Limits, runs: Sequence[Run], on_poll: Callable[[], None]) -> str:
    try:
        for worker in workers:
            worker.launch()
        active, problem, looked = list(workers), "", time.monotonic()
        ends: Counter[tuple[str, int]] = Counter()
        while active:
            time.sleep(POLL_SECONDS)
            if time.monotonic() - looked >= LOOK_SECONDS:
                on_poll()
                looked = time.monotonic()
            for worker in active:
                worker.watch(runs)
            for worker in [w for w in active if w.ended() is not None]:
                code = worker.buried(runs)
                # The programs that start ranks turn a rank's code into one of their own.
                if code in (EXIT_ENVIRONMENT, EXIT_USAGE) or worker.empty_starts == MOST_EMPTY_STARTS:
                    problem = deaths.last_words(worker.logs, code)
                elif code not in STOPS and worker.said:
                    ends[end := (worker.said, sum(run.has_record for run in runs))] += 1
                    problem = Alike(worker.said) if ends[end] == MOST_ALIKE else problem
                done = code in STOPS or problem or worker.starts > len(runs) + 2
                if done or not any(unfinished(run, limits) for run in runs):
                    active.remove(worker)
                else:
                    worker.launch()
        on_poll()
        return problem
    finally:
        stop(workers)


def stop(workers: Sequence[Worker]) -> None:
    """Ask every worker to stop, wait, then make it."""
    running = [w for w in workers if w.ended() is None]
    for worker in running:
        worker.ask_to_stop()
    deadline = time.monotonic() + GRACE_SECONDS
    while any(w.ended() is None for w in running) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS / 4)
    for worker in workers:
        worker.signal(signal.SIGKILL)
        if worker.process is not None:
            kill_left(worker.logs)
