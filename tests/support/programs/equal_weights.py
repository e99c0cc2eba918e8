"""Trains 50 steps in float64 with the suite's own loop, in one of CASES, and saves the weights.

Or, in the case "normalized", a few steps of a network with batch norm: the moving statistics before and after they are
averaged, and what every rank's evaluation gives.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from batchscale.benchmarks.config.strategies import STRATEGIES
from batchscale.benchmarks.data import describe_size
from batchscale.benchmarks.runs.run_config import RunConfig

if TYPE_CHECKING:
    from batchscale.benchmarks.rank.session import Session
    from batchscale.benchmarks.rank.training.program import Program

STEPS, GLOBAL_BATCH, NORMALIZED_STEPS = 50, 64, 3
NORMALIZED = "normalized"
INTERRUPTED = "interrupted"  # after each epoch: a new model goes on from what was kept
REGRESSION = {"dataset": "own_tasks:regression", "loss": "mean_squared_error", "metrics": ()}
TWO_KINDS = {"dataset": "own_tasks:two_kinds", "model": "own_tasks:two_heads", "loss": "own_tasks:both",
             "metrics": ("own_tasks:accuracy", "own_tasks:amount_error")}
CHANGES: dict[str, dict[str, Any]] = {
    "clipped": {"clip_norm": 0.5}, "accumulated": {"accumulation": 4}, "groups": {"exchange": "groups"},
    "regression": REGRESSION, "two_kinds": TWO_KINDS, "two_kinds_accumulated": {**TWO_KINDS, "accumulation": 4}}
RATES = {"adam": 0.001, "adamw": 0.001, "lamb": 0.001, "lars": 1.0}
DECAYS = {"adamw": 0.1, "lamb": 0.1, "lars": 0.01}
CASES = [*itertools.product(("mlp_128", "cnn_small"), ("sgd", "momentum", "adam"), ("resident",)),
         *itertools.product(("cnn_small",), ("nesterov", "adamw", "lars", "lamb"), ("resident",)),
         ("mlp_128", "momentum", "stream"),
         ("mlp_128", "momentum", "resident", "clipped"), ("cnn_small", "adamw", "resident", "clipped"),
         ("mlp_128", "momentum", "resident", "accumulated"), ("mlp_128", "momentum", "stream", "accumulated"),
         ("cnn_small", "lars", "resident", "accumulated"),
         ("mlp_128", "momentum", "resident", "regression"), ("own", "adam", "resident", "two_kinds"),
         ("own", "adam", "stream", "two_kinds"), ("own", "adam", "resident", "two_kinds_accumulated"),
         ("mlp_128", "momentum", "resident", "groups"), ("cnn_small", "adam", "resident", "groups"),
         ("mlp_128", "momentum", "resident", INTERRUPTED), ("cnn_small", "adamw", "resident", INTERRUPTED)]


def configuration(strategy: str, model: str, optimizer: str, feed: str, change: str = "") -> RunConfig:
    name, _, transport = strategy.partition("-")
    what = {"dataset": "digits", "model": model, **CHANGES.get(change, {})}
    return RunConfig(**what, weight_decay=DECAYS.get(optimizer, 0.0), experiment="equal", kind="accuracy",
                     optimizer=optimizer, global_batch=GLOBAL_BATCH,
                     train_examples=describe_size(what["dataset"]).train_examples,
                     validation_fraction=0.0, train_subset=32, seed=3, epochs=3,
                     rule="linear", reference_batch=16, warmup_epochs=1.0,
                     base_learning_rate=RATES.get(optimizer, 0.01),
                     strategy=name, transport=transport, replicas=2 if STRATEGIES[name].many_replicas else 1,
                     precision="float64", input=feed)


def train(session: Session, config: RunConfig, steps: int, kept: Path | None = None) -> Program:
    """`kept`: a folder for the state after each epoch, from which a new program goes on."""
    import tensorflow as tf

    from batchscale.benchmarks.data import epoch_order
    from batchscale.benchmarks.rank import agreement, checkpoint
    from batchscale.benchmarks.rank.training.program import advance, Program
    from batchscale.benchmarks.schedules.rates import rates
    agreement.check_size(session.strategy, config)
    examples = session.examples(config)
    program = Program(config, session.strategy, examples.split.input_shape, examples.split.classes)
    program.reset(config.seed)
    step_rates = tf.constant(rates(config))
    bounds = [0, *range(config.steps_per_epoch, steps, config.steps_per_epoch), steps]
    for epoch, (start, stop) in enumerate(zip(bounds, bounds[1:])):
        if kept and epoch:
            checkpoint.save(kept, checkpoint.Checkpoint("", 0, start, 0.0), program.state)
            program = Program(config, session.strategy, examples.split.input_shape, examples.split.classes)
            program.reset(config.seed + 1)
            found = checkpoint.read(kept)
            assert found and found.step == start
            found.restore(program.state, session.strategy)
        loop = program.loop(config.global_batch, examples.feed.layout(config.global_batch))
        examples.feed.set_order(epoch_order(config.seed, epoch, config.train_examples), start)
        advance(loop, examples.feed.parts(start, stop, config.global_batch), step_rates)
    return program


def statistics(program: Program) -> list[list[float]]:
    """The moving statistics of every replica of every rank."""
    strategy = program.strategy
    copies = [strategy.copies(v) for v in program.statistics]
    local = [np.concatenate([c[i].ravel() for c in copies]).tolist() for i in range(strategy.local_replicas)]
    return [values for rank in strategy.gather(local) for values in rank]


def normalized(session: Session, config: RunConfig) -> dict[str, Any]:
    """What batch norm leaves behind: statistics before and after averaging, digests and every rank's evaluation."""
    from batchscale.benchmarks.rank import agreement
    strategy, program = session.strategy, train(session, config, NORMALIZED_STEPS)
    apart, weights = statistics(program), agreement.weight_digests(strategy, program.weights)
    program.settle()
    agreement.check_weights(strategy, program.variables, "after averaging")
    together, examples = statistics(program), session.examples(config)
    metrics = strategy.gather(examples.evaluation.metrics(program))
    with program.keeping_statistics():
        examples.probe.rows(program, (8,), config.seed, 0)
        probed = statistics(program)
    return {"apart": apart, "together": together, "probed": probed, "kept": statistics(program),
            "ghost_batch": program.ghost_batch(config),
            "notes": [program.notes(c) for c in (config, dataclasses.replace(config, accumulation=4))],
            "weights_kept": weights == agreement.weight_digests(strategy, program.weights),
            "metrics": metrics}


def run(session: Session, strategy_name: str, folder: Path, wanted: str) -> None:
    strategy = session.strategy
    if wanted == NORMALIZED:
        found = normalized(session, configuration(strategy_name, "small_models:residual", "momentum", "resident"))
        if strategy.rank == 0:
            (folder / "normalized.json").write_text(json.dumps(found))
        return
    from batchscale.benchmarks.rank import agreement
    case = next(case for case in CASES if "-".join(case) == wanted)
    with tempfile.TemporaryDirectory() as kept:
        program = train(session, configuration(strategy_name, *case), STEPS,
                        Path(kept) if INTERRUPTED in case else None)
    agreement.check_weights(strategy, program.variables, "at the end")
    if strategy.rank == 0:
        np.save(folder / "weights.npy", np.concatenate([strategy.copies(v)[0].ravel() for v in program.variables]))
