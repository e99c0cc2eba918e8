"""How much of a describing process' work goes into fingerprints of a user's ResNet50: [seconds of CPU, of all]."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from batchscale.benchmarks.data import fingerprint as data_fingerprint
from batchscale.benchmarks.rank.workload import describe
from batchscale.benchmarks.runs.run_config import RunConfig

MODULE = """
def build(input_shape, classes):
    import keras
    return keras.applications.ResNet50(weights=None, classes=classes, classifier_activation=None,
                                       input_shape=input_shape)
"""
CONFIG = RunConfig(experiment="x", kind="accuracy", dataset="synthetic:32x32x3,classes=10,examples=512",
                   model="own_resnet:build", optimizer="sgd", global_batch=32, train_examples=512, seed=0,
                   validation_fraction=0.0)
spent = [0.0]


def counted(module: Any, name: str) -> None:
    work: Callable[..., Any] = getattr(module, name)

    def timed(*given: Any, **named: Any) -> Any:
        began = time.process_time()
        try:
            return work(*given, **named)
        finally:
            spent[0] += time.process_time() - began
    setattr(module, name, timed)


def main() -> list[float]:
    """Describe the model as before a study's first run, with TensorFlow's import in the whole, as it is there."""
    from batchscale.benchmarks.rank.workload import fingerprint, first_weights
    for module, name in ((data_fingerprint, "digests"), (data_fingerprint, "witness"), (describe, "numbers_versions"),
                         (fingerprint, "model"), (fingerprint, "code"), (first_weights, "fixed")):
        counted(module, name)
    Path("own_resnet.py").write_text(MODULE)
    describe.workload(CONFIG)
    return [spent[0], time.process_time()]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sys.path.insert(0, folder)
        print(json.dumps(main()))
        os.chdir("/")
