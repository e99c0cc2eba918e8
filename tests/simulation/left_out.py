"""How far the rule `measured` is from the best rates of real runs: one setting left out at a time.

    python -m simulation.left_out TABLE.csv

The table has one run a row: the columns that name its setting, its batch, its learning rate and the loss that it ended
with. Each setting's exponent is taken from the others alone, on a prior that comes before all of them. A rule takes
the best rate of a smaller batch of the setting to a larger one; smaller batches whose best rate lies at the edge of
those tried have none to take. Regret is the loss at the rule's rate, between the rates tried by interpolation in log
rate, over the best loss at that batch, less 1.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from batchscale.analysis.laws.rates.best_rate import best_rates, BestRate, TriedRate
from batchscale.analysis.laws.rates.exponent import fit_rate_law, FOR_ADAM, FOR_GRADIENT, prior_from
from batchscale.benchmarks.schedules.rules import POWERS

MEASURED = "measured"
PRIORS = {"adam": FOR_ADAM, "gradient": FOR_GRADIENT}
GROUPS = (("< 8", 0.0, 8.0), ("8 to 32", 8.0, 32.0), ("> 32", 32.0, math.inf))
ASKED = 0.004  # of loss, up to a factor of 32
Settings = Mapping[tuple[str, ...], Sequence[TriedRate]]


@dataclass(frozen=True)
class Regret:
    """What a rule loses at one batch of one setting, from one smaller batch; inside: its rate lies among those
    tried."""

    setting: tuple[str, ...]
    rule: str
    factor: float
    regret: float
    inside: bool


def read(path: Path, setting: Sequence[str], batch: str, rate: str, loss: str) -> Settings:
    """Return the runs of each setting of a table, by the names of its columns."""
    found: dict[tuple[str, ...], list[TriedRate]] = defaultdict(list)
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            found[tuple(row[name] for name in setting)].append(
                TriedRate(int(row[batch]), float(row[rate]), float(row[loss])))
    return found


def left_out(settings: Settings, prior: str = "adam") -> Iterator[tuple[tuple[str, ...], float]]:
    """Yield each setting with the exponent that all the others give it."""
    best = {name: best_rates(trials) for name, trials in settings.items()}
    for name in settings:
        others = [rates for other, rates in best.items() if other != name]
        yield name, prior_from(others, PRIORS[prior]).estimate.value


def regrets(settings: Settings, exponents: Mapping[tuple[str, ...], float]) -> Iterator[Regret]:
    """Yield the regret of every rule at every pair of batches of every setting."""
    for name, trials in settings.items():
        found = [one for one in best_rates(trials) if not one.side]
        for small in found:
            for large in sorted({one.global_batch for one in trials if one.global_batch > small.global_batch}):
                own = [one for one in trials if one.global_batch == large and math.isfinite(one.value)]
                for rule, exponent in {**POWERS, MEASURED: exponents[name]}.items():
                    yield _regret(name, rule, small, large / small.global_batch, exponent, own)


def _regret(name: tuple[str, ...], rule: str, small: BestRate, factor: float, exponent: float,
            own: Sequence[TriedRate]) -> Regret:
    tried = sorted(own, key=lambda one: one.learning_rate)
    places, values = np.log([one.learning_rate for one in tried]), [one.value for one in tried]
    place = small.log_rate + exponent * math.log(factor)
    value = float(np.interp(place, places, values))
    return Regret(name, rule, factor, value / min(values) - 1, bool(places[0] <= place <= places[-1]))


def mean_regret(found: Sequence[Regret], rule: str, low: float, high: float) -> float:
    """Return the mean regret of a rule over the pairs whose factor lies from `low` up to `high`, or beyond a `low` of
    32."""
    own = [one.regret for one in found if one.rule == rule and _within(one.factor, low, high)]
    return float(np.mean(own)) if own else math.nan


def _within(factor: float, low: float, high: float) -> bool:
    return low <= factor < high or factor == high == 32.0 if low < 32.0 else factor > low


def holds(found: Sequence[Regret]) -> bool:
    """Return whether the measured rule loses no more than sqrt in any group, and up to a factor of 32 no more than
    ASKED in any group."""
    means = {(rule, low): mean_regret(found, rule, low, high) for rule in (MEASURED, "sqrt") for _, low, high in GROUPS}
    return all(not means[MEASURED, low] > means["sqrt", low] for _, low, _ in GROUPS) and \
        all(not means[MEASURED, low] > ASKED for _, low, high in GROUPS if high <= 32.0)


def _table(found: Sequence[Regret]) -> Iterator[str]:
    rules = (*POWERS, MEASURED)
    yield "| factor | pairs | " + " | ".join(rules) + " | measured inside those tried |"
    yield "|---" * (len(rules) + 3) + "|"
    for label, low, high in GROUPS:
        own = [one for one in found if one.rule == MEASURED and _within(one.factor, low, high)]
        cells = [f"{mean_regret(found, rule, low, high):.3%}" for rule in rules]
        inside = f"{sum(one.inside for one in own)}"
        yield f"| {label} | {len(own)} | {' | '.join(cells)} | {inside} |"


def main() -> None:
    """Print each setting's exponents and the mean regrets; exit with 1 where the measured rule does not hold."""
    parser = argparse.ArgumentParser(description="Leave one setting out at a time, and say what each rule loses there.")
    parser.add_argument("table", type=Path, help="a CSV file with one run a row")
    parser.add_argument("--setting", default="parameters,tokens", help="columns that name a setting")
    parser.add_argument("--batch", default="batch_sequences", help="column of the batch")
    parser.add_argument("--rate", default="learning_rate", help="column of the learning rate")
    parser.add_argument("--loss", default="smoothed_loss", help="column of the loss at the end")
    parser.add_argument("--prior", choices=sorted(PRIORS), default="adam", help="what the optimizers are like")
    given = parser.parse_args()
    settings = read(given.table, given.setting.split(","), given.batch, given.rate, given.loss)
    exponents = dict(left_out(settings, given.prior))
    print("| setting | runs | best rates inside | its own exponent | scatter | from the others |\n" + 6 * "|---" + "|")
    for name, trials in settings.items():
        best = best_rates(trials)
        law = fit_rate_law(best, PRIORS[given.prior])
        print(f"| {' '.join(name)} | {len(trials)} | {sum(not one.side for one in best)} of {len(best)} "
              f"| {law.exponent if law else 'none'} | {law.scatter if law else math.nan:.2f} | {exponents[name]:.2f} |")
    found = list(regrets(settings, exponents))
    print("\nMean regret, of the loss:\n", *_table(found), sep="\n")
    kept = holds(found)
    print(f"\nThe measured rule {'loses' if kept else 'does not lose'} at most what sqrt does in every group, and at "
          f"most {ASKED:.1%} in each up to a factor of 32.")
    raise SystemExit(0 if kept else 1)


if __name__ == "__main__":
    main()
