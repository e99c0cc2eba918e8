"""synthetic: examples of any shape, for timing and memory; learnable, so that training behaves."""

from __future__ import annotations

import re
from math import prod

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from .dataset import Dataset, DataSize

EXAMPLE = "synthetic:28x28x1,classes=10,examples=4096"
TEST_SHARE = 4  # one test example to every four for training
MIDDLE, PROTOTYPE_SPREAD, NOISE_SPREAD = 0.5, 0.1, 0.2

_STREAM = 0x5F17
_SHAPE = re.compile(r"[1-9]\d*(x[1-9]\d*)*")
_DEFAULTS = {"classes": 10, "examples": 4096}


def synthetic_size(name: str) -> DataSize:
    """Read `synthetic:28x28x1,classes=10,examples=4096`; `examples` are for training."""
    shape, *options = name.partition(":")[2].replace(" ", "").split(",")
    if not _SHAPE.fullmatch(shape):
        raise DataError(f"dataset={name!r}: {shape!r} is not a shape; write it as in {EXAMPLE!r}.")
    values = dict(_DEFAULTS)
    for option in options:
        key, _, value = option.partition("=")
        if key not in values or not value.isdecimal():
            raise DataError(f"dataset={name!r}: {option!r} is not known; use classes=K and "
                            f"examples=N, as in {EXAMPLE!r}.")
        values[key] = int(value)
    examples, classes = values["examples"], values["classes"]
    if classes < 2 or examples < classes:
        raise DataError(f"dataset={name!r}: classes={classes} and examples={examples}; there must "
                        "be at least 2 classes and at least as many examples.")
    test = max(classes, examples // TEST_SHARE)
    return DataSize(examples, test, tuple(int(side) for side in shape.split("x")), classes)


def load_synthetic(name: str) -> Dataset:
    """Gaussian noise around one Gaussian prototype per class, clipped to [0, 1]."""
    size = synthetic_size(name)
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([_STREAM])))
    prototypes = rng.standard_normal((size.classes, *size.input_shape), np.float32)
    prototypes = np.float32(MIDDLE) + np.float32(PROTOTYPE_SPREAD) * prototypes
    train_y, test_y = (np.arange(count, dtype=np.int32) % size.classes
                       for count in (size.train_examples, size.test_examples))
    train_x, test_x = (_around(prototypes, labels, rng) for labels in (train_y, test_y))
    shape = "x".join(map(str, size.input_shape))
    source = (f"{size.train_examples + size.test_examples:,} generated examples of shape {shape}: "
              f"{size.classes} Gaussian classes of {prod(size.input_shape):,} numbers each, for "
              "timing rather than accuracy")
    return Dataset(name, train_x, train_y, test_x, test_y, size.classes, source)


def _around(prototypes: npt.NDArray[np.float32], labels: npt.NDArray[np.int32],
            rng: np.random.Generator) -> npt.NDArray[np.float32]:
    x = rng.standard_normal((len(labels), *prototypes.shape[1:]), np.float32)
    x *= np.float32(NOISE_SPREAD)
    for start in range(0, len(labels), 256):  # no second array as large as the data
        x[start:start + 256] += prototypes[labels[start:start + 256]]
    return np.clip(x, 0, 1, out=x)
