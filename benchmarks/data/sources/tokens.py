"""tokens: sequences of a Markov chain of order 2, whose entropy is known, and with it the least loss of any model.

A model that sees the last two tokens can reach that loss and none can go below it. The chain and the sequences come
from raw random bits, the same on every machine.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..dataset import Dataset, DataSize
from ..random_bits import raw_bits, uniform

VOCABULARY, LENGTH = 16, 32
TRAIN, TEST = 20_000, 4_000
TOKENS_SIZE = DataSize(TRAIN, TEST, (LENGTH,), VOCABULARY)

_STREAM = 0x70C5
Floats = npt.NDArray[np.float64]


def load_tokens() -> Dataset:
    """Load x, int32[N, 32], and y, int32[N, 32], the token after each of x."""
    chain = transitions()
    start = stationary(chain)
    train, test = (_sequences(chain, start, count, part) for part, count in ((1, TRAIN), (2, TEST)))
    source = (f"{TRAIN + TEST:,} generated sequences of {LENGTH} tokens out of {VOCABULARY}: a Markov chain of order 2 "
              f"with an entropy rate of {entropy_rate(chain):.4f} nats a token; no model's expected loss is below "
              f"{least_loss(chain):.4f}")
    return Dataset("tokens", train[:, :-1], train[:, 1:], test[:, :-1], test[:, 1:], VOCABULARY, source)


def transitions() -> Floats:
    """Return P[a, b, c], the probability of c after a, b. Weights are 2^0 to 2^7, drawn with equal probability."""
    exponents = raw_bits([_STREAM, 0], VOCABULARY**3) >> np.uint64(61)
    weights = np.exp2(exponents.astype(np.float64)).reshape((VOCABULARY,) * 3)
    return np.asarray(weights / weights.sum(axis=2, keepdims=True))


def stationary(chain: Floats) -> Floats:
    """Return pi[a, b], how often the pair a, b occurs, by power iteration to rounding."""
    pairs = np.full(chain.shape[:2], 1 / chain[..., 0].size)
    for _ in range(200):  # the second eigenvalue is about 0.3
        pairs = np.einsum("ab,abc->bc", pairs, chain)
    return np.asarray(pairs / pairs.sum())


def entropy_rate(chain: Floats) -> float:
    """Return h = -sum pi(a, b) P(c | a, b) ln P(c | a, b), in nats per token, once two tokens are known."""
    return float(-np.einsum("ab,abc,abc->", stationary(chain), chain, np.log(chain)))


def least_loss(chain: Floats) -> float:
    """Return the least mean loss over a sequence, in nats per token.

    The first target is predicted from one token alone, the others from two.
    """
    pairs = stationary(chain)
    first = float(-np.sum(pairs * np.log(pairs / pairs.sum(axis=1, keepdims=True))))
    return (first + (LENGTH - 1) * entropy_rate(chain)) / LENGTH


def _sequences(chain: Floats, start: Floats, count: int, part: int) -> npt.NDArray[np.int32]:
    """int32[count, LENGTH + 1], each begun at a stationary pair."""
    draws = uniform([_STREAM, part], count * LENGTH).reshape(LENGTH, count)
    found = np.empty((count, LENGTH + 1), np.int32)
    pair = np.searchsorted(_steps(start.ravel()), draws[0], side="right")
    found[:, 0], found[:, 1] = pair // VOCABULARY, pair % VOCABULARY
    steps = _steps(chain)
    for place in range(2, LENGTH + 1):
        choices = steps[found[:, place - 2], found[:, place - 1]]
        found[:, place] = (choices <= draws[place - 1][:, None]).sum(axis=1)
    return found


def _steps(probabilities: Floats) -> Floats:
    """Cumulative sums, which end in exactly 1, so that every draw below 1 meets a choice."""
    sums = np.cumsum(probabilities, axis=-1)
    return np.asarray(sums / sums[..., -1:])
