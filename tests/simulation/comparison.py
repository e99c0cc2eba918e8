"""The regression gate, from two sides' launches to the exit code: how often it fails where no configuration is slower
than the tolerance allows and all are exactly as slow as it allows, and how often it fails where something is slower.
The rows of power have the share that it misses as *seen*.

The tolerance is 5 %; launches vary by 2 or 5 %, each independently, and the configurations' levels over two orders.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from batchscale.analysis.comparison.changes import Cell, Comparison, Side, TOLERANCE
from batchscale.analysis.comparison.compare import compare
from batchscale.analysis.statistics.estimate import LEVEL
from simulation.coverage import Coverage

POWER = 0.2
"""What a test with the usual power of 80 % misses."""


@dataclass(frozen=True)
class Case:
    """Step times of `cells` configurations with `launches` on each side that vary by `noise`. `slower`: of how many, by
    `factor`; `uneven`: the largest over the smallest noise of a configuration; `shared`: noise that all configurations
    of a launch share; `disturbed`: the share of single launches on the new side that take half as long again."""

    cells: int = 64
    launches: int = 3
    noise: float = 0.02
    slower: int = 64
    factor: float = 1 + TOLERANCE
    uneven: float = 1.0
    shared: float = 0.0
    disturbed: float = 0.0


def drawn(case: Case, noise: np.random.Generator) -> Comparison:
    """Return the comparison of two sides of this case."""
    spreads = case.noise * case.uneven ** np.linspace(-0.5, 0.5, case.cells)
    levels = np.geomspace(1e-3, 1e-1, case.cells)
    sides = []
    for new in (False, True):
        times = levels[:, None] * np.exp(spreads[:, None] * noise.normal(size=(case.cells, case.launches))
                                         + noise.normal(0, case.shared, case.launches))
        if new:
            times[:case.slower] *= case.factor
            times *= np.where(noise.random(times.shape) < case.disturbed, 1.5, 1.0)
        cells = {("step_seconds", f"configuration {index}"): Cell("step_seconds", dict(enumerate(map(float, row))))
                 for index, row in enumerate(times)}
        sides.append(Side("new" if new else "base", "simulated", cells, 0.005))
    base, changed = sides
    return compare(base, changed)


def _false(case: Case, name: str, studies: int, seed: int) -> Coverage:
    noise = np.random.default_rng(seed)
    failed = [drawn(case, noise).exit_code() == 1 for _ in range(studies)]
    return Coverage(name, 1 - LEVEL, float(np.mean(failed)), math.nan, studies, "false regressions")


def _missed(case: Case, name: str, studies: int, seed: int) -> Coverage:
    noise = np.random.default_rng(seed)
    found = [drawn(case, noise) for _ in range(studies)]
    passed = np.mean([one.exit_code() == 0 for one in found])
    strict = np.mean([one.exit_code(strict=True) == 0 for one in found])
    named = np.mean([len(one.of("regression")) / case.slower for one in found])
    return Coverage(name, POWER, float(passed), math.nan, studies,
                    f"power {1 - passed:.0%}; {named:.0%} of the slower configurations named; passes --strict in "
                    f"{strict:.0%}")


FALSE = {
    "64 configurations 5 % slower, noise 2 %": Case(),
    "64 configurations 5 % slower, noise 5 %": Case(noise=0.05),
    "64 configurations 5 % slower, noise 1 to 5 %": Case(noise=0.022, uneven=5.0),
    "64 configurations 5 % slower, launches share 3 %": Case(shared=0.03),
    "64 configurations unchanged, 2 % of launches take half as long again": Case(factor=1.0, disturbed=0.02),
    "1 configuration 4.9 % slower, noise 2 %, 6 launches": Case(1, 6, slower=1, factor=1.049),
    "12 configurations 5 % slower, noise 3 %, 6 launches": Case(12, 6, 0.03, 12)}
MISSED = {
    "1 of 64 configurations 20 % slower, noise 2 %": Case(slower=1, factor=1.2),
    "1 of 64 configurations 20 % slower, noise 5 %": Case(noise=0.05, slower=1, factor=1.2),
    "1 of 64 configurations 10 % slower, noise 2 %": Case(slower=1, factor=1.1),
    "1 of 64 configurations 10 % slower, noise 5 %": Case(noise=0.05, slower=1, factor=1.1),
    "all 64 configurations 10 % slower, noise 5 %": Case(noise=0.05, factor=1.1),
    "1 of 12 configurations 10 % slower, noise 2 %, 6 launches": Case(12, 6, slower=1, factor=1.1)}
_CELLS: dict[str, Callable[[str, int, int], Coverage]] = {
    **{name: partial(_false, case) for name, case in FALSE.items()},
    **{name: partial(_missed, case) for name, case in MISSED.items()}}
CELLS = tuple(_CELLS)


def simulate(cell: str, studies: int, seed: int) -> Coverage:
    """Simulate one of CELLS; nominal and seen are shares of comparisons that fail by mistake, or that miss."""
    return _CELLS[cell](cell, studies, seed)
