"""Builds each distinct data set and model once and tries a step, in a process of its own, before any rank starts.

Reads a JSON list of configurations on standard input, one for each workload, and writes, on standard output, JSON from
`workload_key` to the record's `workload`. What cannot be built or trained ends in one sentence on standard error and
exit code 2. After as many seconds as the first argument says without progress, the stacks go there and the process
ends; 0: never.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ...data.arrays import count, each, Shapes
from ...data.disk.encoded import EncodedImages
from ...errors import EXIT_OK, BatchscaleError, DataError
from ...runs.run_config import from_json, RunConfig
from .. import imports


def workload(config: RunConfig) -> dict[str, Any]:
    """The record's `workload`. Raises DataError, PlanError for what cannot be built, trained or evaluated."""
    from ... import data
    imports.tensorflow_and_keras()
    from .. import models
    from . import baseline, flops, trial
    from ..feeds.image_pipeline import ImagePipeline
    split = data.split(data.load(config.dataset), config.validation_fraction, 1)
    built = models.build(config.model, split.input_shape, split.classes, seed=0)
    x, y = split.train
    if count(y) < trial.EXAMPLES:
        raise DataError(f"{config.dataset!r} has {count(y)} training examples; it must have at least {trial.EXAMPLES}.")
    if isinstance(x, EncodedImages):
        x = ImagePipeline(x, y, config.dtype).decoded(np.arange(trial.EXAMPLES))
    trial.check_step(config, built, x, y, split.classes)
    operations, not_counted = flops.forward_flops(built, each(lambda values: values[:1], x))
    return {"source": split.source, "train_examples": count(y),
            "validation_examples": count(split.validation[1]), "test_examples": count(split.test[1]),
            "input_shape": _listed(split.input_shape), "classes": split.classes,
            "parameters": int(sum(int(v.value.numpy().size) for v in built.trainable_variables)),
            "flops_per_example": operations, "flops_not_counted": not_counted,
            **baseline.baselines(config, y, split.test[1])}


def _listed(shape: Shapes) -> Any:
    """As JSON: a list, or a mapping from names to lists."""
    return each(list, shape)


def watched(work: Callable[..., Any], *given: Any) -> Any:
    """Do it; what takes longer than the first argument allows ends the process."""
    patience_seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0
    if patience_seconds:
        faulthandler.dump_traceback_later(patience_seconds, exit=True)
    try:
        return work(*given)
    finally:
        faulthandler.cancel_dump_traceback_later()


def main() -> int:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    wanted = json.load(sys.stdin)
    answer = sys.stdout
    sys.stdout = sys.stderr  # nothing but the answer goes to standard output
    try:
        watched(imports.tensorflow_and_keras)
        found = {config.workload_key: watched(workload, config) for config in map(from_json, wanted)}
    except BatchscaleError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    json.dump(found, answer)
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
