"""Trains built-in models a few steps in every precision, with and without jit and synchronized batch norm.

One of CASES, "overflow" or "broken"; writes found.json, and weights.npy in one of CASES.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from batchscale.benchmarks.config.strategies import STRATEGIES
from batchscale.benchmarks.data import Dataset, describe_size
from batchscale.benchmarks.runs.run_config import RunConfig

if TYPE_CHECKING:
    from batchscale.benchmarks.rank.session import Session
    from batchscale.benchmarks.rank.training.program import Program

DIGITS, TINY = "digits", "synthetic:32x32x3,classes=2,examples=64"
MODELS = {  # data set, optimizer, rate, global batch, steps
    "resnet_20": (DIGITS, "momentum", 0.05, 32, 20), "ResNet50": (TINY, "momentum", 0.001, 16, 3),
    "vit_4x64": (DIGITS, "adam", 0.001, 32, 30), "causal_2x64": ("tokens", "adam", 0.003, 32, 30)}
SYNCHRONIZED_STEPS, OVERFLOW_STEPS = 20, 4
NORMALIZED = "small_models:residual"  # batch norm as in resnet_20, in a hundredth of the time to trace
CASES: dict[str, tuple[int, dict[str, Any]]] = {
    **{f"model {name}": (steps, {"model": name, "dataset": data, "optimizer": optimizer, "global_batch": batch,
                                 "base_learning_rate": rate})
       for name, (data, optimizer, rate, batch, steps) in MODELS.items()},
    "synchronized": (SYNCHRONIZED_STEPS, {"model": NORMALIZED, "precision": "float64",
                                          "synchronized_batch_norm": True}),
    "apart": (SYNCHRONIZED_STEPS, {"model": NORMALIZED, "precision": "float64"}),
    "synchronized accumulated": (2, {"model": NORMALIZED, "synchronized_batch_norm": True, "accumulation": 2}),
    **{f"precision {precision} {model}": (60, {"model": model, "precision": precision, "optimizer": "adam",
                                               "base_learning_rate": 0.003})
       for precision in ("float32", "mixed_float16", "mixed_bfloat16") for model in ("mlp_128", "cnn_small")},
    "jit": (10, {"model": "cnn_small", "jit": True}), "no jit": (10, {"model": "cnn_small"}),
    "jit mixed": (10, {"model": "mlp_128", "jit": True, "precision": "mixed_float16"}),
    "no jit mixed": (10, {"model": "mlp_128", "precision": "mixed_float16"}),
}


def overflowing() -> Dataset:
    """64 examples for 4 steps of 16, of which one is beyond float16's largest number, 65,504."""
    rng = np.random.default_rng(0)
    x = rng.random((64, 8, 8, 1), np.float32)
    y = np.arange(64, dtype=np.int32) % 2
    x[7] = 1e6
    return Dataset("overflowing", x, y, x, y, 2, "noise with one example too large for float16")


def configuration(strategy: str, **changes: Any) -> RunConfig:
    name, _, transport = strategy.partition("-")
    data = changes.get("dataset", DIGITS)
    base: dict[str, Any] = {
        "experiment": "models", "kind": "accuracy", "dataset": DIGITS, "model": "mlp_128", "optimizer": "momentum",
        "global_batch": 64, "validation_fraction": 0.0, "train_subset": 64, "seed": 3, "epochs": 3,
        "train_examples": describe_size(data).train_examples, "base_learning_rate": 0.01, "strategy": name,
        "transport": transport, "replicas": 2 if STRATEGIES[name].many_replicas else 1}
    return RunConfig(**{**base, **changes})


