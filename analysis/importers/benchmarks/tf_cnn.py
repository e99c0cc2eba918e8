"""What tf_cnn_benchmarks prints: its settings, the rate so far at some steps, and the rate of all steps after warm-up.

`total images/sec` is over all devices. The rates in between are means since the start, so they are no windows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ....benchmarks.errors import RecordError
from ..detection import Sample
from ..text.each_file import read_each, run_name
from ..imported_run import as_number, Found, ImportedRun, label, Options, whole
from ..text.ranks import of_rank_zero
from ..sources import Sources

QUESTION = "How many images per second do the replicas train together?"
HINT = "what tf_cnn_benchmarks printed, from \"Model:\" to \"total images/sec\""
SETTING = re.compile(r"(Model|Dataset|Mode|Batch size|Devices|Optimizer|Variables|AllReduce|Data format): +"
                     r"(\S.{0,2000})$")
EACH = re.compile(r"\s*(\d{1,18}) per device$")
GLOBAL = re.compile(r"(\d{1,18}) global$")
TOTAL = re.compile(r"total images/sec: ([0-9.eE+]{1,30})$")
DEVICE = re.compile(r"'[^']{1,200}'")
BEGINS = "Model"


@dataclass
class Block:
    """Settings and rates that one launch printed so far."""

    settings: dict[str, str] = field(default_factory=dict)
    each: int = 0
    total: float = 0.0


def recognizes(sample: Sample) -> bool:
    """Return whether a file has the settings and the rate of this benchmark."""
    return sample.holds("Batch size:  ", " per device", "images/sec: ")


def read(sources: Sources, options: Options) -> Found:
    """Return each launch as a timing run; launches of one configuration are counted.

    In a folder, other files are left out with a note. Raises RecordError for a launch without its batch, its devices or
    its rate, and where none is left.
    """
    launches: dict[tuple[object, ...], int] = {}

    def runs_of(path: Path) -> Iterator[ImportedRun]:
        name, where = run_name(sources, path)
        for block in list(_blocks(sources, path)):
            yield _run(block, path.stem if where else name, where, launches)
    paths = sources.below("") if sources.is_folder() else [sources.path]
    runs = read_each(sources, paths, runs_of, HINT)
    return Found(tuple(runs), QUESTION, (
        "Rates between the first step and the last are means since the start, so one launch has one rate; intervals "
        "are over launches.",))


def _blocks(sources: Sources, path: Path) -> Iterator[Block]:
    block, where = Block(), sources.named(path)
    for line in of_rank_zero(sources.lines(path, HINT)):
        text = line.rstrip()
        if match := SETTING.match(text):
            if match[1] == BEGINS:
                block = Block()
            block.settings[match[1]] = match[2]
        elif match := EACH.match(text):
            block.each = int(match[1])
        elif match := TOTAL.match(text):
            block.total = as_number(match[1]) or 0.0
            yield _checked(block, where)
            block = Block()
    if block.settings:
        raise RecordError(f"{where}: a launch of {block.settings.get(BEGINS, 'no model')[:60]} has no line "
                          f"\"total images/sec\", so it did not end; give {HINT}.")


def _checked(block: Block, where: str) -> Block:
    there = {"Model": BEGINS in block.settings, "Batch size ... global": bool(_global(block)),
             "Devices": bool(_devices(block)), "total images/sec above 0": block.total > 0}
    missing = [name for name, known in there.items() if not known]
    if missing:
        raise RecordError(f"{where}: a launch has no {' and no '.join(missing)}; give {HINT}.")
    if block.each and block.each * _devices(block) != _global(block):
        raise RecordError(f"{where}: {block.each:,} per device on {_devices(block)} devices are not {_global(block):,} "
                          "global; lines are missing or changed.")
    return block


def _global(block: Block) -> int:
    match = GLOBAL.match(block.settings.get("Batch size", ""))
    return int(match[1]) if match else 0


def _devices(block: Block) -> int:
    return len(DEVICE.findall(block.settings.get("Devices", "")))


def _run(block: Block, name: str, where: str, launches: dict[tuple[object, ...], int]) -> ImportedRun:
    said = block.settings
    replicas = _devices(block)
    batch = whole(_global(block), f"{where or name}: Batch size")
    model, how = label(said[BEGINS]), label(said.get("Variables", "")) or "not told"
    shape = (model, how, replicas, batch)
    launches[shape] = launches.get(shape, -1) + 1
    columns = {"run_id": label(name) or "run", "status": "completed", "experiment": model, "kind": "throughput",
               "model": model, "dataset": label(said.get("Dataset", "")), "optimizer": label(said.get("Optimizer", "")),
               "strategy": how, "placement": f"{how}-{replicas}r", "scaling": "weak", "replicas": replicas,
               "global_batch": batch, "replica_batch": batch // replicas, "launch": launches[shape],
               "step_seconds": batch / block.total, "examples_per_second": block.total}
    return ImportedRun(columns, words={key: label(value) for key, value in said.items()}, where=where)
