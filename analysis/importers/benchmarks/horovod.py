"""The text of Horovod's synthetic benchmarks (tensorflow2_, tensorflow2_keras_ and pytorch_synthetic_benchmark).

Rank 0 prints its own images per second of each iteration; the total is that times the number of ranks, which steps
that wait for one another justify. One file or block is one launch. Its `+-` is 1.96 standard deviations of the
iterations of one launch, not the confidence interval of anything: it is kept as a word and used for nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from ....benchmarks.errors import RecordError
from ..detection import Sample
from ..imported_run import as_number, Found, ImportedRun, label, Options, whole
from ..text.ranks import of_rank_zero
from ..sources import Sources

QUESTION = "How many images per second do the replicas train together?"
HINT = "what a synthetic benchmark of Horovod printed"
NUMBER = r"([0-9.]{1,30})"
MODEL = re.compile(r"\bModel: (.{1,200})$")
BATCH = re.compile(r"\bBatch size: (\d{1,18})\b")
SIZE = re.compile(r"\bNumber of (\w{1,10})s: (\d{1,18})\b")
WARM = re.compile(r"\bRunning warmup\b")
ITERATION = re.compile(rf"\bIter #(\d{{1,9}}): {NUMBER} img/sec per (\w{{1,10}})")
MEAN = re.compile(rf"\bImg/sec per (\w{{1,10}}): {NUMBER} ?\+-{NUMBER}")
TOTAL = re.compile(rf"\bTotal img/sec on (\d{{1,18}}) \w{{1,10}}\(s\): {NUMBER} ?\+-{NUMBER}")
# What stands in every line that says something: most of a job's log is of others.
SAYING = ("Model: ", "Batch size: ", "Number of ", "Running warmup", "mg/sec ")
RANK_ZERO = "rank 0's rate times the ranks"
ROUNDING = 0.051  # the text has one decimal


@dataclass
class Block:
    """Values that one launch printed; -1 and NaN stand for what has not come yet."""

    model: str
    batch: int = -1
    size: int = -1
    device: str = ""
    warmed: bool = False
    rates: dict[int, float] = field(default_factory=dict)
    mean: float = math.nan
    words: dict[str, str] = field(default_factory=dict)

    @property
    def begun(self) -> bool:
        """Whether a line of a launch has come after its model's."""
        return self.batch > 0 or self.size > 0 or bool(self.rates)

    def steady(self) -> list[float]:
        """Return the images per second of one replica, by iteration.

        The first iteration is left out where the text shows no warm-up, as with the Keras script: it warms up instead.
        """
        ordered = [self.rates[index] for index in sorted(self.rates)]
        return ordered if self.warmed else ordered[1:]


def recognizes(sample: Sample) -> bool:
    """Return whether a file has a launch of one of these benchmarks."""
    return sample.holds("Model: ", "Batch size: ", "Iter #") and sample.holds(" img/sec per ")


def read(sources: Sources, options: Options) -> Found:
    """Return each launch that the text of a file or folder holds as a timing run, with one window per iteration.

    Raises RecordError for text that none of these benchmarks printed, and for launches with missing or changed lines.
    """
    paths = sources.below("") if sources.is_folder() else [sources.path]
    blocks = [(path.stem, block) for path in paths for block in _blocks(sources, path)]
    if not blocks:
        raise RecordError(f"{sources.named(sources.path)} has no line such as \"Model: ResNet50\"; give {HINT}.")
    launches: dict[tuple[object, ...], int] = {}
    runs = []
    for name, block in blocks:
        shape = (block.model, block.batch, block.size, block.device)
        runs.append(_run(label(name) or "run", block, launches.setdefault(shape, 0)))
        launches[shape] += 1
    return Found(tuple(runs), QUESTION, (
        f"Examples per second are {RANK_ZERO}: the scripts time no other rank. What the text writes behind +- are "
        "1.96 standard deviations of the iterations of one launch, which says nothing of the next launch; intervals "
        "here are over launches.",))


