"""What nccl-tests (all_reduce_perf and its like) and the OSU micro-benchmarks print: seconds of a collective by size.

Columns of nccl-tests: size in bytes, count, type, reduction, root, then time in microseconds and bandwidths, first out
of place, then in place. OSU's: size in bytes, mean latency in microseconds. Text around them, and a lost `#`, are
passed over. Names of hosts are counted, never kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ....benchmarks.errors import RecordError
from ....benchmarks.text import counted, number as written, percent
from ...laws.allreduce import BUS_FACTORS
from ...laws.network.timed import FEWEST_SIZES, TimedAllReduce
from ..detection import Sample
from ..text.each_file import read_each, run_name
from ..imported_run import as_number, Found, ImportedRun, label, Options, whole
from ..text.ranks import of_rank_zero
from ..registry import TIMING
from ..sources import Sources

QUESTION = "How long does the collective take at each size?"
HINT = "what nccl-tests or an OSU micro-benchmark printed"
ALL_REDUCE = "all_reduce"
FIGURE = r"([0-9.]{1,30}|nan|inf)"
ROW = re.compile(rf"\s*(\d{{1,18}})\s+\d{{1,18}}\s+[a-z]\w{{1,19}}(?:\s+[a-z]\w{{1,19}})?(?:\s+-?\d{{1,9}})?\s+"
                 rf"{FIGURE}\s+{FIGURE}\s+{FIGURE}\s+\S{{1,20}}(?:\s|$)")
RANK = re.compile(r"#?\s*Rank\s+(\d{1,9})\s+.{0,400}?\bon\s+(\S{1,300})\s+device\b")
NAME = re.compile(r"\b(all_reduce|all_gather|reduce_scatter|broadcast|reduce|alltoall|sendrecv|scatter|gather)_perf\b")
OSU = re.compile(r"#?\s*OSU (?:MPI|NCCL|OpenSHMEM|xCCL)\S* (.{1,60}?) Latency Test")
OSU_ROW = re.compile(rf"\s*(\d{{1,18}})\s+{FIGURE}(?:\s+[0-9.]{{1,30}}){{0,3}}\s*$")
OSU_NAMES = {"allreduce": ALL_REDUCE, "allgather": "all_gather", "reduce_scatter": "reduce_scatter",
             "broadcast": "broadcast", "bcast": "broadcast"}
HEADS = ("busbw", "algbw")
MICRO = 1e-6
MOST_SIZES = 10_000


@dataclass
class Sweep:
    """One collective over sizes. seconds: out of place, by bytes; bus: bus bandwidth over algorithm bandwidth of the
    largest size, 0 where the text has none; nodes: that share the ranks alike, 0 where that is not said."""

    where: str
    name: str = ""
    ranks: int = 0
    nodes: int = 0
    bus: float = 0.0
    seconds: dict[int, float] = field(default_factory=dict)


def recognizes(sample: Sample) -> bool:
    """Return whether a file has the columns of nccl-tests or the title of an OSU test."""
    return sample.holds(*HEADS) or sample.holds("# OSU ", " Latency Test")


def read(sources: Sources, options: Options) -> Found:
    """Return the time of each size as a run of kind timing, and say what predictions can make of it.

    Raises RecordError for text without a row of times, and where no file is left.
    """
    notes: list[str] = []
    ranks = int(options.settings.get("replicas", 0))

    def runs_of(path: Path) -> Iterator[ImportedRun]:
        sweep = _sweep(sources, path, ranks)
        notes.append(f"{sources.short(path)}: {_said(sweep)}")
        name, where = run_name(sources, path)
        title = f"{sweep.name or 'collective'}, {sweep.ranks} ranks" if sweep.ranks else sweep.name or "collective"
        for size, seconds in sorted(sweep.seconds.items()):
            known = {"replicas": sweep.ranks} if sweep.ranks else {}
            yield ImportedRun({"run_id": f"{title}, {size:,} bytes", "status": "completed", "kind": TIMING,
                               "experiment": f"{title} ({label(name)})" if where else title, "step_seconds": seconds,
                               **known}, words={"bytes": size}, where=where)
    paths = sources.below("") if sources.is_folder() else [sources.path]
    runs = read_each(sources, paths, runs_of, HINT)
    return Found(tuple(runs), QUESTION, tuple(notes))


def read_timed(path: Path, ranks: int = 0) -> TimedAllReduce:
    """Return the all-reduce that a file timed over sizes. ranks: where it is not said.

    Raises RecordError for a file without an all-reduce over three sizes or more on a known number of ranks.
    """
    sweep = _sweep(Sources(path), path, ranks)
    if sweep.name != ALL_REDUCE:
        raise RecordError(f"{path} is about {sweep.name or 'a collective without a name'}; the network is known by "
                          "an all-reduce.")
    if sweep.ranks < 2:
        raise RecordError(f"{path} does not say on how many ranks it ran; add --network-ranks 16.")
    if len(sweep.seconds) < FEWEST_SIZES:
        raise RecordError(f"{path} has {len(sweep.seconds)} sizes; time {FEWEST_SIZES} or more, from bytes to "
                          "gigabytes.")
    return _timed(sweep, path.name)


def _timed(sweep: Sweep, name: str) -> TimedAllReduce:
    return TimedAllReduce(name, sweep.ranks, sweep.nodes, sweep.seconds)


def said(timed: TimedAllReduce) -> str:
    """Return on what an all-reduce was timed, its ends, and how well one size is read off its neighbours."""
    smallest, largest = min(timed.seconds), max(timed.seconds)
    bus = BUS_FACTORS[ALL_REDUCE](timed.ranks) * largest / timed.seconds[largest]
    nodes = f" of {counted(timed.nodes, 'node')}" if timed.nodes else ", it does not say of how many nodes"
    off = float(np.median(np.expm1(np.abs(timed.misses))))
    return (f"all-reduce on {timed.ranks} ranks{nodes}, {written(timed.seconds[smallest] * 1e6)} µs for "
            f"{smallest:,} bytes, {written(bus / 1e9)} GB/s of bus bandwidth for {largest:,}; each of its "
            f"{len(timed.seconds)} sizes is read off its neighbours within {percent(off, 1)} in the median.")


def _said(sweep: Sweep) -> str:
    if sweep.name != ALL_REDUCE:
        return (f"{len(sweep.seconds)} sizes of {sweep.name or 'a collective without a name'}; a "
                "network is known by an all-reduce, so no prediction can use it.")
    if sweep.ranks < 2:
        return "it does not say on how many ranks it ran; add --set replicas=16."
    if len(sweep.seconds) < FEWEST_SIZES:
        return f"{len(sweep.seconds)} sizes, of which no prediction can be made; time {FEWEST_SIZES} or more."
    return f"{said(_timed(sweep, ''))} batchscale predict RESULTS --network FILE uses it."


def _sweep(sources: Sources, path: Path, given: int) -> Sweep:
    sweep, seen, osu = Sweep(sources.named(path)), dict[int, str](), False
    for line in of_rank_zero(sources.lines(path, HINT)):
        if match := OSU.match(line):
            osu, sweep.name = True, OSU_NAMES.get(match[1].strip().lower(), label(match[1]))
        elif match := RANK.match(line):
            seen[int(match[1])] = match[2]
        elif match := ROW.match(line):
            _take(sweep, match[1], match[2])
            algorithm, bus = as_number(match[3]) or 0.0, as_number(match[4]) or 0.0
            sweep.bus = bus / algorithm if algorithm > 0 else sweep.bus
        elif osu and (match := OSU_ROW.match(line)):
            _take(sweep, match[1], match[2])
        elif not sweep.name and (match := NAME.search(line)):
            sweep.name = match[1]
    if not sweep.seconds:
        raise RecordError(f"{sweep.where} has no row of a size and a time; give {HINT}.")
    sweep.ranks = whole(given, "--set replicas", 1e7) if given else len(seen) or _by_bandwidths(sweep.bus)
    sweep.nodes = _nodes(list(seen.values()))
    if given and seen and len(seen) != given:
        raise RecordError(f"replicas={given} contradicts {sweep.where}, which lists {len(seen)} ranks.")
    sweep.name = sweep.name or (ALL_REDUCE if sweep.ranks > 2 and abs(
        sweep.bus - BUS_FACTORS[ALL_REDUCE](sweep.ranks)) < 0.01 else "")
    return sweep


def _take(sweep: Sweep, size: str, time: str) -> None:
    """Sizes of 0 are of no use; of one that is there again the last counts."""
    seconds = (as_number(time) or 0.0) * MICRO
    if int(size) > 0 and seconds > 0 and len(sweep.seconds) < MOST_SIZES:
        sweep.seconds[int(size)] = seconds


def _nodes(hosts: Sequence[str]) -> int:
    """How many hosts share the ranks alike; 0 where some have more than others, and without any."""
    return len(set(hosts)) if len({hosts.count(host) for host in set(hosts)}) == 1 else 0


def _by_bandwidths(bus: float) -> int:
    """The ranks of an all-reduce by 2 (p - 1) / p, bus bandwidth over algorithm bandwidth; 0 where it is none."""
    ranks = round(2 / (2 - bus)) if 1 < bus < 1.999 else 0
    return ranks if ranks and abs(BUS_FACTORS[ALL_REDUCE](ranks) - bus) < 0.002 else 0
