"""Fits three classes by any optimizer of Keras', within a LossScaleOptimizer or without: one_output.py OPTIMIZER
[scaled] [ARGUMENT=VALUE ...]."""

import json
import sys

import keras
import numpy as np

name, *words = sys.argv[1:]
arguments = {key: json.loads(value) for key, value in (word.split("=") for word in words if word != "scaled")}
optimizer = getattr(keras.optimizers, name)(learning_rate=2**-6, **arguments)
noise = np.random.default_rng(0)
x, y = noise.normal(size=(157, 6)), noise.integers(0, 3, 157)
model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(5, activation="tanh", kernel_regularizer="l2"),
                          keras.layers.Dense(3, activation="softmax")])
model.compile(optimizer=keras.optimizers.LossScaleOptimizer(optimizer) if "scaled" in words else optimizer,
              loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, batch_size=8, epochs=1, shuffle=False, validation_data=(x[:40], y[:40]), verbose=0,
          class_weight={0: 1.0, 1: 2.0, 2: 0.5})
