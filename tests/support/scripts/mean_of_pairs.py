"""Fits pairs of inputs, a tuple and in it a list, by a loss that returns the mean over a batch."""

import keras
import numpy as np
import tensorflow as tf


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = keras.layers.Dense(5, activation="tanh")
        self.last = keras.layers.Dense(2)

    def call(self, given):
        left, (right,) = given
        return self.last(self.hidden(left) - self.hidden(right))


def between(y_true, y_pred):
    return tf.reduce_mean(tf.square(y_true - y_pred))


noise = np.random.default_rng(0)
left, right, y = noise.normal(size=(157, 6)), noise.normal(size=(157, 6)), noise.normal(size=(157, 2))
model = Own()
model.compile(keras.optimizers.Adamax(2**-6), between, metrics=["mae"])
model.fit((left, [right]), y, batch_size=8, epochs=1, shuffle=False, verbose=0,
          validation_data=((left[:40], [right[:40]]), y[:40]))
