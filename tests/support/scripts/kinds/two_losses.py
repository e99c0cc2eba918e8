"""A regression with two outputs, a loss and a weight for each, penalties of weights, and errors as metrics."""

import keras
import numpy as np

noise = np.random.default_rng(4)
x = noise.normal(size=(300, 6)).astype("float32")
price, size = (x @ noise.normal(size=(6, 1)) + 0.1 * noise.normal(size=(300, 1)) for _ in range(2))
inputs = keras.Input((6,))
hidden = keras.layers.Dense(12, activation="tanh", kernel_regularizer=keras.regularizers.L2(1e-4))(inputs)
model = keras.Model(inputs, [keras.layers.Dense(1, name="price")(hidden), keras.layers.Dense(1, name="size")(hidden)])
model.compile(keras.optimizers.AdamW(3e-3), loss=["mse", keras.losses.Huber(0.5)], loss_weights=[1.0, 0.3],
              metrics=[["mae"], ["mae"]])
model.fit(x[:240], [price[:240], size[:240]], batch_size=20, epochs=3,
          validation_data=(x[240:], [price[240:], size[240:]]))
