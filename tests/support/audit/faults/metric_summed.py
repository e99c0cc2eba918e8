# STRATEGY mirrored
import keras
import numpy as np
import tensorflow as tf

rng = np.random.default_rng(0)
x = rng.normal(size=(512, 16)).astype("float32")
y = x[:, :4].argmax(axis=1).astype("int32")


class Right(keras.metrics.Metric):
    """The fraction right, which every replica adds to the others'."""

    def __init__(self):
        super().__init__(name="right")
        self.value = self.add_weight(shape=(), initializer="zeros", name="value")

    def update_state(self, y_true, y_pred, sample_weight=None):
        labels = keras.ops.reshape(y_true, (-1,))
        right = keras.ops.cast(keras.ops.argmax(y_pred, axis=-1) == keras.ops.cast(labels, "int64"), "float32")
        self.value.assign(keras.ops.mean(right))

    def result(self):
        return self.value


strategy = tf.distribute.MirroredStrategy()
with strategy.scope():
    model = keras.Sequential([
        keras.Input((16,)), keras.layers.Dense(32, activation="relu"), keras.layers.Dense(4)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.05 * strategy.num_replicas_in_sync), loss, metrics=[Right()])
model.fit(x, y, batch_size=32 * strategy.num_replicas_in_sync, epochs=2, verbose=0)
