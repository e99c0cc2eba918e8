"""Fits an autoencoder without targets, and without a call, by a train_step of the model's own."""

import keras
import numpy as np
import tensorflow as tf


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.encoder = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, activation="tanh")])
        self.decoder = keras.Sequential([keras.Input((3,)), keras.layers.Dense(6, kernel_regularizer="l2")])
        self.tracker = keras.metrics.Mean(name="loss")

    @property
    def metrics(self):
        return [self.tracker]

    def loss_of(self, data):
        return tf.reduce_mean(tf.reduce_sum(tf.square(self.decoder(self.encoder(data)) - data), axis=-1))

    def test_step(self, data):
        self.tracker.update_state(self.loss_of(data))
        return {"loss": self.tracker.result()}

    def train_step(self, data):
        with tf.GradientTape() as tape:
            loss = self.loss_of(data)
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights))
        self.tracker.update_state(loss)
        return {"loss": self.tracker.result()}


x = np.random.default_rng(0).normal(size=(157, 6))
model = Own()
model.compile(keras.optimizers.RMSprop(2**-6))
model.fit(x, batch_size=8, epochs=1, shuffle=False, verbose=0, validation_data=x[:40])
