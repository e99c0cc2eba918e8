"""Builds each distinct data set and model once and tries a step, in a process of its own, before any rank starts.

Arguments: seconds without progress after which the stacks go to standard error and the process ends, 0: never; and the
plan's file. Every line of standard input is a question in JSON, and its answer a line of standard output. `size`, a
data set's name, is answered with `train_examples`, validation included; `script`, which names one, with `taken`, what
it gives to its fit. `configs`, a configuration for each workload,
with `known`, the digests of the data sets as they were described before, is answered with `workloads`, from
`workload_key` to the record's `workload`. The answer `error` says why something cannot be built or trained.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any, cast, TextIO

import numpy as np
import psutil

from ...config.script import is_script
from ...data import fingerprint
from ...data.arrays import count, each, Shapes, size_bytes
from ...data.dataset import Dataset
from ...data.disk.encoded import EncodedImages
from ...data.user_function import search_beside
from ...errors import EXIT_OK, BatchscaleError, DataError
from ...planning.expected_time import EXAMPLE_SECONDS
from ...records.environment import numbers_versions
from ...runs.run_config import from_json, RunConfig
from .. import imports

PATIENCE_SECONDS = 60.0  # for a data function's second call, which shows whether it gives the same data again


def workload(config: RunConfig, known: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any]:
    """Return the record's `workload`. `known`: digests of data sets by name, as they were described before.

    Raises DataError, PlanError for what cannot be built, trained or evaluated.
    """
    from ... import data
    imports.tensorflow_and_keras()
    from .. import models
    from . import baseline, first_weights, flops, pace, trial
    from . import fingerprint as parts
    from ..feeds.image_pipeline import ImagePipeline
    dataset, digests = loaded(config.dataset, known.get(config.dataset, ""))
    split = data.split(dataset, config.validation_fraction, 1)
    x, y = split.train
    trial.check_classes(config, y)
    precision = config.precision if is_script(config.model) else "float32"  # a script may set its own
    built, fixed = first_weights.built(partial(models.build, config.model, split.input_shape, split.classes,
                                               precision=precision), ":" in config.model)
    if count(y) < trial.EXAMPLES:
        raise DataError(f"{config.dataset!r} has {count(y)} training examples; it must have at least {trial.EXAMPLES}.")
    if isinstance(x, EncodedImages):
        x = ImagePipeline(x, y, config.dtype).decoded(np.arange(trial.EXAMPLES))
    trained = {**digests, **parts.model(built, fixed), **parts.code(config), "versions": numbers_versions()}
    tried = trial.check_step(config, built, x, y, split.classes)
    operations, not_counted = flops.count(tried.forward.graph) if tried.forward else (0, [])
    return {"source": split.source, "train_examples": count(y),
            "validation_examples": count(split.validation[1]), "test_examples": count(split.test[1]),
            "input_shape": _listed(split.input_shape), "classes": split.classes,
            "parameters": int(sum(int(v.value.numpy().size) for v in built.trainable_variables)),
            "flops_per_example": operations or None, "flops_not_counted": not_counted,
            EXAMPLE_SECONDS: pace.example_seconds(tried.gradient, x, y, operations),
            **baseline.baselines(config, y, split.test[1]),
            "fingerprint": trained, "files": fingerprint.witness(config.dataset),
            **({"notes": _notes(config.dataset)} if is_script(config.dataset) else {})}


def _notes(name: str) -> list[str]:
    """What a run must know of how a script's data were taken, in sentences."""
    from ..script import taken
    return list(taken.of_data(name).notes)


@lru_cache(maxsize=1)
def loaded(name: str, known: str) -> tuple[Dataset, dict[str, str]]:
    """Return the data set with its digests. A user's function is called twice, unless its data is known: where it gives
    other data each time, replicas and seeds would train on different data. Raises DataError."""
    from ..script import taken
    dataset, seconds = timed(name)
    found = fingerprint.digests(dataset)
    if fingerprint.is_own(name) and found.contents != known and seconds < PATIENCE_SECONDS and _fits_twice(dataset):
        if fingerprint.digests(taken.load(name)) != found:
            giver = "script" if is_script(name) else "function"
            raise DataError(f"dataset={name!r}: the {giver} gives other data each time it is called, so that workers "
                            "and seeds would train on different data. Draw from a generator with a fixed seed that it "
                            "makes itself, such as numpy.random.default_rng(0).")
    return dataset, {"data": found.contents, "times": found.times}


@lru_cache(maxsize=1)
def timed(name: str) -> tuple[Dataset, float]:
    """Return the data set, and how many seconds loading it took. Raises DataError."""
    from ... import data
    began = time.monotonic()
    if is_script(name):
        from ..script import taken
        return taken.load(name, looked_at_twice=True), time.monotonic() - began
    return data.load(name), time.monotonic() - began


def _fits_twice(dataset: Dataset) -> bool:
    arrays = (dataset.held_train_x, dataset.train_y, dataset.held_test_x, dataset.test_y)
    return 2 * sum(map(size_bytes, arrays)) < psutil.virtual_memory().available


def _listed(shape: Shapes) -> Any:
    """As JSON: a list, or a mapping from names to lists."""
    return each(list, shape)


def answer(question: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to a question of standard input. Raises BatchscaleError."""
    if "size" in question:
        return {"train_examples": watched(timed, question["size"])[0].size.train_examples}
    watched(imports.tensorflow_and_keras)
    if "script" in question:
        from . import look
        return {"taken": watched(look.taken, question["script"])}
    return {"workloads": {config.workload_key: watched(workload, config, question["known"])
                          for config in map(from_json, question["configs"])}}


def watched(work: Callable[..., Any], *given: Any) -> Any:
    """Return `work(*given)`; end the process where that takes longer than the program's first argument allows, in
    seconds."""
    patience_seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0
    if patience_seconds:
        faulthandler.dump_traceback_later(patience_seconds, exit=True)
    try:
        return work(*given)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _kept(descriptor: int, mode: str) -> TextIO:
    return cast(TextIO, os.fdopen(os.dup(descriptor), mode))


def main() -> int:
    """Answer the questions of standard input until it ends; return the exit code."""
    faulthandler.enable()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.update(imports.CHOICE_OF_KERAS)
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    questions, answers = _kept(0, "r"), _kept(1, "w")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # a user's code, and programs that it starts, read no question and write no answer
    search_beside(sys.argv[2])
    for line in questions:
        try:
            found = answer(json.loads(line))
        except BatchscaleError as error:
            found = {"error": str(error)}
        print(json.dumps(found), file=answers, flush=True)
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
