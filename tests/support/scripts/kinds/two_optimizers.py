"""A generator and a discriminator, each with an optimizer, trained in a train_step of the model's own."""

import keras
import numpy as np
import tensorflow as tf


class Pair(keras.Model):
    def __init__(self, generator, discriminator):
        super().__init__()
        self.generator, self.discriminator = generator, discriminator

    def compile(self, d_optimizer, g_optimizer):
        super().compile()
        self.d_optimizer, self.g_optimizer = d_optimizer, g_optimizer

    def train_step(self, real):
        judged = keras.losses.BinaryCrossentropy(from_logits=True)
        noise = tf.random.normal((tf.shape(real)[0], 4))
        with tf.GradientTape() as d_tape, tf.GradientTape() as g_tape:
            fake = self.generator(noise)
            right, wrong = self.discriminator(real), self.discriminator(fake)
            d_loss = judged(tf.ones_like(right), right) + judged(tf.zeros_like(wrong), wrong)
            g_loss = judged(tf.ones_like(wrong), wrong)
        for tape, loss, part, optimizer in ((d_tape, d_loss, self.discriminator, self.d_optimizer),
                                            (g_tape, g_loss, self.generator, self.g_optimizer)):
            optimizer.apply(tape.gradient(loss, part.trainable_variables), part.trainable_variables)
        return {"d_loss": d_loss, "g_loss": g_loss}


gan = Pair(keras.Sequential([keras.Input((4,)), keras.layers.Dense(6)]),
           keras.Sequential([keras.Input((6,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)]))
gan.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-4))
gan.fit(np.random.default_rng(7).normal(size=(128, 6)).astype("float32"), batch_size=16, epochs=1)
