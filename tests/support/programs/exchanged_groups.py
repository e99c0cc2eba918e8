"""Traces one step of a model whose gradients go in groups, and says of which gradients each exchange waits.

Written by rank 0: the bytes of each group, and for each exchange of the traced step the number of the last exchange of
whose gradients it needs one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchscale.benchmarks.config.strategies import STRATEGIES
from batchscale.benchmarks.data import describe_size
from batchscale.benchmarks.runs.run_config import RunConfig

if TYPE_CHECKING:
    from batchscale.benchmarks.rank.session import Session


def configuration(strategy: str, exchange: str) -> RunConfig:
    name, _, transport = strategy.partition("-")
    return RunConfig(experiment="exchange", kind="throughput", dataset="digits", model="mlp_512_256_128",
                     optimizer="sgd", global_batch=64, train_examples=describe_size("digits").train_examples, seed=3,
                     validation_fraction=0.0, strategy=name, transport=transport,
                     replicas=2 if STRATEGIES[name].many_replicas else 1, exchange=exchange)


def needed(results: Sequence[Any]) -> set[str]:
    """The operations that come before these tensors in their graph, by data or by order."""
    found: set[str] = set()
    waiting = [tensor.op for tensor in results]
    while waiting:
        operation = waiting.pop()
        if operation.name not in found:
            found.add(operation.name)
            waiting += [*(tensor.op for tensor in operation.inputs), *operation.control_inputs]
    return found


def run(session: Session, strategy_name: str, folder: Path, way: str) -> None:
    import tensorflow as tf

    from batchscale.benchmarks.data import epoch_order
    from batchscale.benchmarks.rank.training.program import advance, Program
    config = configuration(strategy_name, way)
    strategy, calls = session.strategy, list[tuple[Sequence[Any], Sequence[Any]]]()
    mean = strategy.mean

    def noted(gradients: Sequence[Any]) -> Sequence[Any]:
        means = mean(gradients)
        calls.append((gradients, means))
        return means

    examples = session.examples(config)
    strategy.mean = noted  # type: ignore[method-assign]
    program = Program(config, strategy, examples.split.input_shape, examples.split.classes)
    program.reset(config.seed)
    layout = examples.feed.layout(config.global_batch)
    examples.feed.set_order(epoch_order(config.seed, 0, config.train_examples), 0)
    advance(program.loop(config.global_batch, layout), examples.feed.parts(0, 1, config.global_batch),
            tf.constant([0.01], tf.float32))
    graph = calls[0][0][0].graph
    own = [call for call in calls if call[0][0].graph is graph][::strategy.local_replicas]
    waits = []
    for _, means in own:
        before = needed(means)
        waits.append(max(number for number, (gradients, _) in enumerate(own)
                         if any(gradient.op.name in before for gradient in gradients)))
    if strategy.rank == 0:
        (folder / "groups.json").write_text(json.dumps({"bytes": program.exchange.group_bytes, "waits": waits}))
