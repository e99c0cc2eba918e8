"""Measures sharpness after a few steps, on every strategy.

Softmax regression, whose weights and examples are saved, so that its Hessian can be had exactly; then a network with
batch norm and dropout.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from batchscale.benchmarks.config.strategies import STRATEGIES
from batchscale.benchmarks.data import describe_size
from batchscale.benchmarks.runs.run_config import RunConfig

if TYPE_CHECKING:
    from batchscale.benchmarks.rank.session import Session

EXAMPLES, STEPS = 1000, 20
MODELS = ("small_models:softmax", "small_models:normalized")


def configuration(strategy: str, model: str, precision: str) -> RunConfig:
    name, _, transport = strategy.partition("-")
    return RunConfig(experiment="sharp", kind="accuracy", dataset="digits", model=model, optimizer="sgd",
                     global_batch=64, train_examples=describe_size("digits").train_examples, validation_fraction=0.0,
                     train_subset=32, seed=5, base_learning_rate=0.1, sharpness_examples=EXAMPLES, strategy=name,
                     transport=transport, replicas=2 if STRATEGIES[name].many_replicas else 1, precision=precision)


def measured(session: Session, config: RunConfig, folder: Path) -> dict[str, Any]:
    """The row, and whether every replica's variables are what they were before."""
    import tensorflow as tf

    from batchscale.benchmarks.data import epoch_order
    from batchscale.benchmarks.rank import agreement
    from batchscale.benchmarks.rank.meters.sharpness import SUBSET_EPOCH
    from batchscale.benchmarks.rank.training.program import advance
    from batchscale.benchmarks.schedules.rates import rates
    examples = session.examples(config)
    program, strategy = session.program(config, examples), session.strategy
    program.reset(config.seed)
    loop = program.loop(config.global_batch, examples.feed.layout(config.global_batch))
    examples.feed.set_order(epoch_order(config.seed, 0, config.train_examples), 0)
    steps = STEPS if config.model == MODELS[0] else 2
    advance(loop, examples.feed.parts(0, steps, config.global_batch), tf.constant(rates(config)))
    program.settle()
    before = agreement.weight_digests(strategy, program.variables)
    rows = [examples.sharpness.values(program, EXAMPLES) for _ in range(2)]
    after = agreement.weight_digests(strategy, program.variables)
    if strategy.rank == 0 and config.model == MODELS[0]:
        chosen = epoch_order(0, SUBSET_EPOCH, config.train_examples)[:EXAMPLES]
        kernel, bias = (strategy.copies(v)[0] for v in program.weights)
        np.savez(folder / f"{config.precision}.npz", x=examples.split.train[0][chosen],
                 y=examples.split.train[1][chosen], w=kernel, b=bias)
    return {"row": rows[0], "again": rows[1], "untouched": before == after}


def run(session: Session, strategy_name: str, folder: Path) -> None:
    cases = [(MODELS[0], "float64"), *((model, "float32") for model in MODELS)]
    found = {f"{model} {precision}": measured(session, configuration(strategy_name, model, precision), folder)
             for model, precision in cases}
    if session.strategy.rank == 0:
        (folder / "sharpness.json").write_text(json.dumps(found))
