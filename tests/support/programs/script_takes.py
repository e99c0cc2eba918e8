"""Prints, for each of many small scripts, what is taken of it, or why it cannot be taken over."""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np

from batchscale.benchmarks.config.script import ScriptCall
from batchscale.benchmarks.data.user_function import search_beside
from batchscale.benchmarks.errors import BatchscaleError
from batchscale.benchmarks.rank.script import taken as of_script
from batchscale.benchmarks.rank.workload import look

START = """
import keras, numpy as np
noise = np.random.default_rng(0)
x, y = noise.normal(size=(100, 4)), noise.integers(0, 2, 100)
model = keras.Sequential([keras.layers.Dense(3, activation="tanh"), keras.layers.Dense(1, activation="sigmoid")])
"""
COMPILED = START + 'model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])\n'
OWN = """
import keras, tensorflow as tf
class Own(keras.Model):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner
    def train_step(self, data):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(self.inner(data, training=True) - data))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {'loss': loss}
""" + START + """
model = Own(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2), keras.layers.Dense(4)]))
model.compile("adam")
"""
MEAN = START + """
from keras import ops
def between(y, p):
    return ops.mean(ops.square(p - y))
model.compile("adam", between)
"""
PIPELINE = COMPILED + "import tensorflow as tf\ndata = tf.data.Dataset.from_tensor_slices((x, y))\n"
SCRIPTS: dict[str, tuple[str, ...]] = {
    "plain": (COMPILED + "model.fit(x, y, epochs=3, batch_size=20, validation_data=(x[:30], y[:30]))\n1 / 0\n",),
    "split": (COMPILED + "model.fit(x, y, validation_split=0.25)",),
    "held out": (COMPILED + "model.fit(x, y)",),
    "pipeline": (PIPELINE + "model.fit(data.shuffle(100).batch(16), validation_data=data.batch(16))",),
    "endless": (PIPELINE + "model.fit(data.batch(16).repeat(), validation_data=data.batch(16))",),
    "steps": (PIPELINE + "model.fit(data.batch(16).repeat(), steps_per_epoch=5, validation_data=data.batch(16))",),
    "augmented": (PIPELINE + "model.fit(data.map(lambda a, b: (a + tf.random.normal((4,), dtype=a.dtype), b)).batch(16)"
                  ", validation_data=data.batch(16))",),
    "generator": (COMPILED + "pairs = ((x[i:i + 10], y[i:i + 10]) for i in range(0, 60, 10))\n"
                  "model.fit(pairs, validation_data=(x, y))",),
    "lazy": (COMPILED + "import sys, os\ndef pairs():\n    for _ in range(int(sys.argv[1])):\n"
             "        assert os.path.exists('lazy.py')\n        yield x[:10], y[:10]\n"
             "model.fit(pairs(), validation_data=(x, y))", "3"),
    "evaluates": (COMPILED + "test = {'x': x[:30]}\nmodel.fit(x, y)\n1 / 0\nmodel.evaluate(test['x'], y[:30])\n",),
    "evaluates outside": (COMPILED + "def train(net):\n    net.fit(x, y)\ntrain(model)\n"
                          "print(model.evaluate(x=x[:25], y=y[:25], verbose=0))",),
    "evaluates later": (COMPILED + "model.fit(x, y)\nlate = x[:30]\nmodel.evaluate(late, y[:30])",),
    "evaluates another": (COMPILED + "other = keras.Sequential()\nmodel.fit(x, y)\nother.evaluate(x, y)",),
    "never fits": (START, ),
    "only once": (COMPILED + "model.fit(x, y, verbose=0)", "--fit=2"),
    "the second": (COMPILED + "model.fit(x[:20], y[:20], verbose=0)\nmodel.fit(x[:50], y[:50], epochs=9)", "--fit=2"),
    "by batches": (COMPILED + "model.train_on_batch(x, y)",),
    "no file": (COMPILED + 'np.load("absent.npy")',),
    "raises": (COMPILED + "def prepare():\n    raise ValueError('no such mode')\nprepare()\n",),
    "ends": (COMPILED + "import sys\nsys.exit(3)",),
    "swallows": (COMPILED + "try:\n    model.fit(x, y)\nexcept Exception:\n    pass\n1 / 0\n",),
    "arguments": (COMPILED + "import sys\nassert __name__ == '__main__' and sys.argv[1:] == ['--width', '6 4']\n"
                  "model.fit(x, y)", "--width", "6 4"),
    "callbacks": (COMPILED + "model.fit(x, y, shuffle=False, callbacks=[keras.callbacks.EarlyStopping(), "
                  "keras.callbacks.TerminateOnNaN()])",),
    "follows": (COMPILED + "model.fit(x, y, validation_split=0.2, callbacks=[keras.callbacks.EarlyStopping(), "
                "keras.callbacks.ReduceLROnPlateau('accuracy')])",),
    "watches": (COMPILED + "model.fit(x, y, validation_split=0.2, "
                "callbacks=keras.callbacks.EarlyStopping('val_auc'))",),
    "falls": (START + "rate = keras.optimizers.schedules.CosineDecay(0.5, 10)\n"
              'model.compile(keras.optimizers.SGD(rate), loss="mse")\n'
              "model.fit(x, y, validation_split=0.2, callbacks=[keras.callbacks.ReduceLROnPlateau()])",),
    "several": (START + "model.compile(loss='mse')\nmodel.second = keras.optimizers.Adam()\nmodel.fit(x, y)",),
    "area": (START + 'model.compile(optimizer="sgd", loss="bce", metrics=["acc", keras.metrics.AUC()])\n'
             "model.fit(x, y)",),
    "spread": (START + "def r2(y, p):\n    return 1 - keras.ops.mean(p)\n"
               "model.compile(loss='mse', metrics=[r2])\nmodel.fit(x, y, validation_split=0.2)",),
    "schedule free": (START + 'model.compile(keras.optimizers.ScheduleFreeAdamW(), loss="mse")\nmodel.fit(x, y)',),
    "sum": (START + 'model.compile(loss=keras.losses.MeanSquaredError(reduction="sum"))\nmodel.fit(x, y)',),
    "average": (START + 'model.compile(keras.optimizers.Adam(use_ema=True), loss="mse")\nmodel.fit(x, y)',),
    "schedule": (START + "rate = keras.optimizers.schedules.CosineDecay(0.5, 10, warmup_target=2.0, warmup_steps=4)\n"
                 'model.compile(keras.optimizers.SGD(rate, momentum=0.5), loss="mse")\nmodel.fit(x, y, epochs=9)',),
    "loop": (COMPILED + "for batch in (10, 50):\n    model.compile('adam', 'bce')\n"
             "    model.fit(x, y, batch_size=batch)\n",),
    "own loop": (COMPILED + "for batch in (10, 50):\n    model = keras.models.clone_model(model)\n"
                 "    model.compile('adam', 'bce')\n    model.fit(x, y, batch_size=batch)\n",),
    "called in a loop": (COMPILED + "def train(size):\n    model.fit(x, y, batch_size=size)\n"
                         "for size in (10, 50):\n    train(size)",),
    "own step": ("import keras\nclass Two(keras.Model):\n    def train_step(self, data):\n        return {}\n" + START
                 + "inputs = keras.Input((4,))\nmodel = Two(inputs, model(inputs))\nmodel.compile()\nmodel.fit(x, y)",),
    "texts": (COMPILED + "model.fit(x, np.array(['a', 'b'] * 50))",),
    "strategy": ("import tensorflow as tf\n" + START.replace("model =", "strategy = tf.distribute.MirroredStrategy()\n"
                 "with strategy.scope():\n    model =") + 'model.compile("adam", "bce")\nmodel.fit(x, y)',),
    "shuffled": (PIPELINE + "model.fit(data.shuffle(100).batch(16, drop_remainder=True), "
                 "validation_data=data.batch(16))",),
    "shuffled on": (PIPELINE + "model.fit(data.shuffle(100).repeat().batch(16), steps_per_epoch=5, "
                    "validation_data=data.batch(16))",),
    "unnamed": (START + "one, other = keras.Input((4,)), keras.Input((4,))\n"
                "model = keras.Model([one, other], model(one - other))\n"
                'model.compile("adam", "bce")\nmodel.fit([x, 2 * x], y, validation_split=0.2)',),
    "does not fit": (START + "model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])\n"
                     "model.compile('adam', 'mse')\nmodel.fit(x, y)",),
    "inputs alone": (COMPILED + "model.fit(x)",),
    "tells nothing": (OWN.replace("{'loss': loss}", "{'one': 0.0, 'two': 0.0}") + "model.fit(x)",),
    "tells": (OWN + "model.fit(x, batch_size=10, validation_split=0.2)",),
    "unbuilt": (OWN.replace("keras.Input((4,)), keras.layers.Dense(2)", "keras.layers.Dense(2)") + "model.fit(x)",),
    "a tuple": ("import keras\nclass Own(keras.Model):\n    def __init__(self):\n        super().__init__()\n"
                "        self.last = keras.layers.Dense(1)\n    def call(self, given):\n        left, (right, _) = "
                "given\n"
                "        return self.last(left + right)\n" + START + "model = Own()\nmodel.compile('adam', 'mse')\n"
                "model.fit((x, [x, x]), y, validation_split=0.2)",),
    "the mean": (MEAN + "model.fit(x, y, validation_split=0.2)",),
    "its root": (MEAN.replace("return ops.mean", "return ops.sqrt(ops.mean").replace("(p - y))", "(p - y)))")
                 + "model.fit(x, y, validation_split=0.2)",),
    "its sum": (MEAN.replace("ops.mean", "ops.sum") + "model.fit(x, y, validation_split=0.2)",),
    "the mean of weights": (MEAN + "model.fit(x, y, validation_split=0.2, class_weight={1: 2.0})",),
    "words": (START + "words = keras.layers.StringLookup(vocabulary=['a', 'b'])\nmodel = keras.Sequential(["
              "keras.Input((1,), dtype='string'), words, keras.layers.Embedding(3, 2), keras.layers.Flatten(), "
              "keras.layers.Dense(1)])\nmodel.compile('adam', 'mse')\n"
              "model.fit(np.array(['a', 'b'] * 50), y, validation_data=(np.array(['b', 'abc'] * 5), y[:10]))",),
    "another": (COMPILED + "model.fit(x, y, validation_split=0.2)\nother = keras.models.clone_model(model)\n"
                "other.compile('adam', 'mse')\nother.fit(x, y)\nscaler.fit(x, y)\n",),
    "in functions": (COMPILED + "def train(net):\n    net.fit(x, y, validation_split=0.2)\ndef both(net):\n"
                     "    train(net)\ndef unused(net):\n    net.fit(x, y, epochs=2)\ntrain(model)\ntrain(model)\n"
                     "both(model)",),
    "sets": ("import os\nos.environ['KERAS_BACKEND'] = 'jax'\nimport tensorflow as tf\n"
             "tf.constant(0)\ntf.config.threading.set_intra_op_parallelism_threads(1)\n"
             "tf.config.run_functions_eagerly(True)\n" + COMPILED + "keras.config.set_epsilon(0.5)\n"
             "keras.config.set_image_data_format('channels_first')\nmodel.fit(x, y, validation_split=0.2)",),
    "finds": ("import os, tensorflow as tf\n" + COMPILED + "assert not tf.config.functions_run_eagerly()\n"
              "assert keras.config.epsilon() == 1e-7 and keras.config.image_data_format() == 'channels_last'\n"
              "assert os.environ.get('KERAS_BACKEND') != 'jax'\nmodel.fit(x, y, validation_split=0.2)",),
    "by epoch": (COMPILED + "model.fit(x, y, epochs=3, batch_size=10, validation_split=0.2, callbacks=["
                 "keras.callbacks.LearningRateScheduler(lambda epoch, rate: [0.5, 1, 2][epoch] * rate)])",),
    "by both": (COMPILED + "model.fit(x, y, validation_split=0.2, callbacks=[keras.callbacks.LearningRateScheduler("
                "lambda epoch: 0.1), keras.callbacks.ReduceLROnPlateau()])",),
    "by nothing": (COMPILED + "model.fit(x, y, validation_split=0.2, callbacks=[keras.callbacks.LearningRateScheduler("
                   "lambda epoch: {}['no rate'])])",),
    "goes on": (COMPILED + "if x is y:\n    pass\nelse:\n    model.fit(x, y, validation_split=0.2)\n"
                "model.compile('adam', 'bce')\nmodel.fit(x, y, epochs=9)",),
    "attends": (START + "inputs = keras.Input((2, 4))\nlayer = keras.layers.MultiHeadAttention(1, 2)\n"
                "model = keras.Model(inputs, model(layer(inputs, inputs)[:, 0]))\nmodel.compile('adam', 'bce')\n"
                "model.fit(np.stack([x, x], 1), y, validation_split=0.2)",),
    "either": (COMPILED + "if x is not y:\n    model.fit(x, y, validation_split=0.2)\nelse:\n    model.fit(y, x)",),
    "loads": (COMPILED + "model.build((None, 4))\nmodel.save_weights('kept.weights.h5')\n"
              "model.load_weights('kept.weights.h5')\nmodel.fit(x, y, validation_split=0.2)",),
}
# Scripts that set a seed themselves, by what they set it of; all runs of one would begin alike.
SEEDED = {
    "everything": COMPILED.replace("noise =", "keras.utils.set_random_seed(1)\nnoise ="),
    "a layer": COMPILED.replace('activation="tanh"', "kernel_initializer=keras.initializers.HeNormal(seed=1)"),
    "flags": "from absl import flags\nflags.DEFINE_integer('width', 3, 'units')\n" + COMPILED,  # defined but once
}


