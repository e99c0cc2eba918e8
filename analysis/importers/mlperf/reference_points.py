"""MLPerf's reference convergence points: how much training reached the target, run by run, per batch.

The format (MLCommons, `rcps_*.json`) is one JSON object; each of its members is a reference point, many runs at one
batch and one set of hyperparameters. It holds no time, accuracy, memory or seed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ....benchmarks.errors import RecordError
from ..detection import Sample
from ..imported_run import Found, ImportedRun, number, Options
from ..registry import CONVERGENCE
from ..sources import Sources
from .units import amounts, EPOCHS, SAMPLES, Unit, UNITS, UNKNOWN

QUESTION = "How much training does the target take at each batch size?"
HINT = "a file of MLPerf reference points, such as rcps_resnet.json"
MOST_BYTES = 4 * 2 ** 20
MOST_RUNS = 100_000
MOST_POINTS = 1_000
LARGEST = 10 ** 18
LONGEST_TEXT = 200
# Points count either epochs or, in later rounds and for language models, samples.
COUNTED = {"epochs": "Epochs to converge", "samples": "samples to converge"}
EXPECTED = "expected Benchmark, BS and \"Epochs to converge\" or \"samples to converge\""
# The file does not say how large an epoch is: the benchmark's definition does (MLPerf Training, ImageNet-1k).
TRAIN_EXAMPLES = {"resnet": 1_281_167}


@dataclass(frozen=True)
class ReferencePoint:
    """Runs that differ in nothing but chance. amounts: how much training the target took, in what `counted` says, a
    key of COUNTED; None and "" where the file has nothing."""

    name: str
    benchmark: str
    global_batch: int
    counted: str
    amounts: tuple[float, ...]
    optimizer: str
    learning_rate: float | None
    momentum: float | None
    creator: str
    when: str
    platform: str


def recognizes(sample: Sample) -> bool:
    """Return whether a file begins with a reference point."""
    return sample.holds('"Benchmark"', '"BS"') and any(sample.holds(f'"{key}"') for key in COUNTED.values())


def read(sources: Sources, options: Options) -> Found:
    """Return the runs of a file of reference points: epochs, examples and steps to the target, where they are known.

    Raises RecordError for a file that is absent, too large, not JSON or not of this format, and where train_examples is
    given for several benchmarks.
    """
    found = points(_values(sources), sources.named(sources.path))
    benchmarks = dict.fromkeys(point.benchmark for point in found)
    units = {point.benchmark: _unit(point, options.train_examples) for point in found}
    if options.train_examples is not None and len(benchmarks) > 1:
        raise RecordError(f"--train-examples is about one benchmark; the file is about {', '.join(benchmarks)}.")
    sizes = {name: options.train_examples or TRAIN_EXAMPLES.get(name) for name in benchmarks}
    runs = tuple(run for point in found for run in _runs(point, units[point.benchmark], sizes[point.benchmark]))
    counted = {point.benchmark: point.counted for point in found}
    notes = tuple(_said(name, counted[name], unit) for name, unit in units.items() if _other_words(counted[name], unit))
    return Found(runs, QUESTION, notes, {
        "units": {name: unit.name for name, unit in units.items()},
        "train_examples": sizes,
        "train_examples_from": "the command line" if options.train_examples else "the benchmark's definition"})


def _values(sources: Sources) -> Any:
    path = sources.path
    content = sources.content(path, HINT, MOST_BYTES)
    try:
        return json.loads(content.decode("utf-8-sig"), parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except RecursionError:
        raise RecordError(f"{path} is nested too deeply to be a file of reference points.") from None
    except ValueError as error:
        raise RecordError(f"{path} is not whole JSON ({str(error)[:100]}); give {HINT}.") from None


def _unit(point: ReferencePoint, size: int | None) -> Unit:
    """The benchmark's own; of one that is not known what the file calls samples, and what it calls epochs only where
    the command line says how large an epoch is."""
    known = UNITS.get(point.benchmark)
    if known is None or point.counted == "samples" and known.kind == EPOCHS:
        return Unit(SAMPLES, "samples") if point.counted == "samples" else Unit(EPOCHS, "epochs" if size else UNKNOWN)
    return known


def _other_words(counted: str, unit: Unit) -> bool:
    return unit.name != counted and not (counted == "samples" and unit.kind == SAMPLES)


def _said(benchmark: str, counted: str, unit: Unit) -> str:
    """What is counted where the file's own word is not the unit."""
    if unit.name == UNKNOWN:
        return (f"{benchmark}: \"{COUNTED[counted]}\" is also written for samples and tokens, and what this benchmark "
                "counts is not known; so its unit is not named, and there are no steps. If they are epochs, "
                "--train-examples N says so.")
    return f"{benchmark} counts {unit.name}, by its definition; the file writes \"{COUNTED[counted]}\"."


