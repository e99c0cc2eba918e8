"""Examples per second that each kind of input delivers, with no model: every value is read once and summed.

Request: cores, examples, batches, repeats, window_seconds.
"""

from __future__ import annotations

import functools
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ... import data
from .answer import prepare, Request, seconds_of, serve
from .training_step import interleaved


def measure(request: Request) -> dict[str, Any]:
    """Return the seconds of an epoch by every way to feed the loop, for each batch."""
    prepare(request["cores"], len(request["cores"]))
    loaded = data.load(f"synthetic:28x28x1,classes=10,examples={request['examples']}")
    rows = []
    with tempfile.TemporaryDirectory(prefix="batchscale-records-") as folder:
        records = write_records(loaded, Path(folder, "train.tfrecord"))
        on_disk = {"disk": encoded_images(loaded, Path(folder, "jpeg"), ""),
                   "disk_augmented": encoded_images(loaded, Path(folder, "augmented"), ",augment=flip,crop")}
        for batch in request["batches"]:
            examples = len(loaded.train_y) // batch * batch
            ways = {"resident": of_feed("resident", loaded, batch), "stream": of_feed("stream", loaded, batch),
                    "tf_data": of_dataset(from_memory(loaded, batch)),
                    "tfrecord": of_dataset(from_records(records, loaded.input_shape, batch)),
                    **{way: of_feed(way, images, batch) for way, images in on_disk.items()}}
            seconds = interleaved(ways, request["repeats"], request["window_seconds"])
            rows += [{"way": way, "batch": batch, "examples": examples, "seconds_per_epoch": values}
                     for way, values in seconds.items()]
    return {"rows": rows, "request": dict(request)}


def of_feed(kind: str, loaded: data.Dataset, batch: int) -> Callable[[int], float]:
    """Return a reader of this suite's feeds, as the training loop reads them: a slice of the order, then a gather."""
    import numpy as np
    import tensorflow as tf

    from ...data.order import epoch_order
    from ...rank.feeds.base import Feed
    from ...rank.feeds.disk import DiskFeed
    from ...rank.feeds.resident import Resident
    from ...rank.feeds.stream import Stream
    from ...rank.strategies.base import Strategy
    kinds: dict[str, Callable[..., Feed]] = {"resident": Resident, "stream": Stream}
    made = kinds.get(kind, functools.partial(DiskFeed, dtype="float32"))(loaded.train_x, loaded.train_y, Strategy())
    layout, steps = made.layout(batch), len(loaded.train_y) // batch

    def loop(x: Any, order: Any, start: Any, stop: Any, base: Any) -> Any:
        def body(k: Any, total: Any) -> tuple[Any, Any]:
            chosen = tf.slice(order, [(k - base) % layout.rows * layout.stride], [batch])
            return k + 1, total + tf.reduce_sum(tf.gather(x, chosen))
        return tf.while_loop(lambda k, _: k < stop, body, [start, np.float32(0)], parallel_iterations=1)[1]

    compiled = tf.function(loop, autograph=False)

    def epoch(number: int) -> float:
        made.set_order(epoch_order(0, number, len(loaded.train_y)), 0)
        for x, _, order, *bounds in made.parts(0, steps, batch):
            last = float(compiled(x, order, *(tf.constant(bound) for bound in bounds)))
        return last

    return lambda epochs: seconds_of(lambda: [epoch(number) for number in range(epochs)])


def encoded_images(loaded: data.Dataset, folder: Path, options: str) -> data.Dataset:
    """Return the same examples as JPEG in TFRecord files, in ImageNet's layout."""
    from ...data.disk import write_images
    return data.load(write_images.write(folder, loaded, len(loaded.train_y)) + options)


def of_dataset(dataset: Any) -> Callable[[int], float]:
    """Return a reader of a tf.data pipeline inside one function, as `fit` with many steps per execution reads it."""
    import tensorflow as tf
    total = tf.function(lambda batches: batches.reduce(
        tf.constant(0.0), lambda so_far, batch: so_far + tf.reduce_sum(batch[0])), autograph=False)
    return lambda epochs: seconds_of(lambda: [float(total(dataset)) for _ in range(epochs)])


def from_memory(loaded: data.Dataset, batch: int) -> Any:
    """Return a tf.data pipeline of shuffled batches of examples in memory."""
    import tensorflow as tf
    dataset = tf.data.Dataset.from_tensor_slices((loaded.train_x, loaded.train_y))
    return dataset.shuffle(10_000).batch(batch, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def from_records(path: Path, shape: tuple[int, ...], batch: int) -> Any:
    """Parsed and decoded from uint8, a batch at a time."""
    import tensorflow as tf
    features = {"x": tf.io.FixedLenFeature([], tf.string), "y": tf.io.FixedLenFeature([], tf.int64)}

    def decode(serialized: Any) -> tuple[Any, Any]:
        parsed = tf.io.parse_example(serialized, features)
        pixels = tf.reshape(tf.io.decode_raw(parsed["x"], tf.uint8), [batch, *shape])
        return tf.cast(pixels, tf.float32) / 255.0, tf.cast(parsed["y"], tf.int32)

    dataset = tf.data.TFRecordDataset(str(path)).shuffle(10_000).batch(batch, drop_remainder=True)
    return dataset.map(decode, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def write_records(loaded: data.Dataset, path: Path) -> Path:
    """Write the examples to a TFRecord file and return its path."""
    import numpy as np
    import tensorflow as tf
    pixels = np.round(loaded.train_x * 255).astype(np.uint8)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for image, label in zip(pixels, loaded.train_y):
            feature = {"x": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image.tobytes()])),
                       "y": tf.train.Feature(int64_list=tf.train.Int64List(value=[int(label)]))}
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    return path


if __name__ == "__main__":
    sys.exit(serve(measure))
