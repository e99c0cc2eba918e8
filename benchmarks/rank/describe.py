"""Builds each distinct data set and model once, in a process of its own, before any rank starts.

Reads a JSON list of {key, dataset, model, validation_fraction} on standard input and writes, on standard output, JSON
from key to the record's `workload`. What cannot be built ends in one sentence on standard error and exit code 2.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from ..errors import EXIT_OK, BatchscaleError, PlanError
from . import imports


def forward_flops(model: Any, input_shape: tuple[int, ...]) -> int | None:
    """Floating-point operations of one forward pass on one example, 2 per multiply-add; None if not countable.

    Counted by TensorFlow's profiler on a graph with a static batch of 1; it counts no Einsum.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
    spec = tf.TensorSpec((1, *input_shape), model.compute_dtype)
    concrete = tf.function(lambda x: model(x, training=False), autograph=False).get_concrete_function(spec)
    graph = convert_variables_to_constants_v2(concrete).graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    profile = tf.compat.v1.profiler.profile(graph, options=options)
    return int(profile.total_float_ops) if profile is not None and profile.total_float_ops else None


def workload(dataset: str, model: str, validation_fraction: float) -> dict[str, Any]:
    from .. import data
    imports.tensorflow_and_keras()
    from . import models
    split = data.split(data.load(dataset), validation_fraction, 1)
    built = models.build(model, split.input_shape, split.classes, seed=0)
    outputs = tuple(built.output_shape[1:])
    if outputs != (split.classes,):
        raise PlanError(f"model {model!r} gives outputs of shape {outputs} on {dataset!r}; it must end in "
                        f"{split.classes} logits, one for each class.")
    return {"source": split.source, "train_examples": len(split.train[1]),
            "validation_examples": len(split.validation[1]), "test_examples": len(split.test[1]),
            "input_shape": list(split.input_shape), "classes": split.classes,
            "parameters": int(sum(int(v.value.numpy().size) for v in built.trainable_variables)),
            "flops_per_example": forward_flops(built, split.input_shape)}


def main() -> int:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    wanted = json.load(sys.stdin)
    answer = sys.stdout
    sys.stdout = sys.stderr  # nothing but the answer goes to standard output
    try:
        found = {w["key"]: workload(w["dataset"], w["model"], w["validation_fraction"]) for w in wanted}
    except BatchscaleError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    json.dump(found, answer)
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