def train(session: Session, config: RunConfig, steps: int) -> tuple[Program, list[float], bool]:
    """The program at the end, its loss on the train subset before and after, and whether XLA compiled a part."""
    import tensorflow as tf

    from batchscale.benchmarks.data import epoch_order
    from batchscale.benchmarks.rank import agreement
    from batchscale.benchmarks.rank.training.program import advance, Program
    from batchscale.benchmarks.schedules.rates import rates
    examples = session.examples(config)
    program = Program(config, session.strategy, examples.split.input_shape, examples.split.classes)
    program.reset(config.seed)
    before = examples.evaluation.metrics(program)["train_loss"]
    loop: Any = program.loop(config.global_batch, examples.feed.layout(config.global_batch))
    for epoch in range(-(-steps // config.steps_per_epoch)):
        start = epoch * config.steps_per_epoch
        examples.feed.set_order(epoch_order(config.seed, epoch, config.train_examples), start)
        parts = list(examples.feed.parts(start, min(steps, start + config.steps_per_epoch), config.global_batch))
        advance(loop, parts, tf.constant(rates(config)))
    program.settle()
    agreement.check_weights(session.strategy, program.state, "at the end")
    compiled = any("_XlaMustCompile" in f.attr and f.attr["_XlaMustCompile"].b
                   for concrete in loop._list_all_concrete_functions()
                   for f in concrete.graph.as_graph_def().library.function)
    return program, [before, examples.evaluation.metrics(program)["train_loss"]], compiled


def growth() -> list[float]:
    """The scale after three good steps, a bad one, and three good ones, when three make it grow."""
    import tensorflow as tf

    from batchscale.benchmarks.rank.training import loss_scale
    usual, loss_scale.GROWTH_STEPS = loss_scale.GROWTH_STEPS, 3
    try:
        scale, found = loss_scale.LossScale(), []
        for value in (1.0, 1.0, 1.0, np.inf, 1.0, 1.0, 1.0):
            scale.update([tf.constant([0.0, value])], [], [], lambda skipped: None)
            found.append(float(scale.scale.numpy()))
        return found
    finally:  # other programs run in this process
        loss_scale.GROWTH_STEPS = usual


def overflow(session: Session, name: str) -> dict[str, Any]:
    """What one example too large for 16 bits does to the scale of the loss and to the weights."""
    config = configuration(name, model=NORMALIZED, dataset="models_train:overflowing", precision="mixed_float16",
                           global_batch=16)
    program, _, _ = train(session, config, OVERFLOW_STEPS)
    values = [np.asarray(session.strategy.copies(v)[0]) for v in program.variables]
    return {**program.scaling(), "finite": all(bool(np.isfinite(v).all()) for v in values),
            "notes": program.notes(config), "growth": growth()}


def broken(session: Session, name: str) -> dict[str, Any]:
    """What is said of replicas that keep their own gradients, and that nothing is of the same ranks afterwards."""
    from batchscale.benchmarks.errors import RanksDisagree
    config, strategy, said = configuration(name), session.strategy, ""
    strategy.mean = lambda gradients: gradients  # type: ignore[method-assign]
    try:
        train(session, config, 4)
    except RanksDisagree as error:
        said = str(error)
    finally:
        del strategy.mean
    train(session, config, 4)
    return {"said": said, "after": "good"}


def trained(session: Session, name: str, folder: Path, case: str) -> dict[str, Any]:
    """What training one of CASES came to; the weights are saved."""
    steps, changes = CASES[case]
    config = configuration(name, **changes)
    program, losses, compiled = train(session, config, steps)
    if session.strategy.rank == 0:
        copies = [session.strategy.copies(v)[0].ravel().astype(np.float64) for v in program.weights]
        np.save(folder / "weights.npy", np.concatenate(copies))
    return {"losses": losses, "compiled": compiled, "ghost_batch": program.ghost_batch(config),
            "notes": program.notes(config), "dtypes": sorted({v.dtype.name for v in program.weights}),
            **program.scaling()}


def run(session: Session, name: str, folder: Path, case: str) -> None:
    others = {"overflow": overflow, "broken": broken}
    found = others[case](session, name) if case in others else trained(session, name, folder, case)
    if session.strategy.rank == 0:
        (folder / "found.json").write_text(json.dumps(found))
