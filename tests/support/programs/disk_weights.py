"""Trains 20 steps in float64 on each of several data sets; saves the weights and what every rank's evaluation gives.

`cases` is JSON, from a case's name to its data set.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from batchscale.benchmarks.config.strategies import STRATEGIES
from batchscale.benchmarks.data import describe_size
from batchscale.benchmarks.runs.run_config import RunConfig

if TYPE_CHECKING:
    from batchscale.benchmarks.rank.session import Session
    from batchscale.benchmarks.rank.training.program import Program

STEPS, GLOBAL_BATCH = 20, 64


def configuration(strategy: str, dataset: str) -> RunConfig:
    name, _, transport = strategy.partition("-")
    examples = describe_size(dataset).train_examples
    return RunConfig(experiment="equal", kind="accuracy", dataset=dataset, model="mlp_128", optimizer="momentum",
                     global_batch=GLOBAL_BATCH, train_examples=examples - round(0.25 * examples),
                     validation_fraction=0.25, train_subset=100, seed=3, epochs=3, strategy=name, transport=transport,
                     replicas=2 if STRATEGIES[name].many_replicas else 1, precision="float64")


def train(session: Session, config: RunConfig) -> Program:
    import tensorflow as tf

    from batchscale.benchmarks.data import epoch_order
    from batchscale.benchmarks.rank.training.program import advance
    from batchscale.benchmarks.schedules.rates import rates
    examples = session.examples(config)
    program = session.program(config, examples)
    program.reset(config.seed)
    loop = program.loop(config.global_batch, examples.feed.layout(config.global_batch))
    step_rates, per_epoch = tf.constant(rates(config)), config.steps_per_epoch
    assert per_epoch < STEPS
    for epoch, start in enumerate(range(0, STEPS, per_epoch)):
        examples.feed.set_order(epoch_order(config.seed, epoch, config.train_examples), start, (config.seed, epoch))
        stop, middle = min(start + per_epoch, STEPS), start + 2
        for first, last in ((start, middle), (middle, stop)):
            advance(loop, examples.feed.parts(first, last, config.global_batch), step_rates)
    return program


def run(session: Session, strategy_name: str, folder: Path, cases: str) -> None:
    from batchscale.benchmarks.rank import agreement
    strategy, metrics = session.strategy, {}
    for case, dataset in json.loads(cases).items():
        config = configuration(strategy_name, dataset)
        agreement.check_size(strategy, config)
        program = train(session, config)
        agreement.check_weights(strategy, program.variables, "at the end")
        metrics[case] = strategy.gather(session.examples(config).evaluation.metrics(program))
        if strategy.rank == 0:
            weights = np.concatenate([strategy.copies(v)[0].ravel() for v in program.variables])
            np.save(folder / f"{case}.npy", weights)
    if strategy.rank == 0:
        (folder / "metrics.json").write_text(json.dumps(metrics))
