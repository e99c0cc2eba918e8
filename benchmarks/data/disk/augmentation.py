"""The random numbers behind augmentation: of seed, epoch and example alone.

They do not depend on who asks, nor in which order, so every strategy and every number of replicas trains on the same
pictures.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..random_bits import raw_bits

WORDS = ("flip", "crop")
CROP_TRIES = 10
DRAWS = 3 + 2 * CROP_TRIES
"""Per example: flip, top, left, then area and aspect of every try at a crop."""

_STREAM = 0xA06E  # keeps this use of a seed apart from every other use of the same number
_GOLDEN, _FIRST, _SECOND = (np.uint64(word) for word in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def draws(seed: int, epoch: int, examples: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
    """Return float32[len(examples), DRAWS] in [0, 1): numbers `DRAWS i + k` of SplitMix64 (Steele 2014) for example i.

    SplitMix64 is a hash of a counter, so that any of its numbers can be had without those before it.
    """
    start = raw_bits([_STREAM, seed, epoch], 1)[0]
    counter = np.asarray(examples, np.uint64)[:, None] * np.uint64(DRAWS) + np.arange(1, DRAWS + 1, dtype=np.uint64)
    word = start + counter * _GOLDEN
    word = (word ^ word >> np.uint64(30)) * _FIRST
    word = (word ^ word >> np.uint64(27)) * _SECOND
    word ^= word >> np.uint64(31)
    fractions: npt.NDArray[np.float32] = ((word >> np.uint64(40)) * 2.0**-24).astype(np.float32)
    return fractions
