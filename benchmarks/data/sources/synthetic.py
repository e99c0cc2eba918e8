"""synthetic: examples of any shape, for timing and memory; learnable, so that training behaves."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from ...errors import DataError
from ..dataset import Dataset, DataSize

EXAMPLE = "synthetic:28x28x1,classes=10,examples=4096"
TEST_SHARE = 4  # one test example to every four for training
MIDDLE, SPREAD = 0.5, 0.1  # of the Gaussian prototypes
MOST_DIGITS = 15  # of a whole number: more examples fit in no memory
MOST_SIDES = 8
NOISE = 0.35  # uniform, +-
CHUNK_NUMBERS = 2**17  # at a time: half a megabyte, which stays in the processor's cache

_STREAM = 0x5F17
_SHAPE = re.compile(r"[1-9]\d*(x[1-9]\d*)*")
_DEFAULTS = {"classes": 10, "examples": 4096}


def synthetic_size(name: str) -> DataSize:
    """Parse `synthetic:28x28x1,classes=10,examples=4096`; `examples` are for training."""
    shape, *options = name.partition(":")[2].replace(" ", "").split(",")
    if not _SHAPE.fullmatch(shape) or max(map(len, shape.split("x"))) > MOST_DIGITS or shape.count("x") > MOST_SIDES:
        raise DataError(f"dataset={name!r}: {shape!r} is not a shape; write it as in {EXAMPLE!r}.")
    values = dict(_DEFAULTS)
    for option in options:
        key, _, value = option.partition("=")
        if key not in values or not value.isdecimal() or len(value) > MOST_DIGITS:
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
    """Generate uniform noise around one Gaussian prototype per class, clipped to [0, 1]."""
    size = synthetic_size(name)
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([_STREAM])))
    prototypes = rng.standard_normal((size.classes, *size.input_shape), np.float32)
    prototypes *= np.float32(SPREAD)
    prototypes += np.float32(MIDDLE)
    train_y, test_y = (np.arange(count, dtype=np.int32) % size.classes
                       for count in (size.train_examples, size.test_examples))
    train_x, test_x = (_around(prototypes, labels, rng) for labels in (train_y, test_y))
    shape = "x".join(map(str, size.input_shape))
    source = (f"{size.train_examples + size.test_examples:,} generated examples of shape {shape}: "
              f"{size.classes} classes of noise around a random example, for timing rather than "
              "accuracy")
    return Dataset(name, train_x, train_y, test_x, test_y, size.classes, source)


def _around(prototypes: npt.NDArray[np.float32], labels: npt.NDArray[np.int32],
            rng: np.random.Generator) -> npt.NDArray[np.float32]:
    x = np.empty((len(labels), *prototypes.shape[1:]), np.float32)
    rows = max(1, CHUNK_NUMBERS // prototypes[0].size)
    for start in range(0, len(labels), rows):
        part = x[start:start + rows]
        rng.random(dtype=np.float32, out=part)
        part -= np.float32(0.5)
        part *= np.float32(2 * NOISE)
        part += prototypes[labels[start:start + rows]]
        np.clip(part, 0, 1, out=part)
    return x