def _runs(point: ReferencePoint, unit: Unit, size: int | None) -> Iterator[ImportedRun]:
    """Epochs, examples and steps to the target: those that follow from what the benchmark counts and, where it is
    known, from the size of an epoch."""
    for index, amount in enumerate(point.amounts):
        epochs, examples = amounts(amount, unit, size)
        known = {"epochs_to_target": epochs, "examples_to_target": examples, "train_examples": size,
                 "steps_to_target": number(examples) / point.global_batch,
                 "base_learning_rate": point.learning_rate, "momentum": point.momentum}
        yield ImportedRun(
            {"run_id": f"{point.name}-{index + 1:03d}", "status": "completed", "kind": CONVERGENCE,
             "experiment": point.benchmark, "model": point.benchmark, "optimizer": point.optimizer,
             "global_batch": point.global_batch, "launch": index, "reference_point": point.name,
             **{name: value for name, value in known.items() if math.isfinite(number(value))}},
            environment={"devices": point.platform} if point.platform else {},
            words={"Creator": point.creator, "When": point.when, COUNTED[point.counted]: amount} if index == 0 else
            {COUNTED[point.counted]: amount})


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(n for n in names if names.count(n) > 1)[:40]!r} is there twice")
    return found


def points(values: object, where: str) -> tuple[ReferencePoint, ...]:
    """Return the reference points of parsed JSON, in order of benchmark, batch and name.

    where: name of the file in messages. Raises RecordError for what is no object of reference points, for too many
    points or runs, and for a benchmark that counts epochs at some points and samples at others.
    """
    if not isinstance(values, Mapping) or not values:
        raise RecordError(f"{where} holds no reference points; {EXPECTED} in each of them.")
    if len(values) > MOST_POINTS:
        raise RecordError(f"{where} holds {len(values):,} points; at most {MOST_POINTS:,} are read.")
    found = [_point(name, value, f"{where}: {name[:60]!r}") for name, value in values.items()]
    runs = sum(len(point.amounts) for point in found)
    if runs > MOST_RUNS:
        raise RecordError(f"{where} holds {runs:,} runs; at most {MOST_RUNS:,} are read.")
    if len({(point.benchmark, point.counted) for point in found}) > len({point.benchmark for point in found}):
        raise RecordError(f"{where} counts epochs at some points of a benchmark and samples at others.")
    return tuple(sorted(found, key=lambda point: (point.benchmark, point.global_batch, point.name)))


def _point(name: str, value: object, where: str) -> ReferencePoint:
    if not isinstance(value, Mapping):
        raise RecordError(f"{where} is no reference point; {EXPECTED}.")
    counted = [name for name, key in COUNTED.items() if key in value]
    if len(counted) != 1 or "Benchmark" not in value or "BS" not in value:
        has = ", ".join(str(key)[:30] for key in list(value)[:8]) or "nothing"
        raise RecordError(f"{where} has {has}; {EXPECTED}.")
    chosen = value.get("Hyperparams")
    chosen = chosen if isinstance(chosen, Mapping) else {}
    benchmark = _text(value, "Benchmark", where)
    if not benchmark or not _printable(name):
        raise RecordError(f"{where}: the point and its benchmark need a name that can be printed.")
    return ReferencePoint(name, benchmark, _batch(value["BS"], where), counted[0],
                          _amounts(value, COUNTED[counted[0]], where), _name(chosen),
                          _number(chosen.get("opt_base_learning_rate")), _number(chosen.get("opt_momentum")),
                          *(_text(value, key, where) for key in ("Creator", "When", "Platform")))


def _printable(text: str) -> bool:
    return 0 < len(text) <= LONGEST_TEXT and text.isprintable()


def _text(value: Mapping[str, Any], key: str, where: str) -> str:
    """"" where the file has nothing."""
    text = value.get(key)
    if text is None or text == "":
        return ""
    if not isinstance(text, str) or not _printable(text):
        raise RecordError(f"{where}: {key}={str(text)[:40]!r} is no line of text within {LONGEST_TEXT} characters.")
    return text.strip()


def _batch(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LARGEST:
        raise RecordError(f"{where}: BS={str(value)[:40]} is no global batch; it is a whole number of 1 or more.")
    return value


def _amounts(point: Mapping[str, Any], key: str, where: str) -> tuple[float, ...]:
    given = point[key]
    if not isinstance(given, list) or not given:
        raise RecordError(f"{where}: {key!r} is {str(given)[:40]!r}; expected a list with one number per run.")
    wrong = [item for item in given if (amount := _number(item)) is None or not 0 < amount <= LARGEST]
    if wrong:
        raise RecordError(f"{where}: {key!r} holds {str(wrong[0])[:40]!r}; every run has a number above 0.")
    return tuple(float(item) for item in given)


def _number(value: object) -> float | None:
    """None for what is no finite number: hyperparameters are free-form."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > LARGEST:
        return None
    return float(value) if math.isfinite(value) else None


def _name(chosen: Mapping[str, Any]) -> str:
    """The optimizer's, where the file gives one."""
    names = [chosen.get(key) for key in ("optimizer", "opt_name")]
    return next((name for name in names if isinstance(name, str) and _printable(name)), "")
