"""Lion with a cosine schedule after a warm-up, with weight decay and a clipped gradient; set up in functions."""

import argparse

import keras
import numpy as np


def build(width):
    return keras.Sequential([keras.Input((10,)), keras.layers.Dense(width, activation="gelu"),
                             keras.layers.LayerNormalization(), keras.layers.Dense(4)])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=2)
    options = parser.parse_args()
    keras.utils.set_random_seed(42)
    noise = np.random.default_rng(1)
    y = noise.integers(0, 4, 320)
    x = noise.normal(size=(320, 10)) + np.eye(10)[y]
    steps = options.epochs * 320 // 32
    schedule = keras.optimizers.schedules.CosineDecay(1e-4, steps, warmup_target=1e-3, warmup_steps=4)
    model = build(options.width)
    model.compile(keras.optimizers.Lion(schedule, weight_decay=0.01, global_clipnorm=1.0),
                  keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                  metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(k=2)])
    model.fit(x[:256], y[:256], batch_size=32, epochs=options.epochs, validation_data=(x[256:], y[256:]))


if __name__ == "__main__":
    main()
