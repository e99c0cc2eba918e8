"""Which of the options to take: the fastest that costs no accuracy, as far as the records can tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...benchmarks.config.script import shown
from ...benchmarks.schedules.rules import TUNED_RULE
from ...benchmarks.text import counted, duration, listed, percent
from ..formatting import estimated, percentage
from ..statistics.decision_rules import FEWEST_SEEDS
from ..study.arms import Arm
from ..study.batch_gaps import chosen_metric, gap_at_end
from ..study.non_inferiority import standard
from ..study.timing.scaling import brings, replica_shares
from .options import ALONE, Option
from .placement import at_home, timed_alike
from .ties import as_fast, as_good, placement_order, SAME_TIME, taken


@dataclass(frozen=True)
class Recommendation:
    """Option recommended for one experiment; `option` is None where nothing can be. `reason` says why, either way.

    tied: the options at one placement among which it was taken by a rule, itself among them. `caution`: what speaks
    against trusting the option's rate. `replicas_reason`: why so many replicas and no more, a part of `reason`.
    """

    experiment: str
    optimizer: str
    model: str
    loss: str
    option: Option | None
    reason: str
    valid_for: str
    tied: tuple[Option, ...] = ()
    caution: str = ""
    replicas_reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the recommendation for decision.json; each tied option as its batch, rule and placement."""
        tied = [{"global_batch": one.global_batch, "rule": one.rule, "placement": one.placement} for one in self.tied]
        return {**vars(self), "option": self.option.to_json() if self.option else None, "tied": tied}


def recommend(arms: Sequence[Arm], found: Sequence[Option], threshold: float) -> Recommendation:
    """Return the recommendation of the fastest batch and rule that are not worse than the reference.

    A rule decides ties. It takes as many replicas as are shown to bring at least `threshold` of their share each. arms,
    found: the arms and options of one experiment. Its option is None with fewer than FEWEST_SEEDS results at the
    reference batch.
    """
    arm = arms[0]
    seeds = seeds_at_reference(arm)
    about = (arm.experiment, arm.text("optimizer"), arm.text("model"), arm.text("loss"))
    valid = _validity(arms, seeds)
    if seeds < FEWEST_SEEDS or not arm.batches:
        return Recommendation(*about, None, f"{counted(seeds, 'seed')} {'has' if seeds == 1 else 'have'} a result at "
                              f"batch {arm.reference_batch:,}; no batch is recommended on fewer than {FEWEST_SEEDS}, "
                              "which have no interval.", valid)
    fit = [option for option in found if option.not_worse]
    home = [option for option in fit if option.placement == arm.text("placement")]
    tied, why = _tied(home, arms)
    choice = taken(tied)
    option, place_why = placed([o for o in fit if (o.global_batch, o.rule) == (choice.global_batch, choice.rule)],
                               threshold)
    option = at_home(option, home)
    parts = [_reason(choice, arms, home, why), _named(tied, choice), _resolution(arms), place_why]
    return Recommendation(*about, option, " ".join(part for part in parts if part), valid, tuple(tied),
                          replicas_reason=place_why)


def seeds_at_reference(arm: Arm) -> int:
    """Return how many runs at the arm's reference batch have a result on the data that choose."""
    return int(arm.rows_at(arm.reference_batch)[chosen_metric(arm)].notna().sum())


def _reason(choice: Option, arms: Sequence[Arm], home: Sequence[Option], why: str) -> str:
    arm, reference = arms[0], arms[0].reference_batch
    if not any(o.global_batch != reference for o in home):
        of_accuracy = " of accuracy" if arm.outcome.percent else ""
        return f"No batch above {reference:,} is shown to cost at most {arm.outcome.within}{of_accuracy}."
    tuned = " at its tuned rate" if standard(arms).rule == TUNED_RULE else ""
    return (f"Batch {choice.global_batch:,} is {why} among those not worse than batch {reference:,}{tuned} by more "
            f"than {arm.outcome.within}, judged by validation, over {len(arms)} rule{'s' * (len(arms) > 1)} at one "
            "level.")


def _named(tied: Sequence[Option], choice: Option) -> str:
    """The ties in words; nothing where there are none."""
    if len(tied) < 2:
        return ""
    others = listed(f"{one.global_batch:,} ({one.rule})" for one in tied if one is not choice)
    return (f"Tied with it, neither shown to be slower by more than {percent(SAME_TIME)} nor to end worse: {others}; "
            "of these the smallest batch and the plainest rule is taken.")


def _resolution(arms: Sequence[Arm]) -> str:
    """Where the validation examples alone leave more open than the margin: no number of seeds would decide."""
    arm, metric = arms[0], chosen_metric(arms[0])
    if not arm.larger:
        return ""
    resolved = 2 * min(gap_at_end(one, one, batch, metric).fixed_error for one in arms for batch in one.larger
                       if one.reference_batch in one.at_end(metric)) if arm.reference_batch in arm.batches else 0.0
    if not resolved > arm.outcome.margin:
        return ""
    return (f"The margin of {arm.outcome.within} is below what these {metric.split('_')[0]} examples resolve, "
            f"{arm.outcome.amount(resolved)}{' points' if arm.outcome.percent else ''}: evaluate on more of them.")


