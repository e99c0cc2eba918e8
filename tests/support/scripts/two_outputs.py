"""Fits two outputs with a weight for each loss, label smoothing and weights of examples, by a falling rate."""

import keras
import numpy as np

noise = np.random.default_rng(0)
left, right = noise.normal(size=(157, 4)), noise.normal(size=(157, 3))
kind = keras.utils.to_categorical(noise.integers(0, 3, 157))
size = noise.normal(size=(157, 1))
inputs = [keras.Input((4,), name="left"), keras.Input((3,), name="right")]
hidden = keras.layers.Dense(5, activation="tanh")(keras.layers.Concatenate()(inputs))
model = keras.Model(inputs, {"kind": keras.layers.Dense(3, name="kind")(hidden),
                             "size": keras.layers.Dense(1, name="size")(hidden)})
schedule = keras.optimizers.schedules.ExponentialDecay(2**-5, decay_steps=4, decay_rate=0.5)
model.compile(optimizer=keras.optimizers.RMSprop(schedule, momentum=0.5),
              loss={"kind": keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
                    "size": "mean_absolute_error"},
              loss_weights={"kind": 2.0, "size": 0.25}, metrics={"kind": ["accuracy"]})
weights = noise.uniform(0.5, 2.0, 157)
model.fit([left, right], {"kind": kind, "size": size}, batch_size=8, epochs=1, shuffle=False, verbose=0,
          sample_weight={"kind": weights, "size": np.ones(157)},
          validation_data=([left[:40], right[:40]], {"kind": kind[:40], "size": size[:40]}))
