"""Tries all that training asks of this machine's GPUs, in less than a minute: `batchscale doctor --gpu` starts it.

`python -m batchscale.benchmarks.rank.gpus.trial` prints one JSON object: what TensorFlow sees, and a row for each thing
that was tried, with what came out, whether it is right, and what the first time cost.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import imports

SIDE, LARGE = 512, 4096
IMAGE, KERNEL = (8, 32, 32, 16), (3, 3, 16, 16)
COPIED_BYTES = 64 * 2**20
EXCHANGED_BYTES = 64 * 2**20
REPEATS = 5
EXACT, ROUNDED = 1e-5, 5e-3  # largest error against the largest value, of float32 and of TF32, which keeps 10 bits


@dataclass(frozen=True)
class Tried:
    """One thing that was tried: `right` is None where there is nothing to be right. `first_seconds`: of the first time.
    """

    name: str
    right: bool | None
    found: str
    figure: float
    unit: str
    first_seconds: float


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return what the work gives, the seconds of its first time and the fewest of some more."""
    seconds = []
    for _ in range(1 + REPEATS):
        began = time.perf_counter()
        found = work()
        seconds.append(time.perf_counter() - began)
    return found, seconds[0], min(seconds[1:])


def error_of(found: Any, expected: npt.NDArray[Any]) -> float:
    """Return the largest error as a share of the largest value; infinite where a number is none."""
    difference = float(np.max(np.abs(np.asarray(found, np.float64) - expected)))
    return difference / float(np.max(np.abs(expected))) if np.isfinite(difference) else float("inf")


def placed(tf: Any, gpus: int) -> Iterator[Tried]:
    """Yield whether a tensor lies where it is asked for, on each GPU, and comes back as it was."""
    for gpu in range(gpus):
        began = time.perf_counter()
        values = np.arange(1000, dtype=np.float32)
        with tf.device(f"GPU:{gpu}"):
            tensor = tf.identity(tf.constant(values))
        right = tensor.device.endswith(f"GPU:{gpu}") and np.array_equal(tensor.numpy(), values)
        yield Tried(f"GPU {gpu}", right, f"holds a tensor of {tensor.device.rpartition('/')[2]}", 0.0, "",
                    time.perf_counter() - began)


def products(tf: Any) -> Iterator[Tried]:
    """Yield products of matrices against numpy's, and how fast large ones are, with and without TF32."""
    draw = np.random.default_rng(0)
    a, b = (draw.normal(size=(SIDE, SIDE)).astype(np.float32) for _ in range(2))
    expected = a.astype(np.float64) @ b.astype(np.float64)
    for rounded in (True, False):
        tf.config.experimental.enable_tensor_float_32_execution(rounded)
        with tf.device("GPU:0"):
            found, first, _ = timed(lambda: tf.matmul(tf.constant(a), tf.constant(b)).numpy())
            large = tf.fill([LARGE, LARGE], 1.0 / LARGE)
            _, _, seconds = timed(lambda: float(tf.matmul(large, large)[0, 0]))
        error = error_of(found, expected)
        yield Tried(f"products, {'TF32' if rounded else 'float32'}", error < (ROUNDED if rounded else EXACT),
                    f"off by {error:.1e} of numpy's", 2 * LARGE**3 / seconds / 1e12, "TFLOP/s", first)
    tf.config.experimental.enable_tensor_float_32_execution(True)


def convolution(tf: Any) -> Iterator[Tried]:
    """Yield the gradient of a convolution against this machine's processor."""
    draw = np.random.default_rng(1)
    images, kernel = draw.normal(size=IMAGE).astype(np.float32), draw.normal(size=KERNEL).astype(np.float32)

    def gradient(device: str) -> npt.NDArray[Any]:
        with tf.device(device), tf.GradientTape() as tape:
            weights = tf.constant(kernel)
            tape.watch(weights)
            loss = tf.reduce_sum(tf.nn.conv2d(tf.constant(images), weights, 1, "SAME") ** 2)
        return np.asarray(tape.gradient(loss, weights))

    expected = gradient("CPU:0").astype(np.float64)
    found, first, seconds = timed(lambda: gradient("GPU:0"))
    error = error_of(found, expected)
    yield Tried("convolution", error < ROUNDED, f"its gradient is off by {error:.1e} of the processor's",
                1e3 * seconds, "ms", first)


