"""Runs a script up to its fit and tells what it gave there, in a process of its own, before a plan is multiplied out.

Reads JSON on standard input: `scripts`, texts that name them; `plan`, the plan's file. Writes JSON on standard output:
`taken`, what each gave, or `error`, why it cannot be taken over, with exit code 2. The first argument is the patience
in seconds, as of describe.py.
"""

from __future__ import annotations

import json
import math
import os
import sys
from typing import Any

from ...data.user_function import search_beside
from ...errors import BatchscaleError, EXIT_OK
from .. import imports
from .describe import watched


def taken(reference: str) -> dict[str, Any]:
    """Return what a script gives to fit, by the names that planning/scripts.py has. Raises PlanError, DataError."""
    import keras

    from ...data.arrays import count
    from ..script import examples, optimizer, taken as of_script
    from ..script.running import fit_of, loop_around
    from ..training import keras_optimizers
    from ..training.compiled import Compiled
    of_script.as_new("float32", of_script.DATA_SEED)
    fit = fit_of(reference, of_script.DATA_SEED)
    precision = keras.config.dtype_policy().name
    given = examples.given(fit, looked_at_twice=True)
    found = of_script.of_fit(fit, given.train)
    keras_optimizers.check(f"the optimizer of script {fit.call.path!r}", optimizer.inner(fit.model.optimizer))
    compiled = Compiled(found)
    made = examples.dataset(fit, reference, given)
    name, momentum = optimizer.name_of(fit.model, reference)
    epochs, loop = int(fit.arguments["epochs"]), loop_around(fit.path, fit.line)
    steps = epochs * math.ceil(count(made.train_y) / given.batch_size)
    return {"train_examples": count(made.train_y), "test_examples": count(made.test_y), "epochs": epochs,
            "batch_size": given.batch_size, "optimizer": name, "momentum": momentum,
            "learning_rate": optimizer.highest_rate(fit.model.optimizer, steps), "loss": compiled.loss_name,
            "metrics": compiled.metric_names, "precision": precision,
            "published_way": loop.found and not loop.rebuilds, "notes": [*given.notes, *compiled.notes]}


def main() -> int:
    """Tell what the scripts that standard input asks for gave to fit; return the exit code."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    wanted = json.load(sys.stdin)
    answer = sys.stdout
    sys.stdout = sys.stderr  # a script prints what it likes
    sys.stdin = open(os.devnull)
    search_beside(wanted["plan"])
    try:
        watched(imports.tensorflow_and_keras)
        found = {reference: watched(taken, reference) for reference in wanted["scripts"]}
    except BatchscaleError as error:
        json.dump({"error": str(error)}, answer)
        return error.exit_code
    json.dump({"taken": found}, answer)
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
