"""The recommended batch, from the tables of a study to the recommendation: how often a batch is recommended that truly
loses the margin or more, where every larger batch does, with the power beside it: how often a larger batch is
recommended where none loses anything. Then how often the printed interval of a gap holds the gap on all examples, of
which a study evaluates some.

Six seeds; a run varies by 0.2 points of accuracy, the margin is 0.5.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from scipy import stats

from batchscale.analysis.decision.options import Option, options
from batchscale.analysis.decision.recommendation import recommend
from batchscale.analysis.statistics.estimate import Floats, LEVEL
from batchscale.analysis.study.arms import load_arms
from batchscale.analysis.study.batch_gaps import gap_table
from batchscale.analysis.tables.results import Results
from batchscale.benchmarks.schedules.rules import TUNED_RULE
from simulation.accuracy_tables import Arms, MARGIN, REFERENCE, results, shared_key
from simulation.coverage import Coverage

LARGE, SEEDS, NOISE, OFFSET, BASE = 512, 6, 0.002, 0.003, 0.9
RULES = ("constant", "linear", "sqrt", "legw", "noise_scale")
MOST_SEEDS = 20
PEAK_LOSS = 0.05
"""What every rate but the best loses at the reference batch of a tuned arm in the stress case."""
UNIFORM_CORRECT, HARDNESS = 3.0, 1.6
"""Of single examples: the mean and the spread of how clearly a model is right about them, in standard normals."""

Key = tuple[str, int, int]
Draw = Callable[[np.random.Generator, float], Results]


def rules_at(loss_of: int, spread: float = 1.0) -> Draw:
    """Draw studies of `loss_of` rules that all lose the same at batch LARGE, whose runs vary `spread` times as much."""
    def draw(noise: np.random.Generator, loss: float) -> Results:
        return results(_rules(noise, loss, RULES[:loss_of], SEEDS, spread))
    return draw


def _rules(noise: np.random.Generator, loss: float, rules: Sequence[str], seeds: int, spread: float = 1.0) -> Arms:
    offset = noise.normal(0, OFFSET, seeds)
    validation, test = ({shared_key(REFERENCE): BASE + offset + noise.normal(0, NOISE, seeds)} for _ in range(2))
    for rule in rules:
        for part in (validation, test):
            part[rule, -1, LARGE] = BASE - loss + offset + noise.normal(0, NOISE * spread, seeds)
    return Arms(validation, test)


def tuned(rates: int, spread: float) -> Draw:
    """Draw studies of a tuned arm: one good rate at the reference batch, every rate as good as the other at LARGE."""
    def draw(noise: np.random.Generator, loss: float) -> Results:
        offset = noise.normal(0, OFFSET, SEEDS)
        untuned = BASE - PEAK_LOSS + offset + noise.normal(0, NOISE, SEEDS)
        validation: dict[Key, Floats] = {shared_key(REFERENCE): untuned}
        for trial in range(rates):
            lost = PEAK_LOSS * (trial != rates // 2)
            validation[TUNED_RULE, trial, REFERENCE] = BASE - lost + offset + noise.normal(0, NOISE, SEEDS)
            validation[TUNED_RULE, trial, LARGE] = BASE - loss + offset + noise.normal(0, NOISE * spread, SEEDS)
        return results(Arms(validation, validation))
    return draw


def recommended(found: Results) -> Option | None:
    """Return what the study recommends."""
    arms = load_arms(found)
    return recommend(arms, options(arms, found), 0.5).option


def _larger(found: Results) -> bool:
    chosen = recommended(found)
    return chosen is not None and chosen.global_batch > REFERENCE


def _errors(draw: Draw, name: str, studies: int, seed: int) -> Coverage:
    noise = np.random.default_rng(seed)
    wrong = [_larger(draw(noise, MARGIN)) for _ in range(studies)]
    right = [_larger(draw(noise, 0.0)) for _ in range(max(studies // 3, 1))]
    return Coverage(name, 1 - LEVEL, float(np.mean(wrong)), math.nan, studies, f"power {np.mean(right):.0%}")


def _looked_again(name: str, studies: int, seed: int) -> Coverage:
    """Three rules at the margin; while nothing is recommended the study goes on with twice the seeds, up to three
    looks, each told of those before it."""
    noise = np.random.default_rng(seed)
    wrong = 0
    for _ in range(studies):
        whole = _rules(noise, MARGIN, RULES[:3], MOST_SEEDS)
        for look, seeds in enumerate((SEEDS, 2 * SEEDS, MOST_SEEDS)):
            part = Arms(_first(whole.validation, seeds), _first(whole.test, seeds))
            if _larger(results(part, earlier_looks=look)):
                wrong += 1
                break
    return Coverage(name, 1 - LEVEL, wrong / studies, math.nan, studies, f"up to {MOST_SEEDS} seeds")


def _first(values: Mapping[Key, Floats], seeds: int) -> dict[Key, Floats]:
    return {key: own[:seeds] for key, own in values.items()}


def _identical(name: str, studies: int, seed: int) -> Coverage:
    """Every run ends at the same accuracy, so the largest batch is as good; it is wrong not to recommend it."""
    wrong = 0
    for _ in range(studies):
        same = {key: np.full(SEEDS, 0.96) for key in (shared_key(REFERENCE), shared_key(128), shared_key(LARGE))}
        chosen = recommended(results(Arms(same, same, (360, 360))))
        wrong += chosen is None or chosen.global_batch != LARGE
    return Coverage(name, 0.0, wrong / studies, math.nan, studies, "the largest batch is recommended otherwise")


def _sampled(examples: int, apart: float, name: str, studies: int, seed: int) -> Coverage:
    """Coverage of the gap on all examples, which is zero. apart: how differently both batches see one example."""
    noise = np.random.default_rng(seed)
    inside, widths, wide = [], [], 0
    for _ in range(studies):
        validation, test = ({shared_key(batch): own for batch, own in zip((REFERENCE, LARGE), part)}
                            for part in (_answers(noise, examples, apart) for _ in range(2)))
        arms = Arms(validation, test, (examples, examples))
        gap = gap_table(load_arms(results(arms))[0], MARGIN)[0].estimate
        inside.append(gap.low <= 0 <= gap.high)
        widths.append(100 * (gap.high - gap.low))
        wide += gap.high - gap.low > 2 * MARGIN
    return Coverage(name, LEVEL, float(np.mean(inside)), float(np.median(widths)), studies,
                    f"width in points; too wide for the margin in {wide / studies:.0%}")


def _answers(noise: np.random.Generator, examples: int, apart: float) -> Floats:
    """Accuracy of each of two batches and six runs on the same examples, float[2, seeds]."""
    clear = noise.normal(UNIFORM_CORRECT, HARDNESS, examples)
    chance = stats.norm.cdf(clear + noise.normal(0, apart, (2, examples)))
    return np.asarray((noise.random((SEEDS, 2, examples)) < chance).mean(axis=2).T)


_CELLS: dict[str, Callable[[str, int, int], Coverage]] = {
    **{f"{count} rule{'s' * (count > 1)} at the margin": partial(_errors, rules_at(count)) for count in (1, 3, 5)},
    "3 rules at the margin, large batch varies 3 times as much": partial(_errors, rules_at(3, 3.0)),
    **{f"tuned, {rates} rates at the margin{words}": partial(_errors, tuned(rates, spread))
       for rates in (5, 8) for words, spread in (("", 1.0), (", large batch varies 3 times as much", 3.0))},
    "3 rules at the margin, more seeds until decided": _looked_again,
    "identical results": _identical,
    **{f"gap on all examples from {examples:,}{words}": partial(_sampled, examples, apart)
       for examples in (360, 1000, 10_000) for words, apart in (("", 0.5), (", batches far apart", 0.9))}}
CELLS = tuple(_CELLS)


def simulate(cell: str, studies: int, seed: int) -> Coverage:
    """Simulate one of CELLS; nominal and seen are shares of wrong recommendations, or of intervals that hold the
    gap."""
    return _CELLS[cell](cell, studies, seed)
