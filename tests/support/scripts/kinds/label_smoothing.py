"""Label smoothing on one-hot targets, momentum, a rate that falls in steps, and a PyDataset of the user's."""

import math

import keras
import numpy as np


class Rows(keras.utils.PyDataset):
    def __init__(self, x, y, size):
        super().__init__()
        self.x, self.y, self.size = x, y, size

    def __len__(self):
        return math.ceil(len(self.x) / self.size)

    def __getitem__(self, at):
        rows = slice(at * self.size, (at + 1) * self.size)
        return self.x[rows], self.y[rows]


noise = np.random.default_rng(10)
labels = noise.integers(0, 5, 330)
x, y = noise.normal(size=(330, 9)) + 2 * np.eye(9)[labels], keras.utils.to_categorical(labels, 5)
model = keras.Sequential([keras.Input((9,)), keras.layers.Dense(20, activation="elu"), keras.layers.Dense(5)])
rates = keras.optimizers.schedules.PiecewiseConstantDecay([10, 20], [0.1, 0.05, 0.01])
model.compile(keras.optimizers.SGD(rates, momentum=0.9, nesterov=True),
              keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1), metrics=["accuracy"])
model.fit(Rows(x[:270], y[:270], 30), epochs=3, validation_data=Rows(x[270:], y[270:], 30))