def copies(tf: Any, gpus: int) -> Iterator[Tried]:
    """Yield copies from the host, to it and from one GPU to the next, in bytes a second."""
    values = np.ones(COPIED_BYTES // 4, np.float32)
    pairs = [("CPU:0", "GPU:0"), ("GPU:0", "CPU:0"), *([("GPU:0", "GPU:1")] if gpus > 1 else [])]
    for source, target in pairs:
        with tf.device(source):
            there = tf.identity(tf.constant(values))

        def move(there: Any = there, source: str = source, target: str = target) -> Any:
            with tf.device(source):
                anew = tf.identity(there)  # of a tensor that was copied once TensorFlow keeps the copy
            with tf.device(target):
                arrived = tf.identity(anew)
            tf.test.experimental.sync_devices()
            return arrived
        arrived, first, seconds = timed(move)
        right = arrived.device.endswith(target) and np.array_equal(arrived.numpy(), values)
        yield Tried(f"copy {source} to {target}", right, f"{COPIED_BYTES // 2**20} MiB",
                    COPIED_BYTES / seconds / 1e9, "GB/s", first)


def exchange(tf: Any, gpus: int) -> Iterator[Tried]:
    """Yield an all-reduce over all GPUs: its sum, and what each link carries, 2 (n - 1) / n of the bytes."""
    strategy = tf.distribute.MirroredStrategy([f"GPU:{gpu}" for gpu in range(gpus)])
    size = EXCHANGED_BYTES // 4

    def one() -> Any:
        context = tf.distribute.get_replica_context()
        rank = tf.cast(context.replica_id_in_sync_group, tf.float32)
        return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.fill([size], rank + 1.0))[:8]

    compiled = tf.function(lambda: strategy.run(one), autograph=False)
    found, first, seconds = timed(lambda: [part.numpy() for part in strategy.experimental_local_results(compiled())])
    expected = gpus * (gpus + 1) / 2
    right = all(np.array_equal(part, np.full(8, expected, np.float32)) for part in found)
    yield Tried(f"all-reduce over {gpus} GPUs", right, f"{EXCHANGED_BYTES // 2**20} MiB",
                2 * (gpus - 1) / gpus * EXCHANGED_BYTES / seconds / 1e9, "GB/s", first)


def main() -> int:
    """Try everything; print what was found. An error of one trial is its finding."""
    began = time.perf_counter()
    imports.tensorflow_and_keras()
    import tensorflow as tf
    seen = tf.config.list_physical_devices("GPU")
    for gpu in seen:
        tf.config.experimental.set_memory_growth(gpu, True)
    details = [tf.config.experimental.get_device_details(gpu) for gpu in seen]
    tried: list[Tried] = []
    count = len(seen)
    trials: list[tuple[str, Callable[[], Iterator[Tried]]]] = [
        ("placing", lambda: placed(tf, count)), ("products", lambda: products(tf)),
        ("convolution", lambda: convolution(tf)), ("copies", lambda: copies(tf, count)),
        *([("all-reduce", lambda: exchange(tf, count))] if count > 1 else [])]
    for name, trial in trials if seen else ():
        try:
            tried += trial()
        except Exception as error:  # every kind of failure of a driver and its libraries
            reason = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:300]}"
            tried.append(Tried(name, False, reason, 0.0, "", 0.0))
    built = tf.sysconfig.get_build_info()
    print(json.dumps({
        "tensorflow": tf.__version__, "cuda": built.get("cuda_version"), "cudnn": built.get("cudnn_version"),
        "gpus": [{"name": one.get("device_name"), "compute_capability": one.get("compute_capability")}
                 for one in details],
        "tried": [asdict(one) for one in tried], "seconds": time.perf_counter() - began}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
