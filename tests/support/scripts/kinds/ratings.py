"""Users and things as a tuple of inputs to a subclassed model, and a loss that returns the mean over a batch."""

import keras
import numpy as np
import tensorflow as tf


class Ratings(keras.Model):
    def __init__(self, users, things, width):
        super().__init__()
        self.users, self.things = keras.layers.Embedding(users, width), keras.layers.Embedding(things, width)
        self.bias = keras.layers.Embedding(things, 1)

    def call(self, inputs):
        user, thing = inputs
        return tf.reduce_sum(self.users(user) * self.things(thing), axis=-1, keepdims=True) + self.bias(thing)


def squared(y_true, y_pred):
    return tf.reduce_mean(tf.square(y_true - y_pred))


noise = np.random.default_rng(13)
user, thing = noise.integers(0, 20, 400), noise.integers(0, 30, 400)
stars = (3 + np.sin(user) * np.cos(thing) + 0.1 * noise.normal(size=400)).astype("float32")
model = Ratings(20, 30, 8)
model.compile(optimizer=keras.optimizers.Adam(0.01), loss=squared, metrics=["mae"])
model.fit((user[:320], thing[:320]), stars[:320], batch_size=32, epochs=2,
          validation_data=((user[320:], thing[320:]), stars[320:]))
