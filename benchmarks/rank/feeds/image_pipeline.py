"""Encoded images from disk to batches, by tf.data: read a few at a time, decoded in parallel, a batch ahead."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ...data.disk.augmentation import DRAWS
from ...data.disk.encoded import EncodedImages, Reader
from ...errors import DataError
from .image_decoding import decoder

READ_AT_ONCE = 16
READERS = 4
REQUEST_BATCH = 32
ENDLESS = 2**62
AHEAD = 1  # batches: what is ready while the device trains on the one before

Chosen = tuple[npt.NDArray[np.integer], npt.NDArray[np.float32]]
"""Rows of the images, and the random numbers of each (see data.augmentation.draws)."""
Choose = Callable[[npt.NDArray[np.int64]], Chosen]
"""What lies at these positions of the order in which examples are wanted."""


def without_draws(rows: npt.NDArray[np.integer]) -> Chosen:
    """Return the rows with no random numbers beside them: images are decoded without augmentation."""
    return rows, np.zeros((len(rows), DRAWS), np.float32)


class Source:
    """Reads what a pipeline asks for."""

    def __init__(self, reader: Reader, labels: npt.NDArray[Any], choose: Choose) -> None:
        self._reader, self._labels, self._choose = reader, labels, choose

    def read(self, positions: npt.NDArray[np.int64]) -> tuple[Any, Any, Any]:
        """Return encoded images, targets and draws of the examples at these positions."""
        rows, draws = self._choose(positions)
        return np.array([self._reader.read(int(row)) for row in rows], dtype=object), draws, self._labels[rows]


class Batches:
    """Can be iterated again and again; threads and what is ready go when an iteration is given up or ends."""

    def __init__(self, dataset: tf.data.Dataset, source: Source) -> None:
        self._dataset, self._source = dataset, source

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        yield from self._dataset  # while this goes on, `self` keeps the source alive


class ImagePipeline:
    """Decodes images of one part of a data set. `augmented`: as its name asks for; else as in evaluation."""

    def __init__(self, images: EncodedImages, labels: npt.NDArray[Any], dtype: str, augmented: bool = False) -> None:
        self.images, self.labels = images, labels
        self._reader, self._dtype = Reader(images), dtype
        self._decode = decoder(images.example_shape, images.augment if augmented else (), dtype)
        self._wanted: npt.NDArray[np.integer] = np.zeros(1, np.int32)

    def batches(self, choose: Choose, stop: int, batch: int) -> Batches:
        """Return batches (x, y), `batch` examples each, of the positions 0 to `stop`; the last batch may be smaller.

        TensorFlow keeps every function that it was ever given to call: this one holds its source weakly.
        """
        source = Source(self._reader, self.labels, choose)
        weak, types = weakref.ref(source), (tf.string, tf.float32, self.labels.dtype)

        def read(positions: npt.NDArray[np.int64]) -> tuple[Any, Any, Any]:
            found = weak()
            assert found is not None, "the batches are gone"
            return found.read(positions)

        def read_tensors(positions: Any) -> tuple[Any, Any, Any]:
            encoded, draws, y = tf.numpy_function(read, [positions], types)
            return (tf.ensure_shape(encoded, [None]), tf.ensure_shape(draws, [None, DRAWS]), tf.ensure_shape(y, [None]))

        cores, decode = len(os.sched_getaffinity(0)), self._decode
        dataset = tf.data.Dataset.range(stop).batch(READ_AT_ONCE).map(read_tensors, num_parallel_calls=READERS)
        dataset = dataset.unbatch().map(lambda encoded, draws, y: (decode(encoded, draws), y), num_parallel_calls=cores)
        return Batches(dataset.batch(batch).prefetch(AHEAD).with_options(_options(cores + READERS)), source)

    @cached_property
    def _on_request(self) -> Batches:
        """Rows that are asked for one time or another, over and over."""
        return self.batches(lambda positions: without_draws(self._wanted[positions % len(self._wanted)]), ENDLESS,
                            REQUEST_BATCH)

    def decoded(self, rows: npt.NDArray[np.integer]) -> npt.NDArray[Any]:
        """Return the images of these rows, in memory."""
        found = np.empty((len(rows), *self.images.example_shape), self._dtype)
        self._wanted = rows
        batches = zip(range(0, len(rows), REQUEST_BATCH), self._on_request)
        for at, (x, _) in self.explained(batches, lambda: rows):
            found[at:at + REQUEST_BATCH] = x[:len(rows) - at]
        return found

    def explained(self, batches: Any, rows: Callable[[], npt.NDArray[np.integer]]) -> Any:
        """Return the batches; where one cannot be had, raise a DataError naming the first file and record of `rows`
        that is at fault."""
        try:
            yield from batches
        except tf.errors.OpError:
            self.blame(rows())
            raise

    def blame(self, rows: npt.NDArray[np.integer]) -> None:
        """Raise DataError for the first of the rows that cannot be read or decoded."""
        draws = tf.zeros(DRAWS)
        for row in rows:
            encoded = self._reader.read(int(row))
            try:
                self._decode(encoded, draws)
            except tf.errors.OpError as error:
                raise DataError(f"{self.images.where(row)} cannot be decoded as an image: "
                                f"{str(error.message)[:300]}. Replace it or leave it out, then run the plan "
                                "again.") from None


class DecodedInputs:
    """Examples on disk in the place of an array of them: rows are decoded when they are asked for."""

    def __init__(self, pipeline: ImagePipeline) -> None:
        self._pipeline = pipeline

    def __len__(self) -> int:
        return len(self._pipeline.images)

    def __getitem__(self, rows: npt.NDArray[np.integer]) -> npt.NDArray[Any]:
        return self._pipeline.decoded(rows)


def _options(threads: int) -> tf.data.Options:
    """Threads of its own, so that decoding does not wait for the training step; nothing that grows by itself."""
    options = tf.data.Options()
    options.deterministic = True
    options.autotune.enabled = False
    options.threading.private_threadpool_size = threads
    options.threading.max_intra_op_parallelism = 1
    return options
