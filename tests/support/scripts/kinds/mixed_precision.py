"""Arithmetic in 16 bits by Keras' global policy, with a last layer in float32; a set for validation."""

import keras
import numpy as np

keras.mixed_precision.set_global_policy("mixed_float16")
noise = np.random.default_rng(8)
y = noise.integers(0, 4, 320)
x = (noise.normal(size=(320, 8)) + 2 * np.eye(8)[y]).astype("float32")
model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(32, activation="relu"), keras.layers.Dense(4),
                          keras.layers.Activation("softmax", dtype="float32")])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x[:256], y[:256], validation_data=(x[256:], y[256:]), batch_size=32, epochs=2)
