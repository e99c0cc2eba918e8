"""The numbers of README's answer, from results folders by what `import batchscale` gives, as Markdown.

    python -m batchscale.launchers.site.answer RESULTS...     folders of the same plan on different data
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from ...benchmarks.errors import EXIT_OK, EXIT_USAGE, BatchscaleError
from ...benchmarks.schedules.rules import PUBLISHED_RULE
from ..python.loaded import load, Loaded

RULES = ("constant", "linear", "sqrt")
COARSE = 10.0  # points: the half width from which decimals say nothing
Numbers = Mapping[str, Any]


def lines(found: Sequence[Loaded]) -> Iterator[str]:
    """Yield README's tables and the numbers of its sentences."""
    yield "| data | experiment | reference | largest batch | constant | linear | square root |"
    yield "|---|---|---|---|---|---|---|"
    for one in found:
        yield from (_lost_row(one, card) for card in one.decision["cards"])
    yield f"\n| claim |{''.join(f' {data_of(one)} |' for one in found)}\n|---|{'---|' * len(found)}"
    yield from (_claim_row(number, found) for number in range(1, 11))
    for one in found:
        yield f"\n{data_of(one)}:\n"
        yield from _sentences(one)


def data_of(found: Loaded) -> str:
    """Return the names of the data that was trained on."""
    return ", ".join(dict.fromkeys(str(name) for name in found.runs["dataset"] if name))


def points(gap: Numbers, scale: float = 100.0) -> str:
    """Return a number of decision.json with its interval, in points where it is a fraction: `3.0 (2.6 to 3.5)`."""
    value, low, high = (math.nan if gap[name] is None else scale * gap[name] for name in ("value", "low", "high"))
    places = 0 if high - low >= 2 * COARSE else 1
    ends = f" ({low:.{places}f} to {high:.{places}f})" if math.isfinite(high - low) else ""
    return f"{value:.{places}f}{ends}"


def _lost_row(found: Loaded, card: Numbers) -> str:
    largest = max((one["global_batch"] for one in card["lost"]), default=card["reference_batch"])
    lost = {one["rule"]: one["gap"] for one in card["lost"] if one["global_batch"] == largest}
    cells = (points(lost[rule]) if rule in lost else "" for rule in RULES)
    accuracy = 100 * mean_accuracy(found.tidy, card["experiment"], RULES[0], card["reference_batch"])
    return (f"| {data_of(found)} | {card['trained']} ({card['experiment']}) | {accuracy:.1f} % at batch "
            f"{card['reference_batch']:,} | {largest:,} | {' | '.join(cells)} |")


def mean_accuracy(tidy: pd.DataFrame, experiment: str, rule: str, batch: int) -> float:
    """Return the mean test accuracy over the seeds."""
    rows = tidy[(tidy["measure"] == "test_accuracy") & tidy["chosen"] & (tidy["experiment"] == experiment)
                & (tidy["rule"] == rule) & (tidy["global_batch"] == batch)]
    return float(rows["value"].mean())


def _claim_row(number: int, found: Sequence[Loaded]) -> str:
    claims = [next(one for one in each.decision["claims"] if one["number"] == number) for each in found]
    words = (next(one["in_words"] for one in each.decision["claims_in_words"] if one["number"] == number)
             for each in found)
    cells = (f"{claim['verdict']}: {said}" if said else claim["verdict"] for claim, said in zip(claims, words))
    return f"| {number}. {claims[0]['claim']} | {' | '.join(cells)} |"


def _sentences(found: Loaded) -> Iterator[str]:
    decision, tidy = found.decision, found.tidy
    for card in decision["cards"]:
        constant = (one for one in card["lost"] if one["rule"] == RULES[0])
        yield f"- {card['experiment']}, constant rate, lost: " + "; ".join(
            f"{points(one['gap'])} at batch {one['global_batch']:,}" for one in constant)
        yield from _published(found, card, tidy)
    for one in decision["critical"]:
        sources = (f"{points(value, 1.0)} from {name}" for name, value in one["sources"].items() if value["value"])
        yield f"- {one['experiment']}, critical batch: {'; '.join(sources)}"
    yield from _speed(tidy)
    for one in decision["scaling"]:
        shares = (f"{points(point['efficiency'])} % of {point['replicas']} times one replica"
                  for point in one["points"] if point["replicas"] > 1)
        yield f"- {one['experiment']}, {one['kind']} scaling, {one['strategy']}, batch {one['fixed_batch']:,}: " + \
            "; ".join(shares)
    for card in decision["cards"]:
        taken = ", ".join(f"{name.lower()} {value}" for name, value in card["settings"].items())
        yield f"- {card['experiment']}, recommended: {taken or card['reason']}; {card['heading']}"


def _published(found: Loaded, card: Numbers, tidy: pd.DataFrame) -> Iterator[str]:
    """The largest batch as one model trained on from batch to batch makes it seem, and started afresh."""
    runs = found.runs
    own = runs[(runs["experiment"] == card["experiment"]) & (runs["rule"] == PUBLISHED_RULE)]
    if len(own):
        batch = int(own["global_batch"].max())
        seems = own.loc[own["global_batch"] == batch, "test_accuracy"].mean()
        afresh = mean_accuracy(tidy, card["experiment"], RULES[0], batch)
        yield f"- {card['experiment']}, batch {batch:,}: {100 * seems:.1f} % as published, {100 * afresh:.1f} % afresh"


def _speed(tidy: pd.DataFrame) -> Iterator[str]:
    alone = tidy[(tidy["measure"] == "examples_per_second") & (tidy["replicas"] == 1)]
    for (experiment, placement), rows in alone.groupby(["experiment", "placement"], sort=False):
        rates = rows.groupby("global_batch")["value"].median()
        shares = ", ".join(f"{100 * rate / rates.max():.0f} % at batch {batch:,}" for batch, rate in rates.items())
        yield f"- {experiment}, {placement}: of its best throughput {shares}"


def main(words: Sequence[str]) -> int:
    """Print the numbers of the folders that the command line names."""
    if not words:
        print(__doc__)
        return EXIT_USAGE
    try:
        print("\n".join(lines([load(word) for word in words])))
    except BatchscaleError as error:
        print(f"answer: {error}", file=sys.stderr)
        return error.exit_code
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
