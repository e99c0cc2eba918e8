"""What a `fit` that is under way says of itself: model, optimizer, batch, replicas and data.

Keras tells a callback neither the batch nor the data; both stand in the frame of `fit`, which is looked up once. What
is not found there is left out, never guessed.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ...config.choices import PRECISIONS
from ..script.optimizer import inner

HOROVOD_MODULES = ("horovod.tensorflow.keras", "horovod.keras", "horovod.tensorflow")
STRATEGIES = {"MirroredStrategy": "mirrored", "MultiWorkerMirroredStrategy": "multiworker",
              "CollectiveAllReduceStrategy": "multiworker"}


def of_fit(model: keras.Model, planned: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of a run that the `fit` above this call tells. planned: what Keras told the callback: epochs
    and steps of an epoch."""
    strategy, replicas, nodes = placement(model)
    batch, examples = _batch_and_examples(model)
    world = replicas if strategy == "horovod" else 1
    found: dict[str, Any] = {
        "model": str(model.name), "strategy": strategy, "replicas": replicas, "nodes": nodes,
        "placement": f"{strategy}-{replicas}r", "optimizer": _optimizer(model), "loss": _loss(model),
        "precision": _precision(), "base_learning_rate": learning_rate(model), "parameters": _parameters(model),
        "epochs": planned.get("epochs"), "steps_per_epoch": planned.get("steps"), "accumulation": 1,
        "global_batch": batch and batch * world, "replica_batch": batch and batch * world // max(replicas, 1) or None,
        "train_examples": examples}
    return {name: value for name, value in found.items() if value not in (None, "")}


def placement(model: keras.Model) -> tuple[str, int, int]:
    """Return the strategy by its name in a plan, the replicas and the nodes that train together."""
    if (horovod := horovod_here()) is not None and horovod.size() > 1:
        return "horovod", int(horovod.size()), int(horovod.size()) // max(int(horovod.local_size()), 1)
    strategy = getattr(model, "distribute_strategy", None) or tf.distribute.get_strategy()
    replicas = int(strategy.num_replicas_in_sync)
    name = STRATEGIES.get(type(strategy).__name__, "single" if replicas == 1 else type(strategy).__name__)
    nodes = int(getattr(strategy.extended, "_num_workers", 1) or 1)
    return name, replicas, nodes


def is_first_rank() -> bool:
    """Return whether this process is the one that records: rank 0 of Horovod, the chief of several workers."""
    if (horovod := horovod_here()) is not None:
        return bool(horovod.rank() == 0)
    resolver = getattr(tf.distribute.get_strategy(), "cluster_resolver", None)
    return not getattr(resolver, "task_id", 0) or getattr(resolver, "task_type", "worker") == "chief"


def horovod_here() -> Any:
    """Return Horovod where the program has started it, else None; it is never imported here."""
    for name in HOROVOD_MODULES:
        module = sys.modules.get(name)
        if module is not None and hasattr(module, "is_initialized") and module.is_initialized():
            return module
    return None


def _batch_and_examples(model: keras.Model) -> tuple[int | None, int | None]:
    """The batch of one step of this process and the examples of an epoch, as `fit` has them; None where it does not
    say."""
    frame = _frame_of_fit(model)
    if frame is None:
        return None, None
    adapter = getattr(frame.f_locals.get("epoch_iterator"), "data_adapter", None)
    batch = _whole(getattr(adapter, "batch_size", None))
    x = frame.f_locals.get("x")
    if batch is None and isinstance(x, tf.data.Dataset):
        batch = _whole(_leading(x))
    arrays = [leaf for leaf in keras.tree.flatten(x) if hasattr(leaf, "shape") and len(leaf.shape)]
    examples = None
    if arrays and not isinstance(x, (tf.data.Dataset, keras.utils.PyDataset)):
        examples = _whole(arrays[0].shape[0])
    elif batch and (count := _cardinality(x)):
        examples = count * batch
    return batch, examples


def _frame_of_fit(model: keras.Model) -> FrameType | None:
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "fit" and frame.f_locals.get("self") is model and "epoch_iterator" in frame.f_locals:
            return frame
        frame = frame.f_back
    return None


def _leading(dataset: Any) -> Any:
    """The static batch of a pipeline; where it is not static, that of its batching."""
    shapes = [spec.shape for spec in keras.tree.flatten(dataset.element_spec) if hasattr(spec, "shape")]
    if shapes and shapes[0].rank and shapes[0][0] is not None:
        return shapes[0][0]
    while dataset is not None:
        if (size := getattr(dataset, "_batch_size", None)) is not None:
            return np.asarray(size).item()
        dataset = getattr(dataset, "_input_dataset", None)
    return None


def _cardinality(x: Any) -> int:
    """Batches of an epoch; 0 where they are not known or never end."""
    if isinstance(x, tf.data.Dataset):
        return max(int(x.cardinality().numpy()), 0)
    return int(x.num_batches or 0) if isinstance(x, keras.utils.PyDataset) else 0


def _whole(value: Any) -> int | None:
    with suppress(TypeError, ValueError):
        return int(value) if int(value) >= 1 else None
    return None


def _optimizer(model: keras.Model) -> str:
    optimizer = getattr(model, "optimizer", None)
    optimizer = inner(optimizer)
    return "" if optimizer is None else type(optimizer).__name__


def _loss(model: keras.Model) -> str:
    loss = getattr(model, "loss", None)
    if isinstance(loss, str):
        return loss
    return str(getattr(loss, "name", None) or getattr(loss, "__name__", "") or "")


def _precision() -> str:
    name = str(keras.config.dtype_policy().name)
    return name if name in PRECISIONS else ""


def _parameters(model: keras.Model) -> int | None:
    return sum(math.prod(weight.shape) for weight in model.trainable_weights) or None


def learning_rate(model: keras.Model) -> float | None:
    """Return the rate of the next step, of a schedule too; None where the optimizer has none."""
    with suppress(Exception):  # of an optimizer of the user's own
        optimizer = model.optimizer
        rate = inner(optimizer).learning_rate
        rate = rate.value if isinstance(rate, keras.Variable) else rate
        copies = getattr(rate, "values", None)  # of a variable that a strategy mirrors
        return float(np.asarray(copies[0] if isinstance(copies, (tuple, list)) else rate))
    return None


def environment() -> dict[str, str]:
    """Return the versions and devices of this process, as texts."""
    devices = [device.name.partition(":")[2] for device in tf.config.list_logical_devices()]
    return {"tensorflow": tf.__version__, "keras": keras.__version__, "python": sys.version.split()[0],
            "devices": ", ".join(devices), "cores": str(len(os.sched_getaffinity(0)))}


Reading = Callable[[], int | None]


def device_peak() -> int | None:
    """Return the peak bytes of the first GPU's allocator; None without a GPU."""
    if not tf.config.list_physical_devices("GPU"):
        return None
    with suppress(Exception):  # an allocator that keeps no statistics
        return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])
    return None
