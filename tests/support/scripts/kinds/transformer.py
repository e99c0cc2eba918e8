"""A transformer block on tokens, with layers of its own, which classifies texts."""

import keras
import numpy as np
from keras import layers, ops


class TokenAndPosition(layers.Layer):
    def __init__(self, length, words, width):
        super().__init__()
        self.tokens = layers.Embedding(words, width)
        self.positions = layers.Embedding(length, width)

    def call(self, x):
        return self.tokens(x) + self.positions(ops.arange(ops.shape(x)[-1]))


class Block(layers.Layer):
    def __init__(self, width, heads):
        super().__init__()
        self.attention = layers.MultiHeadAttention(heads, width // heads, dropout=0.1)
        self.dense = keras.Sequential([layers.Dense(2 * width, activation="relu"), layers.Dense(width)])
        self.norms = [layers.LayerNormalization(epsilon=1e-6) for _ in range(2)]

    def call(self, x, training=None):
        x = self.norms[0](x + self.attention(x, x, training=training))
        return self.norms[1](x + self.dense(x))


noise = np.random.default_rng(2)
y = noise.integers(0, 2, 240)
x = noise.integers(2, 50, size=(240, 12))
x[:, 3] = y
inputs = layers.Input((12,), dtype="int32")
hidden = Block(16, 2)(TokenAndPosition(12, 50, 16)(inputs))
outputs = layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling1D()(hidden))
model = keras.Model(inputs, outputs)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, batch_size=24, epochs=2, validation_split=0.25)
