"""Streams examples in chunks, evaluates others piece by piece and places arrays on two devices; writes found.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from batchscale.benchmarks import data
from batchscale.benchmarks.runs.run_config import RunConfig

if TYPE_CHECKING:
    from batchscale.benchmarks.rank.session import Session
    from batchscale.benchmarks.rank.strategies.base import Strategy

EXAMPLES, BATCH = 50, 8


def streamed(strategy: Strategy, ahead: bool = False) -> dict[str, Any]:
    """What the calls of two orders of six steps see, in chunks of four steps of eight floats; `sent`: how many chunks
    were sent to the device when each of them was first trained on."""
    from batchscale.benchmarks.rank.feeds import stream
    x, y = np.arange(EXAMPLES, dtype=np.float32), np.arange(EXAMPLES, dtype=np.int32)
    own: Any = stream.Stream(x, y, strategy)
    orders = [np.random.default_rng(n).permutation(EXAMPLES).astype(np.int32) for n in (0, 1)]
    started: list[int] = []
    chunks = own._chunks

    def noted(start: int, size: int) -> Any:
        started.append(start)
        return chunks(start, size)
    own._chunks = noted
    own.ahead = ahead
    sent, place = list[int](), strategy.place_shares
    placed: list[Any] = []

    def counted(arrays: Any, rows: int) -> Any:
        placed.append(place(arrays, rows))
        return placed[-1]
    strategy.place_shares = counted  # type: ignore[method-assign]
    layout, seen, lengths = own.layout(BATCH), list[list[float]](), set[int]()
    for order, base, calls in ((orders[0], 0, ((0, 1), (1, 3), (3, 6))), (orders[1], 6, ((6, 7), (7, 12)))):
        own.set_order(order, base)
        own.set_order(order.copy(), base)
        for start, stop in calls:
            for px, py, positions, first, last, at in own.parts(start, stop, BATCH):
                lengths.add(len(px))
                sent += [len(placed) // 2] if first == at else []
                for k in range(first, last):
                    row = (k - at) % layout.rows
                    chosen = positions.numpy()[row * layout.stride:(row + 1) * layout.stride]
                    seen.append(px.numpy()[chosen].tolist())
                    assert py.numpy()[chosen].tolist() == seen[-1]
    return {"seen": seen, "lengths": sorted(lengths), "sent": sent, "started": started,
            "orders": [o.tolist() for o in orders]}


def evaluated() -> dict[str, Any]:
    """Metrics of data that are placed whole, and of the same a piece of two chunks at a time; digits are 64 floats."""
    from batchscale.benchmarks.rank.evaluation import memory as evaluation
    from batchscale.benchmarks.rank.strategies.base import Strategy
    from batchscale.benchmarks.rank.training.program import Program
    config = RunConfig(experiment="x", kind="accuracy", dataset="digits", model="mlp_128", optimizer="sgd",
                       global_batch=64, train_examples=1437, seed=0, epochs=1)
    split = data.split(data.load("digits"), 0.2, 500)
    program = Program(config, Strategy(), split.input_shape, split.classes)
    program.reset(0)
    parts = {"train": split.train_subset, "validation": split.validation, "test": split.test}
    usual = evaluation.CHUNK, evaluation.PIECE_BYTES
    evaluation.CHUNK, evaluation.PIECE_BYTES = 100, 250 * 64 * 4
    try:
        return {"evaluations": [kind(parts, Strategy()).metrics(program)
                                for kind in (evaluation.Evaluation, evaluation.StreamedEvaluation)],
                "pieces": [[piece.start, piece.stop] for piece in evaluation.pieces(500, 500 * 64 * 4)]}
    finally:
        evaluation.CHUNK, evaluation.PIECE_BYTES = usual


def placed() -> dict[str, Any]:
    """Where copies and shares of arrays lie on two devices."""
    import tensorflow as tf

    from batchscale.benchmarks.rank.strategies.mirrored import Mirrored
    mirrored: Any = Mirrored(["CPU:0", "CPU:1"])
    local = mirrored._strategy.experimental_local_results
    here = Mirrored._on("CPU:1", tf.identity(np.arange(3.0)))
    shares = mirrored.place_shares({"x": tf.constant(np.arange(16.0).reshape(8, 2))}, 2)
    return {"from the host": f"{here.device.rpartition('device:')[2]} {here.numpy().tolist()}",
            "devices": [copy.device.rpartition(":")[2] for copy in local(mirrored.place(np.arange(3.0)))],
            "shares": [copy.numpy().tolist() for copy in local(shares["x"])]}


def run(session: Session, strategy_name: str, folder: Path) -> None:
    from batchscale.benchmarks.rank.feeds import stream
    from batchscale.benchmarks.rank.feeds.in_memory import free_bytes
    from batchscale.benchmarks.rank.strategies.base import Strategy

    class Second(Strategy):
        rank, size, replicas = 1, 2, 2
    usual, stream.CHUNK_BYTES = stream.CHUNK_BYTES, 4 * 8 * 4
    try:
        found = {"whole": streamed(Strategy()), "second": streamed(Second()),
                 "ahead": streamed(Strategy(), ahead=True)}
    finally:
        stream.CHUNK_BYTES = usual
    (folder / "found.json").write_text(json.dumps({**found, **evaluated(), **placed(),
                                                   "free": [free_bytes(1, 1000), free_bytes(2) > 2e6]}))
