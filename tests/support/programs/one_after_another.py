"""Runs programs of this folder, as their names come on standard input, in one process that imports TensorFlow once.

Each finds Keras' settings as in a fresh process. For each a line of JSON: what it printed last, or its traceback.
"""

from __future__ import annotations

import contextlib
import io
import json
import runpy
import sys
import traceback
from pathlib import Path

from batchscale.benchmarks.rank import imports


def as_fresh() -> None:
    import keras
    keras.backend.clear_session()
    keras.backend.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def run(program: str) -> dict[str, str]:
    """Its last line, or its traceback."""
    as_fresh()
    try:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            runpy.run_path(str(Path(__file__).parent / program), run_name="__main__")
        return {"last_line": printed.getvalue().splitlines()[-1]}
    except BaseException:
        return {"error": traceback.format_exc()}


imports.tensorflow_and_keras()
for line in sys.stdin:
    print(json.dumps(run(line.strip())), flush=True)
