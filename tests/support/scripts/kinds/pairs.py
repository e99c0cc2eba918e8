"""Two inputs without names through one network, a loss of the user's own, and a rate for each epoch."""

import keras
import numpy as np
from keras import layers, ops


def contrastive(y_true, y_pred):
    return ops.mean((1 - y_true) * ops.square(y_pred) + y_true * ops.square(ops.maximum(1 - y_pred, 0)), axis=-1)


def rate(epoch, before):
    return before if epoch < 2 else before * 0.5


noise = np.random.default_rng(11)
kinds = noise.integers(0, 3, (2, 240))
one, other = (noise.normal(size=(240, 6)) + 2 * np.eye(6)[kind] for kind in kinds)
differ = (kinds[0] != kinds[1]).astype("float32")
network = keras.Sequential([keras.Input((6,)), layers.Dense(12, activation="tanh"), layers.Dense(4)])
left, right = layers.Input((6,)), layers.Input((6,))
apart = ops.sqrt(ops.sum(ops.square(network(left) - network(right)), axis=1, keepdims=True) + 1e-7)
model = keras.Model(inputs=[left, right], outputs=layers.Dense(1, activation="sigmoid")(apart))
model.compile(loss=contrastive, optimizer="RMSprop", metrics=["accuracy"])
model.fit([one[:192], other[:192]], differ[:192], validation_data=([one[192:], other[192:]], differ[192:]),
          batch_size=16, epochs=4, callbacks=[keras.callbacks.LearningRateScheduler(rate)])