def told(name: str, folder: Path) -> Any:
    text, *words = SCRIPTS[name]
    fit = int(words.pop().partition("=")[2]) if words and words[-1].startswith("--fit=") else 1
    path = folder / f"{name.replace(' ', '_')}.py"
    path.write_text(text)
    try:
        return look.taken(ScriptCall(path.name, tuple(words), fit).reference)
    except BatchscaleError as error:
        return str(error)


def weights_by_seed(text: str, folder: Path) -> list[bool]:
    """Whether two draws of one seed, and of two seeds, are equal."""
    path = folder / "seeded.py"
    path.write_text(text + "model.fit(x, y)")
    drawn = [of_script.model("script:seeded.py", seed, "float32").variables[0].numpy() for seed in (0, 0, 1)]
    return [bool((drawn[0] == other).all()) for other in drawn[1:]]


def rates_by_epoch() -> list[float]:
    """What a script's LearningRateScheduler makes of its highest rate at the beginning, in the middle and at the end of
    its three epochs, and in a fourth."""
    model: Any = of_script.model("script:by_epoch.py", 0, "float32")
    config: Any = SimpleNamespace(model="script:by_epoch.py", train_examples=80)
    return [float(factor) for factor in of_script.rate_factors(
        config, model, np.array([0, 0, 1, 2, 2, 3]), np.array([0, 79, 40, 0, 79, 40]))]


def rates_of_keras() -> dict[str, Any]:
    """The rate by default of each class that keras.optimizers has, None where it has none."""
    kinds = [kind for kind in vars(keras.optimizers).values()
             if inspect.isclass(kind) and issubclass(kind, keras.optimizers.Optimizer)]
    found = {kind.__name__: inspect.signature(kind).parameters.get("learning_rate") for kind in kinds}
    return {name: rate.default if rate and isinstance(rate.default, float) else None for name, rate in found.items()}


with tempfile.TemporaryDirectory() as place, contextlib.redirect_stdout(io.StringIO()):
    search_beside(f"{place}/plan.toml")
    found = {name: told(name, Path(place)) for name in SCRIPTS}
    found["equal weights"] = {name: weights_by_seed(text, Path(place)) for name, text in SEEDED.items()}
    of_script.load("script:shuffled.py", looked_at_twice=True)
    of_script.load("script:shuffled.py")
    found["notes of data"] = of_script.of_data("script:shuffled.py").notes
    found["factors by epoch"] = rates_by_epoch()
    found["rates"] = rates_of_keras()
    search_beside("")
print(json.dumps(found))
