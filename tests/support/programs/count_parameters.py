"""Prints the trainable parameters of each built-in model on the inputs it was published for, and its output's shape."""

from __future__ import annotations

import json

from batchscale.benchmarks.rank import models

SHAPES = {"mlp_128": (28, 28, 1), "mlp_512_256_128": (28, 28, 1), "cnn_small": (28, 28, 1), "resnet_20": (32, 32, 3),
          "keskar_c1": (32, 32, 3), "keskar_c2": (32, 32, 3), "vit_4x64": (28, 28, 1)}
found = {}
for name in SHAPES:
    model = models.build(name, SHAPES[name], 10, seed=0)
    found[name] = [sum(int(v.value.numpy().size) for v in model.trainable_variables), list(model.output_shape)]
small = models.build("resnet_20", (8, 8, 1), 10, seed=0)
found["resnet_20 on 8 x 8"] = [int(small.count_params()) > 0, list(small.output_shape)]
print(json.dumps(found))
