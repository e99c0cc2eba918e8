"""Batches from a Python generator without an end, and as many steps an epoch as its examples need."""

import keras
import numpy as np

noise = np.random.default_rng(9)
y = noise.integers(0, 3, 192)
x = noise.normal(size=(192, 6)) + 2 * np.eye(6)[y]


def batches(size):
    while True:
        for start in range(0, len(x), size):
            yield x[start:start + size], keras.utils.to_categorical(y[start:start + size], 3)


model = keras.Sequential([keras.layers.Dense(12, activation="relu"), keras.layers.Dense(3, activation="softmax")])
model.compile(keras.optimizers.Adadelta(1.0), "categorical_crossentropy", metrics=["accuracy"])
model.fit(batches(24), steps_per_epoch=8, epochs=2, validation_data=(x[:48], keras.utils.to_categorical(y[:48], 3)))
