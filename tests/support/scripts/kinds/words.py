"""Texts in a tf.data pipeline, which the model itself splits into words and looks up."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

noise = np.random.default_rng(14)
y = noise.integers(0, 2, 300)
texts = [" ".join(noise.choice(["good", "fine", "well", "the"] if kind else ["bad", "poor", "worse", "the"], 6))
         for kind in y]
words = layers.TextVectorization(max_tokens=50, output_sequence_length=8)
words.adapt(texts)
model = keras.Sequential([keras.Input((1,), dtype="string"), words, layers.Embedding(50, 8),
                          layers.GlobalAveragePooling1D(), layers.Dense(1, activation="sigmoid")])
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
data = tf.data.Dataset.from_tensor_slices((texts, y))
model.fit(data.take(240).batch(24), validation_data=data.skip(240).batch(24), epochs=2)
