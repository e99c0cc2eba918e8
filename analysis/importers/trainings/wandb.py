"""Weights & Biases' files of a run as they lie on disk: config.yaml, wandb-summary.json and output.log.

The summary has the last value of everything; the history itself is in a file of the tool's own, so a curve is there
only where output.log has Keras' lines of epochs. wandb-metadata.json, which names host and user, is not opened.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ....benchmarks.errors import RecordError
from ..detection import Sample
from ..text.each_file import read_each, run_name
from ..imported_run import Found, ImportedRun, label, number, Options
from ..sources import json_text, Sources
from ..text.yaml_text import plain_words, yaml_words
from .curve import Curve, QUESTION, Told, training_run
from .keras.lines import epochs_of
from .names import metric_of

HINT = "the files of a run (wandb-summary.json, config.yaml, output.log), or the folder wandb"
SUMMARY, CONFIG, OUTPUT = "wandb-summary.json", "config.yaml", "output.log"
FOLDER = "files"
OWN = re.compile(r"^_?wandb\b")
RUN = re.compile(r"(?:offline-)?run-")


def recognizes(sample: Sample) -> bool:
    """Return whether a folder has a summary, or a file is one."""
    return sample.has(SUMMARY) or sample.path.name == SUMMARY


def read(sources: Sources, options: Options) -> Found:
    """Return each run with its configuration as config.NAME; its curve, where its output has one, else its end.

    Raises RecordError for a summary that is no JSON, and where no run is left.
    """
    told = Told()
    without = []

    def runs_of(path: Path) -> Iterator[ImportedRun]:
        name, where = run_name(sources, path, (FOLDER,))
        curve = _curve(sources, path)
        without.append(len(curve.rows) == 1)
        yield training_run(curve, RUN.sub("", name), told, options.metrics, words=_config(sources, path), where=where)
    # latest-run is a link to one of the others.
    paths = [path for path in sources.below(SUMMARY) if not any(part.is_symlink() for part in path.parents)] if (
        sources.is_folder()) else [sources.path]
    runs = read_each(sources, paths, runs_of, HINT)
    ends = [f"{sum(without):,} of {len(runs):,} runs have their last values alone: the curve is not among these files."]
    return Found(tuple(runs), QUESTION, (*ends * any(without), *told.notes()))


def _config(sources: Sources, summary: Path) -> dict[str, Any]:
    path = summary.with_name(CONFIG)
    if not path.is_file():
        return {}
    try:
        words = yaml_words(sources, path, CONFIG)
    except RecordError as error:
        sources.notes.append(f"{str(error).rstrip('.')}; it was left out.")
        return {}
    return {f"config.{name.removesuffix('.value')}": value for name, value in words.items()
            if not OWN.match(name) and not name.endswith(".desc") and name != "wandb_version"}


def _curve(sources: Sources, path: Path) -> Curve:
    """The epochs of the output; without them the values of the summary as one row."""
    given = json_text(sources, path, HINT)
    if not isinstance(given, Mapping):
        raise RecordError(f"{sources.named(path)} is no JSON object; give {HINT}.")
    values = {name: number(value) for name, value in plain_words(given).items()
              if isinstance(value, (int, float)) and not name.startswith("_") and name != "epoch"}
    curve = Curve(sources.named(path))
    output = path.with_name(OUTPUT)
    for ended, metrics in epochs_of(sources.lines(output, OUTPUT)) if output.is_file() else ():
        curve.add((math.nan, float(ended), math.nan), metrics)
    if not any(map(metric_of, curve.values)):
        curve = Curve(curve.where)
        step, seconds = (number(given.get(name)) for name in ("_step", "_runtime"))
        epoch = number(given.get("epoch"))
        curve.add((step if step >= 0 else math.nan, epoch + 1 if epoch >= 0 else math.nan,
                   seconds if seconds >= 0 else math.nan), values)
    if not curve.values:
        raise RecordError(f"{sources.named(path)} has no number; {label(path.parent.name)} was no training.")
    return curve
