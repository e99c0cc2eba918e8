"""Studies whose seeds are decided by looks, 3 to 16 of them: how often a verdict is wrong at any look, how often the
printed interval of a gap holds it when the study ends, how often the batches kept are those that all 16 seeds keep, the
share of the runs of 16 seeds that the median study takes, and how many take more than 40 % of them.

Three batches beside the reference, judged by tables with all seeds, of which a look sees those up to it. A run varies
by 0.14 points, so that a gap varies by 0.2 as on MNIST, where the margin is 0.5. Where examples are shared, all seeds
choose by the same 12,000, whose choice moves a gap by 0.1 points: all 16 seeds then show half the margin to be no loss
in 4 of 10 studies, and what the last look lacks of the level tells in some of them. Of three rules, whose batches are
tested together, *seen* is how often the largest batch kept is another one; how often any is, is in the note.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from batchscale.analysis.decision.looks.judged import Cell, Looks, NOT_WORSE, SAME, sequential_looks, WORSE
from batchscale.analysis.statistics.estimate import Floats, LEVEL
from batchscale.analysis.study.arms import load_arms
from batchscale.analysis.study.non_inferiority import loss_tests
from batchscale.analysis.tables.results import Results
from batchscale.benchmarks.planning.derived_keys import MAX_SEEDS
from simulation.accuracy_tables import Arms, MARGIN, REFERENCE, results, shared_key
from simulation.coverage import Coverage

BATCHES = (128, 512, 2048)
MOST, NOISE, OFFSET, BASE = MAX_SEEDS, 0.0014, 0.003, 0.9
EXAMPLES, BASE_OF_EXAMPLES, SHARE_APART = (12_000, 10_000), 0.97, 0.16
"""Of studies whose seeds share so many validation and test examples: their accuracy, and of the two error rates the
share that is the variance of a difference on one example."""
PLAN = '[[experiment]]\nname = "simulated"\nseeds = "auto"\n'
Losses = Mapping[str, Sequence[float]]  # by rule, of each of BATCHES
NULL, HALF, CLEAR = (0.0, 0.0, 0.0), (MARGIN / 2,) * 3, (0.02, 0.03, 0.05)
TRUTHS: dict[str, Losses] = {
    **{truth: {"constant": losses} for truth, losses in {
        "null": NULL, "at the margin": (MARGIN,) * 3, "half the margin": HALF, "clear loss": CLEAR,
        "null, half the margin and clear loss": (0.0, MARGIN / 2, 0.03), "null, varies twice as much": NULL}.items()},
    "two rules null, one half the margin": {"constant": HALF, "sqrt": NULL, "linear": NULL},
    "a rule null, one half the margin, one a clear loss": {"constant": CLEAR, "sqrt": HALF, "linear": NULL}}
TOGETHER = tuple(TRUTHS)[:4]
SHARED = {f"{truth}, shared examples": TRUTHS[truth] for truth in TOGETHER}
TRUTHS |= SHARED
WIDER = {"null, varies twice as much": 2.0}
WRONG = {"null": "wrongly worse", "null, varies twice as much": "wrongly worse", "at the margin": "wrongly not worse",
         "null, shared examples": "wrongly worse", "at the margin, shared examples": "wrongly not worse"}
VERDICTS = tuple(f"{cell}: {what}" for cell, what in WRONG.items())
INTERVALS = tuple(f"{cell}: interval" for cell in TRUTHS)
NAMED = f"{', '.join(TOGETHER[:-1])} and {TOGETHER[-1]}"
OF_SHARED = f"{NAMED}, shared examples: as all {MOST} seeds"
AGREEMENTS = (*(f"{cell}: as all {MOST} seeds" for cell in TRUTHS if cell not in SHARED), OF_SHARED)
DEARER, SHARE = "takes more than 40 % of the runs", 0.4
COSTS = f"{NAMED}: {DEARER}"
CELLS = (*VERDICTS, *INTERVALS, *AGREEMENTS, COSTS)


@dataclass(frozen=True)
class Ended:
    """One study at its end: its looks, the batches that all seeds keep, and the share of all runs that it took."""

    looks: Looks
    by_all: frozenset[Cell]
    share: float

    @property
    def by_several_rules(self) -> bool:
        """Return whether batches of several rules were tested together."""
        return len({rule for rule, _ in self.looks.wanted}) > 1

    @property
    def kept(self) -> frozenset[Cell]:
        """Return the rules and batches that are kept by the looks."""
        return frozenset((one.rule, one.global_batch) for one in self.looks.judged if one.answer in (NOT_WORSE, SAME))


def study(noise: np.random.Generator, losses: Losses, spread: float = 1.0, shared: bool = False) -> dict[str, Results]:
    """Return the tables of one study with all its seeds: "looks" as a plan with seeds = "auto" has them, "all" as one
    that takes all of them. shared: whether the seeds share EXAMPLES, which add to every gap what no seed lessens."""
    offset = noise.normal(0, OFFSET, MOST)
    truth = {shared_key(REFERENCE): 0.0, **{(rule, -1, batch): loss for rule, own in losses.items()
                                            for batch, loss in zip(BATCHES, own)}}
    base = BASE_OF_EXAMPLES if shared else BASE
    part = {key: base - loss + offset + noise.normal(0, NOISE * spread, MOST) for key, loss in truth.items()}
    validation, test = (_on_examples(part, noise, each) for each in EXAMPLES) if shared else (part, part)
    arms = Arms(validation, test, EXAMPLES) if shared else Arms(validation, test)
    return {"looks": results(arms, plan_text=PLAN), "all": results(arms)}


def _on_examples(part: Mapping[tuple[str, int, int], Floats], noise: np.random.Generator,
                 examples: int) -> dict[tuple[str, int, int], Floats]:
    """What the runs reach on one set of examples, on which each batch differs from the reference by its own amount."""
    own = {key: math.sqrt(SHARE_APART * (2 - 2 * BASE_OF_EXAMPLES) / examples) * noise.normal() for key in part}
    return {key: values + (own[key] if key != shared_key(REFERENCE) else 0.0) for key, values in part.items()}


def ended(noise: np.random.Generator, losses: Losses, spread: float = 1.0, shared: bool = False) -> Ended:
    """Simulate one study to its end."""
    found = study(noise, losses, spread, shared)
    looks, = sequential_looks(found["looks"])
    arms = load_arms(found["all"])
    kept = loss_tests(arms).kept(arms[0].outcome.margin, arms[0].outcome.alpha)
    taken = sum(looks.wanted.values()) / (MOST * len(looks.wanted))
    return Ended(looks, frozenset((rule, batch) for rule, batches in kept.items() for batch in batches
                                  if batch != REFERENCE), taken)


@lru_cache(maxsize=None)
def studies_of(truth: str, studies: int, seed: int) -> tuple[Ended, ...]:
    """Simulate studies of one of TRUTHS to their end, once for all that is asked about them."""
    noise = np.random.default_rng(seed)
    return tuple(ended(noise, TRUTHS[truth], WIDER.get(truth, 1.0), truth in SHARED) for _ in range(studies))


def simulate(cell: str, studies: int, seed: int) -> Coverage:
    """Simulate one of CELLS; nominal and seen are shares of studies with a wrong verdict, of intervals that hold the
    gap, or of studies that keep other batches than all seeds do."""
    truth, _, what = cell.partition(": ")
    if cell == COSTS:
        return _costs([each for one in TOGETHER for each in studies_of(one, studies, seed)])
    if cell == OF_SHARED:
        return _agreement(cell, [each for one in SHARED for each in studies_of(one, studies, seed)])
    found = studies_of(truth, studies, seed)
    if what == "interval":
        return _intervals(cell, found, {(rule, batch): loss for rule, own in TRUTHS[truth].items()
                                        for batch, loss in zip(BATCHES, own)})
    if what.startswith("as all"):
        return _agreement(cell, found)
    wrong = (WORSE,) if what == "wrongly worse" else (NOT_WORSE, SAME)
    seen = float(np.mean([any(one.answer in wrong for one in each.looks.judged) for each in found]))
    return Coverage(cell, 1 - LEVEL, seen, math.nan, studies, "any batch, at any look")


def _intervals(cell: str, found: Sequence[Ended], truth: Mapping[Cell, float]) -> Coverage:
    each = [(one.loss, truth[one.rule, one.global_batch]) for study in found for one in study.looks.judged]
    inside = [loss.low <= lost <= loss.high for loss, lost in each]
    width = float(np.median([100 * (loss.high - loss.low) for loss, _ in each]))
    return Coverage(cell, LEVEL, float(np.mean(inside)), width, len(found), "width in points, of every batch")


def _agreement(cell: str, found: Sequence[Ended]) -> Coverage:
    shares, seen, what = [each.share for each in found], _share_of(each.kept != each.by_all for each in found), ""
    if found[0].by_several_rules:
        what = f"another largest batch kept, in {seen:.0%} another one of some rule"
        seen = _share_of(_largest(each.kept) != _largest(each.by_all) for each in found)
    return Coverage(cell, 1 - LEVEL, seen, math.nan, len(found),
                    f"{what or 'other batches kept'}; {np.median(shares):.0%} of the runs in the median study, "
                    f"{max(shares):.0%} at most")


def _share_of(answers: Iterable[bool]) -> float:
    return float(np.mean(list(answers)))


def _largest(cells: frozenset[Cell]) -> int:
    return max((batch for _, batch in cells), default=REFERENCE)


def _costs(found: Sequence[Ended]) -> Coverage:
    """Half of the studies are dearer than the median one."""
    shares = [each.share for each in found]
    return Coverage(COSTS, 0.5, float(np.mean([share > SHARE for share in shares])), math.nan, len(found),
                    f"{np.median(shares):.0%} in the median study, {np.mean(shares):.0%} on average, more than "
                    f"{np.quantile(shares, 0.9):.0%} in one of ten")
