"""The critical batch from steps to a target, as a study prints it: accuracy is a function of the progress
steps/(1 + B_crit/B) alone, so that the law holds exactly, and is evaluated after 1, 2, 4, ... steps and at the ends of
the epochs. Six seeds at batches 32, 128, 512 and 2,048, with a level for each seed, 3 % noise in the speed of each run
and 0.1 points in what it ends with; the largest batches often miss the target. Width in multiples of the truth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from batchscale.analysis.laws.steps_by_seed import fit_runs_to_target
from batchscale.analysis.statistics.estimate import Estimate, Floats
from batchscale.analysis.study.arms import Arm, load_arms
from batchscale.analysis.study.targets import fewest, runs_of, steps_to_target, target_value
from simulation.coverage import covered, Coverage
from support.synthetic_records import results, SGD, Study

EXAMPLES = 48_000
SPEED_NOISE = 0.03
RUN_NOISE = 0.001
SEED_NOISE = 0.003
BEST = 0.96
# The share of what there is to learn, over the progress in units of the reference batch's whole run.
Shape = Callable[[Floats], Floats]


def exponential(progress: Floats) -> Floats:
    """Return the share learned of a curve that nears its end as exp(-x)."""
    return np.asarray(1 - np.exp(-25 * progress))


def root_exponential(rate: float) -> Shape:
    """Return the shape of a curve that nears its end as exp(-sqrt x)."""
    return lambda progress: np.asarray(1 - np.exp(-rate * np.sqrt(progress)))


def power(progress: Floats) -> Floats:
    """Return the share learned of a curve that nears its end as a power of the steps."""
    return np.asarray(1 - (1 + 150 * progress) ** -1.5)


@dataclass(frozen=True)
class Cell:
    """A true critical batch, the shape of the curves over the progress (1 at the reference batch's end), the epochs."""

    critical_batch: float
    shape: Shape
    epochs: int = 10


# The rates are such that batch 512 passes the target and batch 2,048 mostly does not.
TRUTHS = {"B_crit 100, exp(-sqrt)": Cell(100, root_exponential(11)), "B_crit 100, exp": Cell(100, exponential),
          "B_crit 100, power": Cell(100, power), "B_crit 1,000, exp(-sqrt)": Cell(1000, root_exponential(6)),
          "B_crit 1,000, exp(-sqrt), 30 epochs": Cell(1000, root_exponential(6), 30)}
CELLS = tuple(TRUTHS)


def simulate(cell: str, studies: int, seed: int) -> Coverage:
    """Return how often the interval of a study's critical batch from steps holds the truth."""
    truth, chance = TRUTHS[cell], np.random.default_rng(seed)
    study = Study(experiments=(replace(SGD, curves={"constant": SGD.curves["constant"]}, batches=(32, 128, 512, 2048),
                                       noise_batches=()),),
                  timing=None, memory=None, epochs=truth.epochs, train_examples=EXAMPLES)
    blank, = load_arms(results(study))
    found = [_critical_batch(_measured(blank, truth, chance)) for _ in range(studies)]
    return covered(cell, truth.critical_batch, [each.value for each in found], [each.low for each in found],
                   [each.high for each in found])


def _critical_batch(arm: Arm) -> Estimate:
    """As `target_law` has it, without what else is known of that target."""
    runs = runs_of(fewest(steps_to_target([arm], target_value(arm, arm.outcome.margin))))
    return fit_runs_to_target(runs).critical_batch


def _measured(blank: Arm, cell: Cell, chance: np.random.Generator) -> Arm:
    """Return the arm with new accuracies at the same evaluations."""
    rows, runs = blank.evaluations, blank.runs
    levels = chance.normal(0, SEED_NOISE, runs["seed"].max() + 1)
    own = pd.DataFrame({"run_id": runs["run_id"], "speed": np.exp(chance.normal(0, SPEED_NOISE, len(runs))),
                        "best": BEST + levels[runs["seed"]] + chance.normal(0, RUN_NOISE, len(runs))})
    speed, best = (rows["run_id"].map(own.set_index("run_id")[name]).to_numpy() for name in ("speed", "best"))
    steps, batches = (rows[name].to_numpy(np.float64) for name in ("step", "global_batch"))
    whole = EXAMPLES / 32 * cell.epochs / (1 + cell.critical_batch / 32)
    progress = speed * steps / (1 + cell.critical_batch / batches) / whole
    values = 0.1 + (best - 0.1) * cell.shape(progress)
    return replace(blank, evaluations=rows.assign(validation_accuracy=values, test_accuracy=values))
