"""Hugging Face's trainer_state.json: what a Trainer logged (loss, learning rate) and evaluated, by step and epoch.

A run's folder has one in each checkpoint and perhaps one of its own; the one with the most steps is the run.
`train_batch_size` is that of one device; the batch of all is what the last entry's examples and steps per second say.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ....benchmarks.errors import RecordError
from ..detection import Sample
from ..text.each_file import read_each, run_name
from ..imported_run import Found, ImportedRun, number, Options
from ..sources import json_text, Sources
from .curve import Curve, QUESTION, Told, training_run

HINT = "a trainer_state.json of Hugging Face's Trainer, or a folder with some"
FILE, HISTORY, CHECKPOINT = "trainer_state.json", "log_history", "checkpoint-"
# Measured by the trainer, about itself; the batch is taken from the first two.
SPEEDS = ("train_samples_per_second", "train_steps_per_second")
OWN = ("epoch", "step", "total_flos", "train_runtime", *SPEEDS)
ABOUT = ("_runtime", "_samples_per_second", "_steps_per_second")
WORDS = ("train_batch_size", "max_steps", "num_train_epochs", "global_step", "num_input_tokens_seen")
ROUNDING = 0.02  # of the batch: the speeds have three decimals


def recognizes(sample: Sample) -> bool:
    """Return whether a file has a trainer's history, or a folder such a file."""
    return sample.has(FILE) or sample.holds(f'"{HISTORY}"')


def read(sources: Sources, options: Options) -> Found:
    """Return each training as a run; of the checkpoints of one training the one with the most steps.

    Raises RecordError for a file without a history, and where none is left.
    """
    told = Told()

    def runs_of(path: Path) -> Iterator[ImportedRun]:
        state = _state(sources, path)
        parts = [part for part in path.parts if part.startswith(CHECKPOINT)]
        name, where = run_name(sources, path, parts)
        entries = [entry for entry in state[HISTORY] if isinstance(entry, Mapping)]
        words = {key: state[key] for key in WORDS if isinstance(state.get(key), (int, float))}
        yield training_run(_curve(entries, sources.named(path)), name, told, options.metrics,
                           {**_batch(entries, state), **_speed(entries)}, words, where)
    runs = read_each(sources, _last_of_each(sources), runs_of, HINT)
    derived = sum("global_batch" in run.columns for run in runs)
    notes = [f"The global batch of {derived:,} of {len(runs):,} runs is the trainer's examples per second over its "
             "steps per second."] if derived else []
    return Found(tuple(runs), QUESTION, (*notes, *told.notes()))


def _last_of_each(sources: Sources) -> list[Path]:
    """One file of each training: its own, else that of its last checkpoint."""
    if not sources.is_folder():
        return [sources.path]
    found: dict[Path, Path] = {}
    for path in sources.below(FILE):  # checkpoint-500 before checkpoint-1000, and both before trainer_state.json
        of_checkpoint = path.parent.name.startswith(CHECKPOINT)
        training = path.parent.parent if of_checkpoint else path.parent
        if not (of_checkpoint and found.get(training, path).parent == training):
            found[training] = path
    return list(found.values())


def _state(sources: Sources, path: Path) -> Mapping[str, Any]:
    state = json_text(sources, path, HINT)
    if not isinstance(state, Mapping) or not isinstance(state.get(HISTORY), list) or not state[HISTORY]:
        raise RecordError(f"{sources.named(path)} has no list {HISTORY}; give {HINT}.")
    return state


def _curve(entries: list[Mapping[str, Any]], where: str) -> Curve:
    """A row for each step; what was logged and evaluated at the same step stands in one."""
    rows: dict[tuple[float, float], dict[str, float]] = {}
    for entry in entries:
        step, epoch = number(entry.get("step")), number(entry.get("epoch"))
        values = {str(name): math.nan if value is None else number(value) for name, value in entry.items()
                  if name not in OWN and not str(name).endswith(ABOUT) and not isinstance(value, (str, list, dict))}
        if SPEEDS[0] in entry:  # the summary at the end, whose train_loss is a mean over the whole training
            values.pop("train_loss", None)
        rows.setdefault((step, epoch), {}).update(values)
    curve = Curve(where)
    for (step, epoch), values in rows.items():
        curve.add((step if step >= 0 else math.nan, epoch if epoch >= 0 else math.nan, math.nan), values)
    return curve


def _batch(entries: list[Mapping[str, Any]], state: Mapping[str, Any]) -> dict[str, Any]:
    """The global batch, where the speeds at the end say it to within their rounding."""
    for entry in reversed(entries):
        examples, steps = (number(entry.get(name)) for name in SPEEDS)
        if examples > 0 and steps > 0 and math.isfinite(examples / steps):
            batch, each = examples / steps, number(state.get("train_batch_size"))
            # Whole multiples of a device's batch, where that is known.
            unit = each if each >= 1 else 1.0
            nearest = round(batch / unit) * unit
            good = nearest >= 1 and abs(batch / nearest - 1) <= min(ROUNDING, 0.4 * unit / nearest)
            return {"global_batch": int(nearest)} if good and 5e-4 / steps < 0.2 * unit / nearest else {}
    return {}


def _speed(entries: list[Mapping[str, Any]]) -> dict[str, float]:
    seconds = next((number(entry.get("train_runtime")) for entry in reversed(entries) if "train_runtime" in entry),
                   math.nan)
    return {"total_seconds": seconds} if seconds > 0 else {}
