"""Workers that join those of a stage on their GPUs, and leave when fewer train faster or memory runs out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from ....benchmarks.rank.meters.gpu_counters import gpu_counters
from ....benchmarks.records import leases
from ....benchmarks.records.failures import FAILURE, LAUNCHER
from ....benchmarks.records.json_files import read_json
from ....benchmarks.records.run_folder import Run
from ....benchmarks.runs.run_config import RunConfig
from ...machine.gpus import gpu_words
from ..schedule import cores_needed, Slot
from ..worker import STOPS, Worker
from .measured import Sharing, Spell, Trained

FILLED = 0.95  # share of a memory that runs side by side may fill: the next run may need a little more than the last


class Guests:
    """The workers beside the first one on each GPU of a stage, its host.

    hosts: one for each slot; most: runs on a GPU that the plan allows; say: prints a line.
    """

    def __init__(self, hosts: Sequence[Worker], most: int, say: Callable[[str], None]) -> None:
        self._hosts, self._most, self._say = hosts, most, say
        self._sharing, self._guests = Sharing(), list[Worker]()
        self._heirs = list[Worker]()  # guests whose host has ended
        self._trained, self._spells = list[Trained](), dict[str, Spell]()
        self._gpus = dict[str, str]()  # of each worker, by its folder of logs
        self._full = self._closed = False

    def __contains__(self, worker: Worker) -> bool:
        return any(worker is one for one in self._guests) and not any(worker is one for one in self._heirs)

    def look(self, runs: Sequence[Run], active: Sequence[Worker]) -> list[Worker]:
        """Decide by what has ended since, tell workers that are to leave, and return new ones, which are started.
        Raises RecordError where a worker's folder takes no file."""
        live = [one for one in active if one.process is not None]
        over = time.time() >= self._hosts[0].limits.until
        if self._most < 2 or over or not self._hosts[0].stage.shares_gpus:
            return []
        self._gpus |= {str(one.logs.absolute()): _name(one.slot) for one in live}
        self._full = self._full or any(leases.said(Path(logs), leases.FULL) for logs in self._gpus)
        if self._full:
            said = self._sharing.full()
        else:
            said = "" if self._sharing.settled else self._sharing.decide(self._have_trained(runs),
                                                                         lambda: self._room(runs, live))
        self._tell(said)
        return [one for slot in dict.fromkeys(host.slot for host in self._hosts)
                for one in self._joining([one for one in live if one.slot == slot])]

    def _tell(self, said: str) -> None:
        if said:
            self._say(f"{self._hosts[0].stage.shape}: {said}")

    @property
    def workers(self) -> list[Worker]:
        """Return those that joined and have not left."""
        return list(self._guests)

    def left(self, guest: Worker, code: int) -> None:
        """Forget a guest that has ended with this code, after which none joins any more: it was told to leave, or found
        no run to do. Where it died, GPUs have no more runs at a time than before."""
        self._closed = True
        self._guests = [one for one in self._guests if one is not guest]
        self._tell(self._sharing.ended(died=code not in STOPS))

    def host_left(self, host: Worker) -> None:
        """Let a guest take the place of its host, which has ended for good: from now on it is one that is started again
        where it dies, and what it has to itself is no shared GPU."""
        self._closed = True
        self._heirs += [one for one in self._guests if one in self and one.slot == host.slot][:1]

    def _joining(self, live: Sequence[Worker]) -> list[Worker]:
        """Tell the workers of one GPU what they share, and whether to leave; start those that are missing."""
        guests = [one for one in live if one in self]
        wanted = self._sharing.count - 1
        for one in guests[wanted:]:
            leases.say(one.logs, leases.LEAVES)
        for one in live:
            if guests:
                leases.say(one.logs, leases.SHARES)
            else:
                leases.unsay(one.logs, leases.SHARES)
            if self._full:
                leases.say(one.logs, leases.FULL)
        hosts = [one for one in live if one not in self and not self._closed]
        return [self._joined(hosts[0]) for _ in range(wanted - len(guests)) if hosts]

    def _joined(self, host: Worker) -> Worker:
        leases.say(host.logs, leases.SHARES)
        guest = Worker(host.stage, host.slot, host.limits, host.mark)
        self._guests.append(guest)  # first: whatever is raised from here on, it is stopped
        guest.launch()
        leases.say(guest.logs, leases.SHARES)
        return guest

    def _have_trained(self, runs: Sequence[Run]) -> list[Trained]:
        """The runs that have ended, each looked at once: what others did later beside it is not of its time."""
        now = time.time()
        attempts = {run.run_id: run.attempts()[-1:] for run in runs}
        names = {run.run_id: f"{run.run_id}/{attempts[run.run_id][0].name}" for run in runs if attempts[run.run_id]}
        spells = {names[run.run_id]: spell for run in runs if names.get(run.run_id, "") not in self._spells
                  and (spell := self._spell(run, attempts[run.run_id], now))}
        ended = {name: spell for name, spell in spells.items() if spell.ended < now}
        self._spells |= ended
        every = [*self._spells.values(), *(spell for name, spell in spells.items() if name not in ended)]
        found = (_trained(run, ended[name].runs_there(every)) for run in runs
                 if (name := names.get(run.run_id, "")) in ended)
        self._trained += [one for one in found if one is not None]
        return self._trained

    def _spell(self, run: Run, attempts: Sequence[Path], now: float) -> Spell | None:
        """The time that the run's last attempt has been on a GPU of these; None where it was not."""
        claim = read_json(attempts[-1] / "claim.json") if attempts else None
        gpu = self._gpus.get(str(claim.get("logs"))) if isinstance(claim, dict) else None
        if gpu is None:
            return None
        ends = (run.record_path, attempts[-1] / FAILURE, attempts[-1] / LAUNCHER)
        ended = next((_changed(path) for path in ends if path.exists()), now)
        return Spell(gpu, run.last_began(), ended)

    def _room(self, runs: Sequence[Run], live: Sequence[Worker]) -> int:
        """Runs on a GPU that its memory, the host's and the cores hold, and for which runs are left."""
        waiting = sum(not run.attempts() for run in runs)
        wanted = self._sharing.count * len(self._hosts)
        if waiting < wanted:
            return self._sharing.count
        cores = len({core for host in self._hosts for core in host.slot.cores})
        fed = cores // (len(self._hosts) * cores_needed(self._hosts[0].stage.config))
        beside = FILLED * psutil.virtual_memory().available // max(1, sum(one.resident_bytes() for one in live))
        return int(min(self._most, fed, self._sharing.count * (1 + beside),
                       *(room_on(host.slot, self._sharing.count) for host in self._hosts)))