def _blocks(sources: Sources, path: Path) -> Iterator[Block]:
    """Each `Model:` line begins a launch; text of other programs may stand between the lines.

    Other programs write such a line as well (lscpu, a model's summary): where nothing of a launch follows it, it is
    none, unless the file has no other. Lines of other ranks than 0 are passed over.
    """
    block: Block | None = None
    where, launches = sources.named(path), 0
    for line in of_rank_zero(sources.lines(path, HINT)):
        if not any(words in line for words in SAYING):
            continue
        line = line.rstrip()
        if match := MODEL.search(line):
            if block is not None and block.begun:
                launches += 1
                yield _checked(block, where)
            block = Block(label(match[1]) or "unnamed")
        elif block is not None:
            _take(block, line, where)
    if block is not None and (block.begun or not launches):
        yield _checked(block, where)


def _take(block: Block, line: str, where: str) -> None:
    if match := BATCH.search(line):
        block.batch = whole(int(match[1]), f"{where}: Batch size")
    elif match := SIZE.search(line):
        block.device, block.size = match[1], whole(int(match[2]), f"{where}: Number of {match[1]}s")
    elif WARM.search(line):
        block.warmed = True
    elif match := ITERATION.search(line):
        if int(match[1]) in block.rates:
            raise RecordError(f"{where}: Iter #{match[1]} is there twice in one launch; give the text of rank 0 alone.")
        block.rates[int(match[1])] = _rate(match[2], where)
    elif match := MEAN.search(line):
        block.mean = _rate(match[2], where)
        block.words["Img/sec per device"] = match[0]
    elif match := TOTAL.search(line):
        block.words["Total img/sec"] = match[0]


def _rate(text: str, where: str) -> float:
    value = as_number(text)
    if value is None or value <= 0:
        raise RecordError(f"{where}: {text[:30]!r} are no images per second.")
    return value


def _checked(block: Block, where: str) -> Block:
    missing = [name for name, there in (("Batch size", block.batch > 0), ("Number of GPUs", block.size > 0),
                                        ("Iter #0", bool(block.steady()))) if not there]
    if missing:
        raise RecordError(f"{where}: a launch of {block.model[:60]} has no {' and no '.join(missing)}; give {HINT}, "
                          "whole.")
    own = sum(block.steady()) / len(block.steady())
    if math.isfinite(block.mean) and abs(own - block.mean) > 2 * ROUNDING:
        raise RecordError(f"{where}: the iterations' mean is {own:.1f} img/sec, and the text says {block.mean:.1f}; "
                          "lines are missing or changed.")
    return block


def _run(name: str, block: Block, launch: int) -> ImportedRun:
    """A window's length is not printed (--num-batches-per-iter), so a window stands here for one step of its mean."""
    seconds = {index: block.batch / rate for index, rate in sorted(block.rates.items())}
    steady = [block.batch / rate for rate in block.steady()]
    first = min(seconds)
    windows = tuple({"rank": 0, "phase": 0, "start_step": index, "steps": 1, "seconds": value,
                     "steady": block.warmed or index != first} for index, value in seconds.items())
    step, batch = median(steady), block.batch * block.size
    columns = {"run_id": name, "status": "completed", "experiment": block.model, "kind": "throughput",
               "model": block.model, "strategy": "horovod", "placement": f"horovod-{block.size}r", "scaling": "weak",
               "replicas": block.size, "global_batch": batch, "replica_batch": block.batch, "launch": launch,
               "step_seconds": step, "examples_per_second": batch / step, "flags": RANK_ZERO}
    if len(steady) > 1:
        mean = sum(steady) / len(steady)
        variance = sum((value - mean) ** 2 for value in steady) / (len(steady) - 1)
        columns["window_spread"] = math.sqrt(variance) / mean
    return ImportedRun(columns, windows=windows, environment={"devices": f"{block.size} {block.device}"},
                       words={**block.words, "img/sec": [block.rates[index] for index in sorted(block.rates)]})