def _tied(home: Sequence[Option], arms: Sequence[Arm]) -> tuple[list[Option], str]:
    """Of options at one placement; times count where all were taken the same way."""
    timed = {option.timed for option in home}
    if len(timed) == 1 and all(math.isfinite(option.seconds.value) for option in home):
        return as_good(as_fast(home), arms), f"the fastest to train ({home[0].timed})"
    largest = max(option.global_batch for option in home)
    return (as_good([one for one in home if one.global_batch == largest], arms),
            "the largest; step times at these batches were not all taken in one way")


def placed(options: Sequence[Option], threshold: float) -> tuple[Option, str]:
    """Return the option of one batch and rule that has as many replicas as are worth having, and why so many."""
    alone = [o for o in options if o.timed == ALONE]
    fewest = min(o.fewest_first for o in options)
    alike = alone if any(o.fewest_first == fewest for o in alone) else options
    counts = sorted({o.replicas for o in alike if o.replicas is not None})
    if not counts:
        return _fastest(alike), "How many replicas it ran on is not known."
    return _worthwhile({count: _fastest([o for o in alike if o.replicas == count]) for count in counts}, threshold)


def _fastest(options: Sequence[Option]) -> Option:
    finite = [one for one in options if math.isfinite(one.seconds.value)]
    return min(as_fast(finite), key=placement_order) if finite else options[0]


def _worthwhile(best: dict[int, Option], threshold: float) -> tuple[Option, str]:
    """From the fewest replicas up, while each step is shown to bring enough. In order, so the level needs no share."""
    counts = list(best)
    chosen = best[counts[0]]
    if len(counts) == 1:
        return chosen, "More replicas were not timed at this batch."
    alike = {count: one for count, one in best.items() if one.timed == chosen.timed}
    shares = replica_shares({count: {key: 1 / seconds for key, seconds in one.times.items() if seconds > 0}
                             for count, one in alike.items()})
    for count in counts[1:]:
        if best[count].timed != chosen.timed or count not in shares:
            return chosen, (f"What {count} replicas bring is not known: "
                            f"{counted(chosen.replicas or 0, 'replica')} {'was' if chosen.replicas == 1 else 'were'} "
                            "not timed alone at this batch.")
        if shares[count].has_interval and shares[count].high < 0:
            return chosen, (f"{count} replicas train slower than {chosen.replicas} at this batch, each further one "
                            f"bringing {percentage(shares[count])} of its share: stay at {chosen.replicas}.")
        if not brings(shares[count], threshold):
            return chosen, (f"{count} replicas bring {percentage(shares[count])} of their share at this batch, which "
                            f"is not shown to be {percent(threshold)}: stay at {chosen.replicas}.")
        chosen = best[count]
    return chosen, f"Each of {counts[-1]} replicas is shown to bring at least {percent(threshold)} of its share."


def _validity(arms: Sequence[Arm], seeds: int) -> str:
    arm = arms[0]
    batches = sorted({batch for one in arms for batch in one.batches})
    span = f"batches {batches[0]:,} to {batches[-1]:,}" if batches else "no batch"
    rules = ", ".join(one.rule for one in arms)
    what = " on ".join(dict.fromkeys(shown(arm.text(name)) for name in ("model", "dataset")))
    return (f"{what} ({int(arm.first('train_examples')):,} "
            f"training examples), {arm.text('optimizer')}, {int(arm.first('epochs'))} epochs, "
            f"{span}, rules {rules}, {seeds} seeds, margin {arm.outcome.within}")


def cheapest_in_time(listed: Sequence[Option],
                     deadline_seconds: float) -> tuple[Option | None, str]:
    """Return the option with the fewest device-hours of those that meet the deadline, and its time in words.

    An option meets it when it is not worse than the reference and the upper end of its time's interval, or the time
    where it has none, is within the deadline. Where no option does, it is None, with the reason.
    """
    fit = [o for o in listed if o.not_worse and math.isfinite(o.seconds.value)]
    late = [o.seconds.high if o.seconds.has_interval else o.seconds.value for o in fit]
    good = [option for option, seconds in zip(fit, late) if seconds <= deadline_seconds]
    if not fit:
        return None, "no time was measured"
    if not good:
        return None, (f"none of {len(fit)} options meets {duration(deadline_seconds)}; the fastest takes "
                      f"{duration(min(late))}. Time more replicas")
    best = min(timed_alike(good), key=lambda one: (one.device_hours.value, one.fewest_first,
                                                   -one.outcome.sign * one.choosing))
    return best, f"{estimated(best.seconds, 's')} by {best.timed}"
