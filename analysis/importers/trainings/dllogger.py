"""Lines of NVIDIA's DLLogger: `DLL <time> - Epoch: 0 Iteration: 5  train.loss : 7.1 ...`, or `DLLL {json}` of its file.

A step is (epoch, iteration, ...); a value at an epoch is the epoch's, one without a step the whole run's. Epochs are
counted from 0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ....benchmarks.errors import RecordError
from ..detection import Sample
from ..text.each_file import read_each, run_name
from ..imported_run import as_number, Found, ImportedRun, label, LARGEST_LOSS, number, Options
from ..text.ranks import of_rank_zero
from ..sources import json_value, Sources
from ..text.yaml_text import plain_words
from .curve import Curve, QUESTION, Told, training_run
from .names import metric_of

HINT = "what a program with NVIDIA's DLLogger printed, or its JSON file"
JSON_MARK, TEXT_MARK = "DLLL {", "DLL 20"
TEXT = re.compile(r"DLL (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.\d]{0,10}) - (PARAMETER )?(.*)$")
STEP = re.compile(r"(?:Epoch|Iteration|Step|Validation Iteration): (\d{1,12}) *|"
                  r"\((\d{1,12})(?:, ?(\d{1,12}))?(?:, ?\d{1,12})*,?\) *")
PAIR = re.compile(r"(\S{1,100}) : (\S{1,200})")
RATES = re.compile(r"(?:total_ips|throughput_train|train_throughput|training_throughput|train\.total_ips)$")
MOST_PARAMETERS = 1_000


@dataclass
class Logged:
    """One program so far. rates: examples per second of all devices, in order; total: that of the whole run."""

    where: str
    parameters: dict[str, Any] = field(default_factory=dict)
    epochs: dict[int, dict[str, float]] = field(default_factory=dict)
    steps: dict[tuple[int, int], dict[str, float]] = field(default_factory=dict)
    rates: list[float] = field(default_factory=list)
    total: float = math.nan
    unread: dict[str, None] = field(default_factory=dict)


def recognizes(sample: Sample) -> bool:
    """Return whether a file has lines of DLLogger."""
    return sample.holds(JSON_MARK) or sample.holds(TEXT_MARK, " - ")


def read(sources: Sources, options: Options) -> Found:
    """Return each file as a training where a loss or an accuracy was logged, else as a timing run.

    A timing run needs batch and replicas from --set. Raises RecordError for files without either, and where none is
    left.
    """
    told = Told()

    def runs_of(path: Path) -> Iterator[ImportedRun]:
        name, where = run_name(sources, path)
        logged = _logged(sources, path)
        name = path.stem if where else name
        yield _training(logged, name, where, told, options) if _has_metrics(logged) else _timing(
            logged, name, where, options)
    paths = sources.below("") if sources.is_folder() else [sources.path]
    runs = read_each(sources, paths, runs_of, HINT)
    return Found(tuple(runs), QUESTION, tuple(told.notes()))


def _logged(sources: Sources, path: Path) -> Logged:
    logged, lines = Logged(sources.named(path)), 0
    for line in of_rank_zero(sources.lines(path, HINT)):
        if (at := line.find(JSON_MARK)) >= 0:
            lines += _take_json(logged, line[at + len(JSON_MARK) - 1:])
        elif match := TEXT.search(line):
            lines += _take_text(logged, match[2], match[3])
    if not lines:
        raise RecordError(f"{logged.where} has no line of DLLogger; give {HINT}.")
    return logged


def _take_json(logged: Logged, text: str) -> bool:
    try:
        event = json_value(text, constants=True)
    except RecordError:
        return False  # such as the last line of a run that was killed
    data = event.get("data") if isinstance(event, Mapping) else None
    step = event.get("step") if isinstance(event, Mapping) else None
    if not isinstance(data, Mapping):
        return False
    if step == "PARAMETER":
        logged.parameters.update(list(plain_words(data).items())[:MOST_PARAMETERS])
        return True
    places = [step] if isinstance(step, int) else step if isinstance(step, list) else []
    _take(logged, [int(one) for one in places if isinstance(one, int) and 0 <= one < 1e12],
          {name: number(value) for name, value in _flat(data).items() if isinstance(value, (int, float))})
    return True


def _flat(data: Mapping[Any, Any]) -> Mapping[str, Any]:
    """As `plain_words`; most lines hold a few numbers and nothing nested."""
    plain = len(data) < 100 and all(isinstance(value, (int, float)) for value in data.values())
    return {name: value for key, value in data.items() if (name := label(key))} if plain else plain_words(data)


@lru_cache(maxsize=4096)  # the same few names stand in every line
def _meant(name: str) -> tuple[bool, bool]:
    """Whether a name is of a rate, and whether it is of a metric."""
    return RATES.search(name) is not None, bool(metric_of(name))


def _take_text(logged: Logged, parameter: str | None, rest: str) -> bool:
    pairs = PAIR.findall(rest[:20_000])
    if parameter:
        logged.parameters.update({label(name): label(text) for name, text in pairs[:MOST_PARAMETERS]})
        return bool(pairs)
    places: list[int] = []
    while match := STEP.match(rest):
        places += [int(group) for group in match.groups() if group]
        rest = rest[match.end():]
    _take(logged, places, {name: value for name, text in pairs
                           if (value := as_number(text, LARGEST_LOSS)) is not None})
    return bool(pairs)


def _take(logged: Logged, places: Sequence[int], values: Mapping[str, float]) -> None:
    meant = {name: _meant(name) for name in values}
    rates = [value for name, value in values.items() if meant[name][0] and value > 0]
    kept = {name: value for name, value in values.items() if meant[name][1]}
    if len(logged.unread) < MOST_PARAMETERS:
        logged.unread |= {label(name): None for name in values if not any(meant[name])}
    if not places:
        logged.total = rates[0] if rates else logged.total
        if kept:  # of the whole run, which ends after its last epoch
            logged.epochs.setdefault(max(logged.epochs, default=0), {}).update(kept)
    elif len(places) == 1:
        logged.epochs.setdefault(places[0], {}).update(kept)
        logged.rates += rates
    else:
        logged.rates += rates
        if kept and len(logged.steps) < 2_000_000:
            logged.steps[places[0], places[1]] = kept


def _has_metrics(logged: Logged) -> bool:
    return any(logged.epochs.values()) or bool(logged.steps)


def _training(logged: Logged, name: str, where: str, told: Told, options: Options) -> ImportedRun:
    """A row for each epoch; where no epoch has a value, one for each step that has."""
    curve = Curve(logged.where)
    if any(logged.epochs.values()):
        for epoch in sorted(logged.epochs):
            curve.add((math.nan, epoch + 1.0, math.nan), logged.epochs[epoch])
    else:
        for index, values in enumerate(logged.steps.values()):
            curve.add((index + 1.0, math.nan, math.nan), values)
    told.unread.update(logged.unread)
    rate = _rate(logged)
    known = {"examples_per_second": rate} if math.isfinite(rate) else {}
    return training_run(curve, name, told, options.metrics, known, _words(logged), where)


def _words(logged: Logged) -> dict[str, Any]:
    return {f"parameters.{name}": value for name, value in logged.parameters.items()}


def _rate(logged: Logged) -> float:
    """The rate of the whole run, else the middle one of those logged after the first."""
    steady = sorted(logged.rates[1:] or logged.rates)
    return logged.total if math.isfinite(logged.total) else steady[len(steady) // 2] if steady else math.nan


def _timing(logged: Logged, name: str, where: str, options: Options) -> ImportedRun:
    rate = _rate(logged)
    batch, replicas = (options.settings.get(key) for key in ("global_batch", "replicas"))
    if not rate > 0:
        raise RecordError(f"{logged.where} has neither a loss, an accuracy nor a throughput; give {HINT}.")
    if not batch or not replicas:
        raise RecordError(f"{logged.where} has a throughput and no loss: add --set global_batch=256 --set replicas=8.")
    columns = {"run_id": label(name) or "run", "status": "completed", "experiment": "imported", "kind": "throughput",
               "strategy": "not told", "placement": f"not told-{replicas}r", "scaling": "weak", "replicas": replicas,
               "global_batch": batch, "replica_batch": batch // replicas, "step_seconds": batch / rate,
               "examples_per_second": rate}
    return ImportedRun(columns, words=_words(logged), where=where)
