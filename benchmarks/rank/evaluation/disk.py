"""Evaluation of examples that stay on disk: streamed in chunks, not augmented; each rank takes its chunks of a part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..feeds.image_pipeline import Batches, ImagePipeline, without_draws
from ..strategies.base import Strategy
from ..training.program import Program
from .memory import CHUNK, Evaluation

CHUNK_BYTES = 64 * 1024**2


class DiskEvaluation(Evaluation):
    """Sums are taken chunk by chunk and added in the order of the chunks, so that the result does not depend on the
    number of ranks."""

    def __init__(self, pipelines: Mapping[str, ImagePipeline], strategy: Strategy) -> None:
        super().__init__({name: (p.images, p.labels) for name, p in pipelines.items()}, strategy)
        self._pipelines = pipelines
        self._chunks: dict[str, tuple[range, npt.NDArray[np.int64], Batches]] = {}

    def _sums(self, program: Program, part: str) -> npt.NDArray[np.float64]:
        own = self._own_sums(program, part)
        chunks = [chunk for rank in self._strategy.gather(own) for chunk in rank]
        return np.sum([sums for _, sums in sorted(chunks)], axis=0)

    def _own_sums(self, program: Program, part: str) -> list[tuple[int, list[float]]]:
        """(chunk, its sums) of every chunk that is this rank's."""
        place, (chunks, rows, batches) = self._strategy.place, self._own(part)
        found = []
        for chunk, (x, y) in zip(chunks, self._pipelines[part].explained(batches, lambda: rows)):
            sums = self._function(program)(place(x), place(y))
            found.append((chunk, [float(value) for value in np.asarray(sums)]))
        return found

    def _own(self, part: str) -> tuple[range, npt.NDArray[np.int64], Batches]:
        """This rank's chunks of a part, their examples and what reads them."""
        if part not in self._chunks:
            pipeline, strategy = self._pipelines[part], self._strategy
            size, every = chunk_examples(pipeline.images.example_shape), np.arange(len(pipeline.labels))
            chunks = range(strategy.rank, -(-len(every) // size), strategy.size)
            rows = np.concatenate([every[:0], *(every[c * size:(c + 1) * size] for c in chunks)])
            batches = pipeline.batches(lambda positions: without_draws(rows[positions]), len(rows), size)
            self._chunks[part] = (chunks, rows, batches)
        return self._chunks[part]


def chunk_examples(shape: Any) -> int:
    """Return how many examples evaluation takes at a time, fewer of large images."""
    return int(max(1, min(CHUNK, CHUNK_BYTES // (4 * np.prod(shape)))))
