"""Trains an epoch of 20 steps, the last on fewer examples than a batch, in float64 on what scripts give to fit, in the
scripts' own order, and saves the weights; on one process also what Keras' own fit makes of the same scripts."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from batchscale.benchmarks.config.script import ScriptCall
from batchscale.benchmarks.data.user_function import search_beside
from batchscale.benchmarks.rank.in_progress import RunInProgress, Segment
from batchscale.benchmarks.rank.script import optimizer as script_optimizer, taken
from batchscale.benchmarks.rank.session import Session
from batchscale.benchmarks.runs.run_config import RunConfig

SCRIPTS = Path(__file__).parents[1] / "scripts"
STEPS, BATCH, EXAMPLES, LAST = 20, 8, 157, 5


def call_of(case: str) -> ScriptCall:
    script, *words = case.split()
    return ScriptCall(f"{script}.py", tuple(words))


def configuration(case: str, strategy: str, by: str) -> RunConfig:
    """One epoch of the script in float64. `by`: the optimizer, "" for what the script's is taken to be."""
    reference = call_of(case).reference
    name, _, transport = strategy.partition("-")
    found, momentum = script_optimizer.name_of(taken.model(reference, 0, "float64"), reference)
    return RunConfig(experiment="script", kind="accuracy", dataset=reference, model=reference, loss="script:loss",
                     metrics=(), optimizer=by or found, momentum=momentum, base_learning_rate=rate_of(case),
                     global_batch=BATCH, reference_batch=BATCH, train_examples=EXAMPLES, validation_fraction=0.0,
                     seed=0, epochs=1, precision="float64", strategy=name, transport=transport, last_batch="keep",
                     replicas=1 if name == "single" else 2)


def rate_of(case: str) -> float:
    return 2**-5 if case == "two_outputs" else 2**-6


def ours(case: str, session: Session, strategy: str, by: str) -> list[Any]:
    config = configuration(case, strategy, by)
    run = RunInProgress(config, session)
    run.examples.feed.set_order(np.arange(EXAMPLES, dtype=np.int32), 0)
    run.advance(Segment(BATCH, 0, 0, STEPS, last=LAST), run.rates(STEPS))
    return [session.strategy.copies(weight)[0] for weight in run.program.weights]


def theirs(case: str) -> list[Any]:
    call, before = call_of(case), sys.argv
    taken.as_new("float64", 0)
    sys.argv = [call.path, *call.arguments]
    try:
        found = runpy.run_path(str(SCRIPTS / call.path), run_name="__main__")
    finally:
        sys.argv = before
    return [weight.numpy() for weight in found["model"].trainable_variables]


def run(session: Session, strategy: str, folder: Path, case: str) -> None:
    """`case`: the name of a script with its words, and after "by" the optimizer that a plan would name."""
    search_beside(str(SCRIPTS / "plan.toml"))
    script, _, by = case.partition(" by ")
    try:
        found = {"ours": ours(script, session, strategy, by)}
        if strategy == "single":
            found["theirs"] = theirs(script)
        if session.strategy.rank == 0:
            np.savez(folder / "weights.npz", **{f"{who}{place:02d}": values for who, several in found.items()
                                                for place, values in enumerate(several)})
    finally:
        search_beside("")
        keras.backend.set_floatx("float32")
