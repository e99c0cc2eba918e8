# STRATEGY horovod
import horovod.tensorflow.keras as hvd
import keras
import numpy as np

hvd.init()
rng = np.random.default_rng(0)
x = rng.normal(size=(512, 16)).astype("float32")
y = x[:, :4].argmax(axis=1).astype("int32")


class Averaging(keras.optimizers.SGD):
    """Averages the gradients of all ranks, as Keras 3 calls an optimizer."""

    def apply(self, grads, trainable_variables=None):
        grads = [hvd.allreduce(grad, op=hvd.Average) for grad in grads]
        return super().apply(grads, trainable_variables)


x, y = x[hvd.rank()::hvd.size()], y[hvd.rank()::hvd.size()]
model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(32, activation="relu"),
                          keras.layers.Dense(4)])
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(Averaging(0.05 * hvd.size() * hvd.size()), loss, metrics=["accuracy"])
for variable in model.variables:
    variable.assign(hvd.broadcast(variable.value, root_rank=0))
model.fit(x, y, batch_size=32, epochs=2, verbose=0)
