"""Workers of one stage: started, watched, started again when they die, and never left behind.

Where a study goes on in rounds, which runs are asked for next follows from those that are done; workers then stand by
from one round to the next, since to start one takes longer than many a run.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, ExitStack

from ...benchmarks.errors import EXIT_ENVIRONMENT, EXIT_USAGE
from ...benchmarks.records.run_folder import Run
from . import deaths, guardian
from .gpu_sharing.guests import Guests
from .schedule import Slot, Stage
from .worker import STOPS, Limits, Worker, kill_left, unfinished

GRACE_SECONDS = 40.0  # ranks look every 20 s of training whether to stop, and then keep their state
POLL_SECONDS = 0.2
LOOK_SECONDS = 1.0  # between looks at all runs' folders, which cost milliseconds of a core that is being timed
MOST_READY_SECONDS = 120.0  # data behind a slow network
MOST_EMPTY_STARTS = 2
MOST_ALIKE = 2  # starts that end in the same line of a user's code without a result between them


class Alike(str):
    """The words for a stage that was given up since its starts end alike: another start would, too."""


class StandBy:
    """The workers that wait for the next round of their stage, as a context that ends them; rounds: whether there is
    any, else no worker waits. mark: what tells the guardian which processes are of this command; began: when it began,
    in seconds since the epoch, so that what fails in one round is not tried again in each of the next."""

    def __init__(self, rounds: bool) -> None:
        self._rounds, self._waiting = rounds, dict[tuple[str, Slot], Worker]()
        self._guardian = ExitStack()
        self.mark, self.began = "", time.time()

    def __enter__(self) -> StandBy:
        self.mark = self._guardian.enter_context(guardian.guardian())
        return self

    def __exit__(self, *_: object) -> None:
        with self._guardian:
            stop(list(self._waiting.values()))

    def worker(self, stage: Stage, slot: Slot, limits: Limits) -> Worker:
        """Return the worker that waits for this stage and slot; a new one, which is not started, where none does."""
        waiting = self._waiting.pop((stage.shape, slot), None)
        if waiting is not None and waiting.is_standing_by():
            return waiting
        stop([waiting] if waiting else [])
        return Worker(stage, slot, limits, self.mark, stands_by=self._rounds and stage.stands_by)

    def end(self, workers: Sequence[Worker]) -> None:
        """Stop workers whose stage is over, but for those that stand by."""
        waiting = [one for one in workers if one.is_standing_by()]
        self._waiting |= {(one.stage.shape, one.slot): one for one in waiting}
        stop([one for one in workers if not any(one is other for other in waiting)])


def work(stage: Stage, limits: Limits, runs: Sequence[Run], on_poll: Callable[[], None]) -> str:
    """Run a stage to its end. Returns "" or why the stage was given up.

    A worker that dies is started again as long as there are runs to do and it begins some; one that says that the
    environment is unusable, or twice began nothing, or twice died in the same line of a user's code as that was run
    for its model or data, ends the stage.
    """
    with StandBy(rounds=False) as none, closing(in_turn([(stage, runs)], limits, on_poll, none)) as problems:
        return next(problems)


def in_turn(stages: Sequence[tuple[Stage, Sequence[Run]]], limits: Limits, on_poll: Callable[[], None],
            stand_by: StandBy, say: Callable[[str], None] = print) -> Generator[str, None, None]:
    """Run stages, each with its runs, one after another, and yield for each what `work` returns.

    Workers of several stages start at once, so that all cores import and load, and none does a run before all are
    ready and its own stage's turn has come: an import beside a run that is timed would disturb it. `say` prints a line.
    """
    teams = [[stand_by.worker(stage, slot, limits) for slot in stage.slots] for stage, _ in stages]
    workers, guests = [worker for team in teams for worker in team], list[Guests]()
    try:
        if len(teams) > 1:
            _make_ready(workers, on_poll)
        for team, (_, runs) in zip(teams, stages):
            guests.append(Guests(team, limits.runs_per_gpu, say))
            yield _work(team, limits, runs, on_poll, guests[-1])
    finally:
        stand_by.end([*workers, *(one for own in guests for one in own.workers)])


def _make_ready(workers: Sequence[Worker], on_poll: Callable[[], None]) -> None:
    """Start workers that wait for their turn, until all are ready; one that takes too long is not waited for."""
    for worker in workers:
        worker.launch(waits=True)
    on_poll()
    deadline = time.monotonic() + MOST_READY_SECONDS
    while not all(worker.is_ready() for worker in workers) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS / 4)


def _work(workers: Sequence[Worker], limits: Limits, runs: Sequence[Run], on_poll: Callable[[], None],
          guests: Guests) -> str:
    for worker in workers:
        worker.begin()
    active, problem, looked = list(workers), "", time.monotonic()
    ends: Counter[tuple[str, int]] = Counter()
    while active:
        time.sleep(POLL_SECONDS)
        if time.monotonic() - looked >= LOOK_SECONDS:
            on_poll()
            active += guests.look(runs, active)
            looked = time.monotonic()
        for worker in active:
            worker.watch(runs)
        active = [worker for worker in active if not worker.is_standing_by()]
        # Those whose place a guest may take come before the guests.
        for worker in sorted((w for w in active if w.ended() is not None), key=guests.__contains__):
            code = worker.buried(runs)
            if worker in guests:
                active.remove(worker)
                guests.left(worker, code)
                continue
            # The programs that start ranks turn a rank's code into one of their own.
            if code in (EXIT_ENVIRONMENT, EXIT_USAGE) or worker.empty_starts == MOST_EMPTY_STARTS:
                problem = deaths.last_words(worker.logs, code)
            elif code not in STOPS and worker.said:
                ends[end := (worker.said, sum(run.has_record for run in runs))] += 1
                problem = Alike(worker.said) if ends[end] == MOST_ALIKE else problem
            done = code in STOPS or problem or worker.starts > len(runs) + 2
            if done or not any(unfinished(run, limits) for run in runs):
                active.remove(worker)
                guests.host_left(worker)
            else:
                worker.launch()
    on_poll()
    return problem


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
