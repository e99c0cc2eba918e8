"""A table with numbers and categories: inputs by name, normalization that was adapted, embeddings, weights of rows."""

import keras
import numpy as np
import pandas as pd
from keras import layers

noise = np.random.default_rng(3)
table = pd.DataFrame({"age": noise.uniform(20, 80, 350), "income": noise.lognormal(10, 1, 350),
                      "city": noise.integers(0, 5, 350), "bought": noise.integers(0, 2, 350)})
numbers = layers.Normalization()
numbers.adapt(table[["age", "income"]].to_numpy())
inputs = {"numbers": keras.Input((2,), name="numbers"), "city": keras.Input((1,), dtype="int32", name="city")}
place = layers.Flatten()(layers.Embedding(5, 3)(inputs["city"]))
hidden = layers.Dense(12, activation="relu")(layers.concatenate([numbers(inputs["numbers"]), place]))
model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(layers.Dropout(0.2)(hidden)))
model.compile("nadam", keras.losses.BinaryCrossentropy(), metrics=["accuracy"], weighted_metrics=["accuracy"])
given = {"numbers": table[["age", "income"]].to_numpy("float32"), "city": table[["city"]].to_numpy()}
model.fit(given, table["bought"], sample_weight=np.where(table["age"] > 50, 2.0, 1.0), batch_size=25, epochs=2)
