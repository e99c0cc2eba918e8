"""What nccl-tests (all_reduce_perf and its like) and the OSU micro-benchmarks print: seconds of a collective by size.

Columns of nccl-tests: size in bytes, count, type, reduction, root, then time in microseconds and bandwidths, first out
of place, then in place. OSU's: size in bytes, mean latency in microseconds. Text around them, and a lost `#`, are
passed over. Names of hosts are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ....benchmarks.errors import RecordError
from ....benchmarks.text import number as written, percent
from ...laws.allreduce import BUS_FACTORS, fit_link, Link, misfit
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
RANK = re.compile(r"#?\s*Rank\s+(\d{1,9})\s+.{0,400}\bdevice\b")
NAME = re.compile(r"\b(all_reduce|all_gather|reduce_scatter|broadcast|reduce|alltoall|sendrecv|scatter|gather)_perf\b")
OSU = re.compile(r"#?\s*OSU (?:MPI|NCCL|OpenSHMEM|xCCL)\S* (.{1,60}?) Latency Test")
OSU_ROW = re.compile(rf"\s*(\d{{1,18}})\s+{FIGURE}(?:\s+[0-9.]{{1,30}}){{0,3}}\s*$")
OSU_NAMES = {"allreduce": ALL_REDUCE, "allgather": "all_gather", "reduce_scatter": "reduce_scatter",
             "broadcast": "broadcast", "bcast": "broadcast"}
HEADS = ("busbw", "algbw")
MICRO = 1e-6
MOST_SIZES = 10_000
FEWEST_SIZES = 3  # of a fit of two numbers


@dataclass
class Sweep:
    """One collective over sizes. seconds: out of place, by bytes; bus: bus bandwidth over algorithm bandwidth of the
    largest size, 0 where the text has none."""

    where: str
    name: str = ""
    ranks: int = 0
    bus: float = 0.0
    seconds: dict[int, float] = field(default_factory=dict)


def recognizes(sample: Sample) -> bool:
    """Return whether a file has the columns of nccl-tests or the title of an OSU test."""
    return sample.holds(*HEADS) or sample.holds("# OSU ", " Latency Test")


def read(sources: Sources, options: Options) -> Found:
    """Return the time of each size as a run of kind timing, with the link that the sizes of an all-reduce give.

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


def read_link(path: Path, ranks: int = 0) -> tuple[Link, str]:
    """Return the link that the all-reduce of a file gives, and what is to be known of it. ranks: where it is not said.

    Raises RecordError for a file without an all-reduce over three sizes or more on a known number of ranks.
    """
    sweep = _sweep(Sources(path), path, ranks)
    if sweep.name != ALL_REDUCE:
        raise RecordError(f"{path} is about {sweep.name or 'a collective without a name'}; the network is known by "
                          "an all-reduce.")
    if sweep.ranks < 2:
        raise RecordError(f"{path} does not say on how many ranks it ran; add --network-ranks 16.")
    link = _link(sweep)
    if link is None:
        raise RecordError(f"{path} has {len(sweep.seconds)} sizes, or times that do not grow with them; a latency and "
                          f"a bandwidth take {FEWEST_SIZES} sizes or more.")
    return link, f"{path.name}: {_said(sweep)}"


def _link(sweep: Sweep) -> Link | None:
    return fit_link(sweep.ranks, sweep.seconds) if len(sweep.seconds) >= FEWEST_SIZES and sweep.ranks > 1 else None


def _said(sweep: Sweep) -> str:
    if sweep.name != ALL_REDUCE:
        return (f"{len(sweep.seconds)} sizes of {sweep.name or 'a collective without a name'}; a "
                "network is known by an all-reduce, so no prediction can use it.")
    if sweep.ranks < 2:
        return "it does not say on how many ranks it ran; add --set replicas=16."
    link = _link(sweep)
    if link is None:
        return "these sizes give no latency and bandwidth."
    off = misfit(sweep.ranks, sweep.seconds, link)
    return (f"all-reduce on {sweep.ranks} ranks, as a ring {written(link.latency_seconds * 1e6)} µs a "
            f"message and {written(link.bytes_per_second / 1e9)} GB/s between neighbours (the bus bandwidth of large "
            f"sizes); half of its {len(sweep.seconds)} sizes lie within {percent(off)} of that. batchscale predict "
            "RESULTS --network FILE uses it.")


def _sweep(sources: Sources, path: Path, given: int) -> Sweep:
    sweep, seen, osu = Sweep(sources.named(path)), set[int](), False
    for line in of_rank_zero(sources.lines(path, HINT)):
        if match := OSU.match(line):
            osu, sweep.name = True, OSU_NAMES.get(match[1].strip().lower(), label(match[1]))
        elif match := RANK.match(line):
            seen.add(int(match[1]))
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


def _by_bandwidths(bus: float) -> int:
    """The ranks of an all-reduce by 2 (p - 1) / p, bus bandwidth over algorithm bandwidth; 0 where it is none."""
    ranks = round(2 / (2 - bus)) if 1 < bus < 1.999 else 0
    return ranks if ranks and abs(BUS_FACTORS[ALL_REDUCE](ranks) - bus) < 0.002 else 0
