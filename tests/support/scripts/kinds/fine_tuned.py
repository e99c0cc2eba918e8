"""Trains a new last layer over a base that is held fixed, then all of it at a lower rate: two calls of fit."""

import keras
import numpy as np

noise = np.random.default_rng(15)
y = noise.integers(0, 3, 260)
x = (noise.normal(size=(260, 8)) + 2 * np.eye(8)[y]).astype("float32")
base = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16, activation="relu")], name="base")
base.trainable = False
model = keras.Sequential([base, keras.layers.Dense(3)])
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.Adam(1e-2), loss, metrics=["accuracy"])
model.fit(x[:200], y[:200], batch_size=20, epochs=1, validation_data=(x[200:], y[200:]))

base.trainable = True
model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
model.fit(x[:200], y[:200], batch_size=20, epochs=2, validation_data=(x[200:], y[200:]))
