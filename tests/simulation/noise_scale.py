"""The noise scale as a study prints it: gradients of groups are normal in 400 dimensions around a gradient of known
length, at every step that a run probes. Six seeds unless the cell says otherwise, batch 32. At B_noise = 5,000 and 128
examples a probe the gradient is mostly lost: such studies say "no interval", which counts as holding the truth. Width
in multiples of the truth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from batchscale.analysis.laws.noise_average import noise_scale
from batchscale.analysis.statistics.estimate import Floats
from batchscale.benchmarks.schedules.phases import evaluation_steps
from simulation.coverage import covered, Coverage

DIMENSIONS = 400
BATCH = 32
STEPS, EPOCHS = 15_000, 10
EXAMPLES = STEPS * BATCH // EPOCHS


@dataclass(frozen=True)
class Cell:
    """A true noise scale at the start and at the end of a run, what a probe sees, the number of seeds, by how much
    (standard deviation of the log) the noise scale differs from seed to seed, and the power of the steps made with
    which it grows."""

    start: float
    end: float
    probes: tuple[tuple[int, int], ...]
    seeds: int = 6
    spread: float = 0.0
    power: float = 1.0

    def scale(self, steps: Floats) -> Floats:
        """Return B_noise at each step."""
        return self.start + (self.end - self.start) * (np.asarray(steps, dtype=np.float64) / STEPS) ** self.power

    @property
    def truth(self) -> float:
        """The critical batch, integral B_noise ds / integral ds, with ds = dS/(1 + B_noise/B)."""
        scale = self.scale(np.linspace(0, STEPS, 100_001))
        progress = 1 / (1 + scale / BATCH)
        return float((scale * progress).sum() / progress.sum())


FEW, MANY = ((1, 32), (8, 16), (32, 4)), ((1, 32), (32, 32), (128, 16), (512, 4))
TRUTHS = {"B_noise 200, 128 examples a probe": Cell(200, 200, FEW),
          "B_noise 5,000, 128 examples a probe": Cell(5000, 5000, FEW),
          "B_noise 200, 2,048 examples a probe": Cell(200, 200, MANY),
          "B_noise 5,000, 2,048 examples a probe": Cell(5000, 5000, MANY),
          "B_noise from 130 to 2,000": Cell(130, 2000, MANY),
          "B_noise from 130 to 2,000, 3 seeds": Cell(130, 2000, MANY, 3),
          "B_noise from 130 to 2,000 as the root of the steps": Cell(130, 2000, MANY, power=0.5),
          "B_noise from 130 to 2,000, seeds differ by 20 %": Cell(130, 2000, MANY, spread=0.2),
          "B_noise from 130 to 2,000, 3 seeds differ by 20 %": Cell(130, 2000, MANY, 3, 0.2)}
CELLS = tuple(TRUTHS)


def simulate(cell: str, studies: int, seed: int) -> Coverage:
    """Return how often the interval of a study's noise scale holds the truth, and whether one was below zero."""
    truth, chance = TRUTHS[cell], np.random.default_rng(seed)
    steps = np.array(evaluation_steps(STEPS // EPOCHS, EPOCHS), dtype=np.float64)
    found = [noise_scale(pd.concat(_norms(truth, steps, one, chance) for one in range(truth.seeds)), EXAMPLES,
                         BATCH).average for _ in range(studies)]
    below = sum(each.low < 0 for each in found)
    return covered(cell, truth.truth, [each.value for each in found], [each.low for each in found],
                   [each.high for each in found], note=f"{below} intervals below zero")


def _norms(cell: Cell, steps: Floats, seed: int, chance: np.random.Generator) -> pd.DataFrame:
    """The squared norms of normal gradients by their exact distributions; |G|^2 is 1, and tr(Sigma) is B_noise."""
    tables, own = [], float(np.exp(chance.normal(0, cell.spread)))
    for batch, count in cell.probes:
        # Groups are drawn without replacement, which takes 1/N off the variance of every mean.
        variance = own * cell.scale(steps) / DIMENSIONS
        of_mean = variance * (1 / (batch * count) - 1 / EXAMPLES)
        mean = of_mean * chance.noncentral_chisquare(DIMENSIONS, 1 / of_mean)
        around = variance / batch * chance.chisquare(DIMENSIONS * (count - 1), steps.size) / count
        tables.append(pd.DataFrame({"seed": seed, "step": steps, "batch": batch, "count": count,
                                    "mean_norm_squared": mean + around, "norm_squared_of_mean": mean}))
    return pd.concat(tables)
