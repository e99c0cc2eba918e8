"""Learns labels that mean nothing, with a penalty on weights: its rate falls many times before it stops early."""

import keras
import numpy as np

noise = np.random.default_rng(0)
x, y = noise.normal(size=(157, 6)), noise.integers(0, 2, 157)
model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(32, activation="relu", kernel_regularizer="l2"),
                          keras.layers.Dense(2)])
model.compile(keras.optimizers.SGD(0.05, momentum=0.9), keras.losses.SparseCategoricalCrossentropy(from_logits=True),
              metrics=["accuracy"])
model.fit(x[:117], y[:117], batch_size=8, epochs=200, validation_data=(x[117:], y[117:]), callbacks=[
    keras.callbacks.EarlyStopping(patience=40, restore_best_weights=True),
    keras.callbacks.ReduceLROnPlateau(factor=0.8, patience=3)])
