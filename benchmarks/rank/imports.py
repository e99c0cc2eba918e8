"""Importing TensorFlow and Keras without what a rank never uses.

Keras imports scikit-learn, pandas, matplotlib and IPython where it finds them, for its estimators, frames and plots: a
third of the CPU time that a rank takes to start. Hidden meanwhile, they can be imported afterwards as ever.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

OPTIONAL = ("sklearn", "pandas", "matplotlib", "IPython")
# The suite trains with Keras 3 on TensorFlow, whatever a shell or ~/.keras/keras.json chooses for other programs.
CHOICE_OF_KERAS = {"KERAS_BACKEND": "tensorflow", "TF_USE_LEGACY_KERAS": "0"}
# TensorFlow 2.21 looks for every CUDA library that pip installed but this one, and registers no GPU without it.
FORGOTTEN_LIBRARY = Path("nvidia", "cusolver", "lib", "libcusolver.so.11")


def tensorflow_and_keras() -> None:
    """Import TensorFlow and Keras for the first time, as the suite needs them, without the packages that they need
    not."""
    os.environ.update(CHOICE_OF_KERAS)
    load_forgotten_library()
    with hidden(OPTIONAL), uncollected():
        import keras  # noqa: F401
        import tensorflow  # noqa: F401


def load_forgotten_library() -> None:
    """Load cuSOLVER where pip put it beside TensorFlow, so that TensorFlow finds it by its name."""
    for path in (Path(folder) / FORGOTTEN_LIBRARY for folder in sys.path):
        if path.is_file():
            try:
                ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL)
            except OSError:  # TensorFlow, which needs it on GPUs alone, then says what is wrong with it
                continue
            return


@contextmanager
def uncollected() -> Iterator[None]:
    """Hold the garbage collector off meanwhile, and let it never look at what is there afterwards: modules stay, and
    looking through them again and again is a tenth of the time that importing them takes."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


@contextmanager
def hidden(names: Sequence[str]) -> Iterator[None]:
    """Let an import of one of `names` raise ImportError meanwhile, unless it has been imported before."""
    modules = cast(dict[str, Any], sys.modules)
    absent = [name for name in names if name not in modules]
    modules.update(dict.fromkeys(absent))
    try:
        yield
    finally:
        for name in absent:
            del modules[name]
