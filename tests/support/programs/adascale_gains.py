"""Trains softmax regression under adascale with the suite's own loop, in float64, and saves what every step did.

Four groups of examples a step, made of two replicas or of micro-batches alone.
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

GROUPS, GLOBAL_BATCH = 4, 64
REFERENCES = (16, 1, 64)  # the group's own batch; one that is not, with few steps to average over; B itself


def configuration(strategy: str, reference: int, **changes: Any) -> RunConfig:
    """On two replicas, or on one where the strategy has no more."""
    name, _, transport = strategy.partition("-")
    replicas = 2 if STRATEGIES[name].many_replicas else 1
    values: dict[str, Any] = {
        "experiment": "gains", "kind": "accuracy", "dataset": "digits", "model": "small_models:softmax",
        "optimizer": "momentum", "momentum": 0.5, "global_batch": GLOBAL_BATCH, "validation_fraction": 0.0,
        "train_examples": describe_size("digits").train_examples, "train_subset": 32, "seed": 3, "epochs": 2,
        "rule": "adascale", "reference_batch": reference, "base_learning_rate": 0.002, "decay": "piecewise",
        "decay_epochs": (0.5,), "decay_factor": 0.5, "strategy": name, "transport": transport, "replicas": replicas,
        "accumulation": GROUPS // replicas, "precision": "float64"}
    return RunConfig(**{**values, **changes})


def train(session: Session, config: RunConfig) -> dict[str, Any]:
    """One step at a time to the end of the run; once more in segments, as runs do; and cut off and taken up again."""
    import tensorflow as tf

    from batchscale.benchmarks.schedules import phases as schedule
    from batchscale.benchmarks.data import epoch_order
    from batchscale.benchmarks.rank import agreement
    from batchscale.benchmarks.rank.checkpoint import Checkpoint
    from batchscale.benchmarks.rank.training.program import advance, Program
    from batchscale.benchmarks.schedules.rates import rates
    examples = session.examples(config)
    program = Program(config, session.strategy, examples.split.input_shape, examples.split.classes)
    loop, step_rates = program.loop(config.global_batch, examples.feed.layout(config.global_batch)), rates(config)
    phase, = schedule.phases(config)
    found: dict[str, Any] = {}
    segments = schedule.segments(phase)
    for way, parts in (("steps", [(k, k + 1) for k in range(phase.steps)]), ("segments", segments),
                       ("resumed", segments)):
        program.reset(config.seed)
        assert program.gains is not None
        found[way] = []
        for number, (start, stop) in enumerate(parts):
            if start % phase.steps_per_epoch == 0:
                order = epoch_order(config.seed, start // phase.steps_per_epoch, config.train_examples)
                examples.feed.set_order(order, start)
            advance(loop, examples.feed.parts(start, stop, config.global_batch), tf.constant(step_rates))
            found[way].append({**program.gains.row(), "rate": program.gains.last_rate, "steps": program.gains.steps})
            if program.finished:
                break
            if way == "resumed" and number == 3:
                kept = [session.strategy.copies(variable)[0] for variable in program.state]
                program.reset(config.seed + 1)
                Checkpoint("", 0, stop, 0.0, arrays=kept).restore(program.state, session.strategy)
                agreement.check_weights(session.strategy, program.state, "after the checkpoint")
        agreement.check_weights(session.strategy, program.variables, f"after {way}")
        found[f"weights_after_{way}"] = np.concatenate(
            [session.strategy.copies(v)[0].ravel() for v in program.weights]).tolist()
    return found


def run(session: Session, strategy_name: str, folder: Path) -> None:
    found = {reference: train(session, configuration(strategy_name, reference)) for reference in REFERENCES}
    if strategy_name == "single":
        found[0] = train(session, configuration("single", GLOBAL_BATCH, accumulation=1))
    if session.strategy.rank == 0:
        (folder / "gains.json").write_text(json.dumps(found))