def room_on(slot: Slot, now: int) -> int:
    """Return how many runs the memory of the slot's GPU holds, of which it has `now` so far; 1 where NVML does not tell
    or the GPU takes one process alone."""
    counters = gpu_counters(["GPU:0"], ",".join(slot.gpus or gpu_words()))
    used, capacity = counters.used_bytes(), counters.capacity_bytes()
    if not used or capacity is None or not counters.takes_several():
        return 1
    return int(FILLED * capacity * now // used)


def _name(slot: Slot) -> str:
    return ",".join(slot.gpus)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()


def _trained(run: Run, runs_there: float) -> Trained | None:
    """The run, if it is complete, was trained at one go and from the beginning: what it took stands for runs like it.
    """
    record = run.record() if run.has_record else None
    if record is None or record["status"] != "completed" or not record["evaluations"]:
        return None
    if len(run.attempts()) > 1 or record.get("resumed") or run.config.earlier_batches:
        return None
    last = record["evaluations"][-1]
    return Trained(like(run.config), runs_there, float(last["train_seconds"]) / max(1, int(last["step"])))


def like(config: RunConfig) -> tuple[str, str, int, int, bool]:
    """Return what runs have in common whose steps take equally long, whatever rule sets their rate; those of AdaScale
    measure gradients besides."""
    return config.experiment, config.workload_key, config.global_batch, config.accumulation, config.adapts
