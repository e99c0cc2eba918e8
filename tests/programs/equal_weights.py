"""Trains 50 steps in float64 with the suite's own loop, for each model and optimizer, and saves the weights.

Usage: equal_weights.py STRATEGY FOLDER, as a plain process or as one of two Horovod ranks.
"""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path

import numpy as np

from batchscale.benchmarks.config import RunConfig
from batchscale.benchmarks.data import describe_size
from batchscale.benchmarks.rank import devices

STEPS, GLOBAL_BATCH = 50, 64
CASES = [*itertools.product(("mlp_128", "cnn_small"), ("sgd", "momentum", "adam"), ("resident",)),
         ("mlp_128", "momentum", "stream")]


def configuration(strategy: str, model: str, optimizer: str, feed: str) -> RunConfig:
    name, _, transport = strategy.partition("-")
    return RunConfig(experiment="equal", kind="accuracy", dataset="digits", model=model, optimizer=optimizer,
                     global_batch=GLOBAL_BATCH, train_examples=describe_size("digits").train_examples,
                     validation_fraction=0.0, seed=3, epochs=3,
                     rule="linear", reference_batch=16, warmup_epochs=1.0,
                     base_learning_rate=0.001 if optimizer == "adam" else 0.01,
                     strategy=name, transport=transport, replicas=1 if name == "single" else 2,
                     precision="float64", input=feed)


def main() -> None:
    strategy_name, folder = sys.argv[1], Path(sys.argv[2])
    first = configuration(strategy_name, *CASES[0])
    devices.pin(first, sorted(os.sched_getaffinity(0)), os.environ)
    local = devices.prepare(first)
    import tensorflow as tf

    from batchscale.benchmarks.data import epoch_order
    from batchscale.benchmarks.rank import agreement, strategies
    from batchscale.benchmarks.rank.session import Session
    from batchscale.benchmarks.rank.train import advance
    from batchscale.benchmarks.rules import rates
    strategy = strategies.create(first, local)
    session = Session(strategy, local, [], strategy.size, lambda: "")
    for case in CASES:
        config = configuration(strategy_name, *case)
        agreement.check_size(strategy, config)
        examples = session.examples(config)
        program = session.program(config, examples)
        program.reset(config.seed)
        loop = program.loop(config.global_batch, examples.feed.layout(config.global_batch))
        step_rates = tf.constant(rates(config))
        bounds = [0, *range(config.steps_per_epoch, STEPS, config.steps_per_epoch), STEPS]
        for epoch, (start, stop) in enumerate(zip(bounds, bounds[1:])):
            examples.feed.set_order(epoch_order(config.seed, epoch, config.train_examples), start)
            advance(loop, examples.feed.parts(start, stop, config.global_batch), step_rates)
        agreement.check_weights(strategy, program.variables, "at the end")
        if strategy.rank == 0:
            weights = np.concatenate([strategy.copies(v)[0].ravel() for v in program.variables])
            np.save(folder / f"{strategy_name}-{'-'.join(case)}.npy", weights)


main()
