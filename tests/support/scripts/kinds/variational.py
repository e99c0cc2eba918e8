"""A variational autoencoder as Keras' guide writes it: fit has inputs alone, and train_step has all losses."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops


class Sampling(layers.Layer):
    def __init__(self, **named):
        super().__init__(**named)
        self.seed_generator = keras.random.SeedGenerator(1337)

    def call(self, given):
        mean, log_variance = given
        return mean + ops.exp(0.5 * log_variance) * keras.random.normal(ops.shape(mean), seed=self.seed_generator)


class Variational(keras.Model):
    def __init__(self, encoder, decoder, **named):
        super().__init__(**named)
        self.encoder, self.decoder = encoder, decoder
        self.trackers = [keras.metrics.Mean(name=name) for name in ("loss", "reconstruction_loss", "kl_loss")]

    @property
    def metrics(self):
        return self.trackers

    def train_step(self, data):
        with tf.GradientTape() as tape:
            mean, log_variance, z = self.encoder(data)
            apart = ops.mean(ops.sum(keras.losses.binary_crossentropy(data, self.decoder(z)), axis=(1, 2)))
            divergence = -0.5 * (1 + log_variance - ops.square(mean) - ops.exp(log_variance))
            divergence = ops.mean(ops.sum(divergence, axis=1))
            total = apart + divergence
        gradients = tape.gradient(total, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights))
        for tracker, value in zip(self.trackers, (total, apart, divergence)):
            tracker.update_state(value)
        return {tracker.name: tracker.result() for tracker in self.trackers}


pictures = np.clip(np.random.default_rng(12).normal(0.5, 0.3, size=(200, 8, 8, 1)), 0, 1).astype("float32")
inputs = keras.Input((8, 8, 1))
hidden = layers.Flatten()(layers.Conv2D(4, 3, activation="relu", strides=2, padding="same")(inputs))
mean, log_variance = layers.Dense(2, name="mean")(hidden), layers.Dense(2, name="log_variance")(hidden)
encoder = keras.Model(inputs, [mean, log_variance, Sampling()([mean, log_variance])])
decoder = keras.Sequential([keras.Input((2,)), layers.Dense(64, activation="relu"), layers.Reshape((4, 4, 4)),
                            layers.Conv2DTranspose(1, 3, strides=2, padding="same", activation="sigmoid")])
model = Variational(encoder, decoder)
model.compile(optimizer=keras.optimizers.Adam())
model.fit(pictures, epochs=2, batch_size=20)
