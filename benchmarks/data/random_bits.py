"""Random numbers that are the same on every machine and in every numpy version.

numpy keeps the stream of a bit generator fixed for ever, but may change what a `Generator` method
makes of it (NEP 19). Orders and generated data therefore start from the raw bits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def raw_bits(entropy: Sequence[int], count: int) -> npt.NDArray[np.uint64]:
    """Return `count` independent 64-bit words of PCG64, seeded by the sequence `entropy` (each >= 0)."""
    return np.random.PCG64(np.random.SeedSequence(list(entropy))).random_raw(count)


def uniform(entropy: Sequence[int], count: int) -> npt.NDArray[np.float32]:
    """Return float32[count], uniform in [0, 1), multiples of 2^-24."""
    return ((raw_bits(entropy, count) >> np.uint64(40)) * 2.0**-24).astype(np.float32)


def permutation(entropy: Sequence[int], count: int) -> npt.NDArray[np.int32]:
    """Return int32[count], a random order of 0..count-1: the ranks of `count` random words."""
    return np.argsort(raw_bits(entropy, count), kind="stable").astype(np.int32)
