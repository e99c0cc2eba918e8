"""Tables of accuracy runs with known truth, as reading a results folder makes them, without the folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from batchscale.analysis.columns import EVALUATION, GRADIENT_NORM, MEMORY, REPEATED, RUN, WINDOW
from batchscale.analysis.statistics.estimate import Floats
from batchscale.analysis.tables.results import ENVIRONMENT, Results, STATUS
from batchscale.analysis.tables.tuned_rates import not_chosen, tuned_batches
from batchscale.benchmarks.records.manifest import of as manifest_of
from batchscale.benchmarks.schedules.rules import SHARED_RULE, TUNED_RULE

REFERENCE, MARGIN = 32, 0.005
TRAIN_EXAMPLES, EPOCHS = 48_000, 10
TEXT = {"experiment": "simulated", "kind": "accuracy", "dataset": "made", "model": "made", "optimizer": "sgd",
        "strategy": "single", "transport": "", "placement": "single-1r", "scaling": "", "precision": "float32",
        "status": "completed", "loss": ""}


@dataclass(frozen=True)
class Arms:
    """What was measured: (rule, trial, batch) -> validation and test accuracy, float[seeds] each. Trial -1 is none; at
    the reference batch every rule but the tuned one is the constant one."""

    validation: Mapping[tuple[str, int, int], Floats]
    test: Mapping[tuple[str, int, int], Floats]
    examples: tuple[int, int] = (10 ** 9, 10 ** 9)
    seconds: Mapping[int, Floats] | None = None


def results(arms: Arms, earlier_looks: int = 0, plan_text: str = "") -> Results:
    """Return the tables of these runs, each evaluated once at its end; trials that do not stand for the tuned arm are
    apart, as after reading."""
    rows = [_row(key, seed, arms) for key, values in arms.validation.items() for seed in range(len(values))]
    runs = pd.DataFrame(rows, columns=list(RUN))
    statuses = runs.reindex(columns=list(STATUS))
    tuned = tuned_batches(runs, statuses) if (runs["rule"] == TUNED_RULE).any() else ()
    out = not_chosen(runs, tuned)
    kept = runs[~out].reset_index(drop=True)
    evaluations, trials = (frame.assign(step=frame["steps"], epoch=float(EPOCHS), examples=TRAIN_EXAMPLES * EPOCHS)
                           .reindex(columns=list(dict.fromkeys((*REPEATED, "run_id", *EVALUATION))))
                           for frame in (kept, runs[out].reset_index(drop=True)))
    settings = {"margin": MARGIN, "earlier_looks": earlier_looks}
    plan = manifest_of({"runs": [], "name": "simulated", "settings": settings, "text": plan_text})
    empty = {name: pd.DataFrame(columns=[*REPEATED, *columns]) for name, columns in
             (("windows", WINDOW), ("norms", GRADIENT_NORM), ("memory", MEMORY))}
    return Results(plan, kept, evaluations, empty["windows"], empty["norms"], empty["memory"], statuses,
                   pd.DataFrame(columns=list(ENVIRONMENT)), tuned=tuned, not_chosen=runs[out].reset_index(drop=True),
                   not_chosen_evaluations=trials)


def _row(key: tuple[str, int, int], seed: int, arms: Arms) -> dict[str, object]:
    rule, trial, batch = key
    steps = EPOCHS * (TRAIN_EXAMPLES // batch)
    rate = 0.01 * 2.0 ** trial if trial >= 0 else 0.01
    seconds = arms.seconds[batch][seed] if arms.seconds else EPOCHS * (1.0 + 64 / batch) * (1 + 0.01 * np.sin(seed))
    validation, test = (float(each[key][seed]) for each in (arms.validation, arms.test))
    return {**TEXT, "run_id": f"{rule}-{trial}-{batch}-{seed}", "rule": rule, "trial": trial, "global_batch": batch,
            "replica_batch": batch, "reference_batch": REFERENCE, "replicas": 1, "nodes": 1, "cores_per_replica": 1,
            "accumulation": 1, "phase": 0, "train_examples": TRAIN_EXAMPLES, "seed": seed, "launch": 0,
            "epochs": EPOCHS, "steps": steps, "steps_per_epoch": steps // EPOCHS, "environment": 0,
            "base_learning_rate": rate, "peak_learning_rate": rate, "validation_accuracy": validation,
            "test_accuracy": test, "train_accuracy": test, "train_loss": 0.1, "validation_loss": 0.1, "test_loss": 0.1,
            "generalization_gap": 0.0, "validation_examples": float(arms.examples[0]),
            "test_examples": float(arms.examples[1]), "train_seconds": float(seconds)}


def shared_key(batch: int) -> tuple[str, int, int]:
    """Return the key of the run at the reference batch that stands for every rule."""
    return SHARED_RULE, -1, batch
