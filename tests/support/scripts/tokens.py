"""Fits two classes to tokens by Adam, each token once in a batch or several times: tokens.py once|repeated."""

import sys

import keras
import numpy as np

noise = np.random.default_rng(0)
once = np.concatenate([noise.permutation(32).reshape(8, 4) for _ in range(20)])[:157]
x, y = once if sys.argv[1] == "once" else once % 4, noise.integers(0, 2, 157)
model = keras.Sequential([keras.Input((4,), dtype="int32"), keras.layers.Embedding(32, 3), keras.layers.Flatten(),
                          keras.layers.Dense(2)])
model.compile(keras.optimizers.Adam(2**-6), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.fit(x, y, batch_size=8, epochs=1, shuffle=False, validation_data=(x[:40], y[:40]), verbose=0)
