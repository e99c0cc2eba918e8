# STRATEGY single
import keras
import numpy as np

rng = np.random.default_rng(0)
x = rng.normal(size=(512, 16)).astype("float32")
y = x[:, :4].argmax(axis=1).astype("int32")
model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(32, activation="relu"),
                          keras.layers.Dense(4)])
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile("sgd", loss, metrics=["accuracy"])
model.fit(x[:384], y[:384], batch_size=64, epochs=2, verbose=0, validation_data=(x[384:], y[384:]))
