"""The frame of a measuring program: the request is the first argument, the second is where its answer goes.

A file, not standard output: Horovod's launcher mixes the ranks' output.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import EXIT_OK
from ...rank import imports
from ...records import environment
from ..other_load import OtherLoad

Request = Mapping[str, Any]


def serve(measure: Callable[[Request], dict[str, Any] | None]) -> int:
    """Measure and write the answer with where it was measured. Ranks other than 0 return None."""
    others = OtherLoad()
    found = measure(json.loads(sys.argv[1]))
    if found is not None:
        answer = {**found, "environment": environment.collect(), "others_busy_cores": others.cores()}
        Path(sys.argv[2]).write_text(json.dumps(answer))
    return EXIT_OK


def prepare(cores: Sequence[int], inter_op: int) -> None:
    """Bind this process to `cores` and give TensorFlow a thread for each; before TensorFlow computes anything."""
    os.sched_setaffinity(0, cores)
    imports.tensorflow_and_keras()
    import tensorflow as tf
    tf.config.threading.set_intra_op_parallelism_threads(len(cores))
    tf.config.threading.set_inter_op_parallelism_threads(inter_op)


def gpus() -> list[str]:
    """Return the names of the GPUs that TensorFlow uses in this process."""
    import tensorflow as tf
    return [str(tf.config.experimental.get_device_details(gpu).get("device_name"))
            for gpu in tf.config.get_visible_devices("GPU")]


def seconds_of(work: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
