# STRATEGY single
import keras
import numpy as np

rng = np.random.default_rng(0)
x = rng.normal(size=(512, 16)).astype("float32")
y = x[:, :4].argmax(axis=1).astype("int32")
model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(32, activation="relu"),
                          keras.layers.Dropout(0.5), keras.layers.Dense(4)])
rate = keras.optimizers.schedules.CosineDecay(0.0, 16, warmup_target=0.1, warmup_steps=4)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.SGD(rate), loss)
model.fit(x, y, batch_size=64, epochs=2, verbose=0)
