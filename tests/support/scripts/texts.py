"""Fits two classes to texts, which the model splits at spaces and looks up: of several lengths, none, beyond ASCII.

By SGD: of a token that a batch has several times, Keras' other optimizers square each occurrence's gradient by itself.
"""

import keras
import numpy as np

noise = np.random.default_rng(0)
words = np.array(["", "gut", "böse", "漢字", "a longer one"])
x = np.array([" ".join(words[noise.integers(0, 5, noise.integers(0, 4))]) for _ in range(157)], dtype=object)
y = noise.integers(0, 2, 157)
looked_up = keras.layers.TextVectorization(standardize=None, output_sequence_length=4, vocabulary=list(words[1:4]))
model = keras.Sequential([keras.Input((), dtype="string"), looked_up, keras.layers.Embedding(6, 3),
                          keras.layers.Flatten(), keras.layers.Dense(2)])
model.compile(keras.optimizers.SGD(2**-6, momentum=0.5), keras.losses.SparseCategoricalCrossentropy(from_logits=True),
              metrics=["accuracy"])
model.fit(x, y, batch_size=8, epochs=1, shuffle=False, validation_data=(x[:40], y[:40]), verbose=0)
