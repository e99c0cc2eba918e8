"""Text as whole numbers: is what a sentence says of the food kind? "Not bad" is kind, so the order of words counts.

    cd benchmarks/examples && ../../.venv/bin/batchscale study text_classifier.toml
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

LENGTH, TRAIN, TEST = 13, 3000, 600
WORDS = ("", "the", "was", "and", "very", "quite", "not", "soup", "bread", "cake", "rice", "tea", "waiter", "table",
         "room", "good", "fresh", "warm", "nice", "fine", "bad", "stale", "cold", "dull", "poor")
FOOD, PLACE, KIND, UNKIND = WORDS[7:12], WORDS[12:15], WORDS[15:20], WORDS[20:]
Arrays = tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]


def sentences() -> tuple[Arrays, Arrays]:
    """((x_train, y_train), (x_test, y_test)): words int32[N, 13] by their number in WORDS, 0 after the end; y 1: kind.

    Whole numbers stay whole numbers on their way to the model (but uint8, which is taken for pixels).
    """
    rng = np.random.default_rng(2)
    made = [_sentence(rng) for _ in range(TRAIN + TEST)]
    number = {word: index for index, word in enumerate(WORDS)}
    x = np.array([[number[word] for word in (words + [""] * LENGTH)[:LENGTH]] for words, _ in made], np.int32)
    y = np.array([kind for _, kind in made])
    return (x[:TRAIN], y[:TRAIN]), (x[TRAIN:], y[TRAIN:])


def _sentence(rng: np.random.Generator) -> tuple[list[str], int]:
    """`the waiter was not very nice and the soup was good`: what is said of the food decides, first or last."""
    food, kind = _clause(FOOD, rng)
    place, _ = _clause(PLACE, rng)
    first, last = (food, place) if rng.random() < 0.5 else (place, food)
    return [*first, "and", *last], kind


def _clause(subjects: tuple[str, ...], rng: np.random.Generator) -> tuple[list[str], int]:
    """`the soup was not quite stale`, and whether that is kind: "not" turns the adjective round."""
    kind, turned = (int(bit) for bit in rng.integers(0, 2, 2))
    adjective = str(rng.choice(KIND if kind != turned else UNKIND))
    degree = [str(rng.choice(["very", "quite"]))] if rng.random() < 0.5 else []
    return ["the", str(rng.choice(subjects)), "was", *["not"] * turned, *degree, adjective], kind


def classifier(input_shape: tuple[int, ...], classes: int) -> Any:
    """Embedding, a convolution over four neighbouring words, the strongest answer, and logits."""
    import keras
    from keras import layers
    return keras.Sequential([
        keras.Input(input_shape, dtype="int32"),
        layers.Embedding(len(WORDS), 16),
        layers.Conv1D(32, 4, activation="relu"),
        layers.GlobalMaxPooling1D(),
        layers.Dense(classes),
    ])
