"""Prints the initial weights of softmax regression on the digits, of the seed that adascale_gains trains with."""

from __future__ import annotations

import json

import numpy as np

from batchscale.benchmarks.rank import models

model = models.build("small_models:softmax", (8, 8, 1), 10, 3, "float64")
print(json.dumps({"weights": np.concatenate([np.ravel(v) for v in model.get_weights()]).tolist()}))
