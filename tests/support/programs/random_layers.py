"""Prints of models of one layer of Keras which of their layers draw random numbers in training, and after how many
updates batch norm has forgotten its start."""

from __future__ import annotations

import json

import keras
from keras import layers

from batchscale.benchmarks.rank.training.normalization import BatchNorms
from batchscale.benchmarks.rank.models import draws

LAYERS = {
    "dense": layers.Dense(4), "lstm": layers.LSTM(4), "gru": layers.GRU(4),
    "normalization": layers.LayerNormalization(), "dropout": layers.Dropout(0.5), "no dropout": layers.Dropout(0.0),
    "lstm with dropout": layers.LSTM(4, dropout=0.2),
    "lstm with recurrent dropout": layers.LSTM(4, recurrent_dropout=0.2), "noise": layers.GaussianNoise(0.1),
    "no noise": layers.GaussianNoise(0.0), "bidirectional": layers.Bidirectional(layers.LSTM(4)),
    "bidirectional with dropout": layers.Bidirectional(layers.LSTM(4, dropout=0.1)),
    "flips": layers.RandomFlip(), "rotation": layers.RandomRotation(0.1)}
SHAPES = {"flips": (8, 8, 3), "rotation": (8, 8, 3)}
found = {}
for name, layer in LAYERS.items():
    model = keras.Sequential([keras.Input(SHAPES.get(name, (5, 3))), layer])
    found[name] = sorted({type(one).__name__ for one in model._flatten_layers() if draws(one)})
inputs = keras.Input((5, 3))
for name, rate in (("heads", 0.0), ("heads with dropout", 0.1)):
    model = keras.Model(inputs, layers.MultiHeadAttention(2, 4, dropout=rate)(inputs, inputs))
    found[name] = sorted({type(one).__name__ for one in model._flatten_layers() if draws(one)})
NORMS = {"moves": layers.BatchNormalization(), "is frozen": layers.BatchNormalization(trainable=False)}
needed = {name: BatchNorms([layer], False, list).updates_needed() for name, layer in NORMS.items()}
print(json.dumps({"draws": found, "updates": needed}))
