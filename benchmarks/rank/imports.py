"""Importing TensorFlow and Keras without what a rank never uses.

Keras imports scikit-learn, pandas and matplotlib where it finds them, for its estimators, frames and plots: a third
of the CPU time that a rank takes to start. Hidden meanwhile, they can be imported afterwards as ever.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

OPTIONAL = ("sklearn", "pandas", "matplotlib")
# The suite trains with Keras 3 on TensorFlow, whatever a shell or ~/.keras/keras.json chooses for other programs.
CHOICE_OF_KERAS = {"KERAS_BACKEND": "tensorflow", "TF_USE_LEGACY_KERAS": "0"}


def tensorflow_and_keras() -> None:
    """Import TensorFlow and Keras for the first time, as the suite needs them, without the packages that they need
    not."""
    os.environ.update(CHOICE_OF_KERAS)
    with hidden(OPTIONAL):
        import keras  # noqa: F401
        import tensorflow  # noqa: F401


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
