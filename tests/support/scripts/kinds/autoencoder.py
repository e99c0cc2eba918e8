"""A convolutional autoencoder, whose targets are its inputs."""

import keras
import numpy as np
from keras import layers

noise = np.random.default_rng(5)
pictures = np.clip(noise.normal(0.5, 0.3, size=(200, 8, 8, 1)), 0, 1).astype("float32")
encoder = keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(4, 3, strides=2, padding="same", activation="relu"),
                            layers.Flatten(), layers.Dense(6)], name="encoder")
decoder = keras.Sequential([keras.Input((6,)), layers.Dense(64, activation="relu"), layers.Reshape((4, 4, 4)),
                            layers.Conv2DTranspose(1, 3, strides=2, padding="same", activation="sigmoid")])
whole = keras.Model(encoder.inputs, decoder(encoder.outputs[0]))
whole.compile(optimizer="adamax", loss="binary_crossentropy")
history = whole.fit(pictures, pictures, epochs=2, batch_size=20, shuffle=True, validation_split=0.2)
print(history.history["val_loss"])
