"""Which rates of a tuned arm are tried how far: the better half goes on, and the best never stands at an end of them.

What is asked for follows from the records alone, so a study that was stopped goes on alike. At each length the rates
are compared by the first seeds, in the order by which a tuned arm chooses (`tables/tuned_rates.py`), and halved. Which
rate is best depends on the length: without a decay, a few epochs favour rates that are too large later. So the best one
at the end must have both its neighbours beside it, trained to the end: one that had been stopped goes on after all, and
where there is none, the next rate beyond those of the plan is tried, until it has. So does one that was better where
it was stopped than the best one is at the end, where rates that are too large have come to grief. A best place is then
not lost to a comparison that came too soon; a second, better one apart from it, and slower at first, may be.
(Successive halving: Karnin, Koren and Somekh 2013; for rates Jamieson and Talwalkar 2016, arXiv:1502.07943.)

More seeds are for the rates that they may choose to some purpose: one takes no more of them while it is expected to
gain less than a fifth of the margin that the choice is made anew by all seeds, given those there are. It goes on after
all where more seeds of the best one show that it is not as good as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import pandas as pd

from ....benchmarks.planning.tuning import Halving, TO_THE_END
from ....benchmarks.records.run_folder import FINAL
from ....benchmarks.schedules.rules import TUNED_RULE
from ....benchmarks.text import counted, number
from ...statistics.difference import difference
from ...statistics.sample_size import expected_gain
from ...tables.outcome import kind_of, Outcome
from ...tables.results import halving_of, Results
from ...tables.tuned_rates import in_order, Trial, trials_of

WORTH = 0.2
"""The share of the margin that more seeds of a rate must be expected to gain."""
Tried = Mapping[tuple[int, int], Trial]
"""By number and length (`stops_after`), the trials whose runs of the first seeds, of so many, have all ended."""
SeedsAsked = Mapping[tuple[int, int], int]
"""By number and length, how many of the first seeds are asked for."""


@dataclass(frozen=True)
class RateSearch:
    """The search at one batch. asked: by trial and length to which it is to be trained, the seeds that it is to have by
    now; settled: by how many seeds the best rate has its neighbours beside it, 0 before it has; best: the trial that is
    best so far."""

    experiment: str
    global_batch: int
    halving: Halving
    asked: SeedsAsked
    settled: int
    best: Trial | None = None
    first_seed: int = 0

    def asks_for(self, trial: int, stops_after: int, seed: int) -> bool:
        """Return whether the run of this trial, length and seed is wanted by now."""
        return 0 <= seed - self.first_seed < self.asked.get((trial, stops_after), 0)

    @property
    def counts(self) -> tuple[int, ...]:
        """Return how many rates are asked for at each length."""
        return tuple(sum(stop == length for _, stop in self.asked) for length in self.halving.stops)


def rate_searches(results: Results) -> tuple[RateSearch, ...]:
    """Return the searches of each experiment of the plan whose tuned rates are halved, batch by batch."""
    first = int(results.settings.get("first_seed", 0))
    listed, runs = (frame[frame["rule"] == TUNED_RULE] for frame in (results.statuses, results.all_runs))
    found = []
    for name in dict.fromkeys(listed["experiment"]):
        if (halving := halving_of(results.plan, str(name))) is None:
            continue
        outcome = replace(kind_of(results.all_runs[results.all_runs["experiment"] == name]),
                          margin=results.margin, share=results.loss_margin)
        for batch in dict.fromkeys(listed.loc[listed["experiment"] == name, "global_batch"]):
            own, rows = (frame[(frame["experiment"] == name) & (frame["global_batch"] == batch)]
                         for frame in (listed, runs))
            found.append(RateSearch(str(name), int(batch), halving, *searched(
                halving, partial(tried, own, rows, outcome, first)), first))
    return tuple(found)


def begun(experiment: str, global_batch: int, halving: Halving, first_seed: int) -> RateSearch:
    """Return the search of a batch of which nothing is listed yet."""
    return RateSearch(experiment, global_batch, halving, *searched(halving, lambda seeds: {}), first_seed)


def tried(statuses: pd.DataFrame, runs: pd.DataFrame, outcome: Outcome, first: int, seeds: int) -> Tried:
    """Return the trials of one batch of which all of the first seeds have ended, by number and length."""
    statuses, runs = (frame[frame["seed"].astype(float) - first < seeds] for frame in (statuses, runs))
    ended = statuses[statuses["status"].isin(FINAL)]
    count = ended.groupby([ended["trial"].astype(int), ended["stops_after"].fillna(0).astype(int)])["seed"].nunique()
    found = {(trial.trial, int(length)): trial
             for length, own in runs.groupby(runs["stops_after"].fillna(0).astype(int))
             for trial in trials_of(own, seeds, outcome)}
    # A trial of which no seed left a record comes last, as one that was lost.
    return {key: found.get(key, Trial(key[0], 0.0, outcome, outcome.mean([]), 0, 0, seeds, key[1]))
            for key, ends in count.items() if ends >= seeds}


def searched(halving: Halving, at: Callable[[int], Tried]) -> tuple[SeedsAsked, int, Trial | None]:
    """Return what is asked for, by how many seeds the best rate stands, and which it is. at: what has ended of the
    first seeds, of so many."""
    ended, going, lost = at(halving.seeds), set(range(halving.trials)), set[int]()
    asked, early, best = dict[tuple[int, int], int](), dict[int, Trial](), None
    for length in halving.epochs:
        asked |= {(trial, length): halving.seeds for trial in going}
        if not all((trial, length) in ended for trial in going):
            return asked, 0, best
        early |= {trial: ended[trial, length] for trial in going}
        order = sorted((early[trial] for trial in going), key=in_order)
        best, left = order[0], [one for one in order if not is_lost(one)]
        lost |= going - {one.trial for one in left}
        going = {one.trial for one in better_half(left)}
        if not going:
            return asked, halving.counts[-1], best
    settled, furthest = 0, dict[int, Trial]()  # of those trained to the end, by the most seeds that each has
    for count in halving.counts:
        ended = at(count)
        while True:
            asked |= {(trial, TO_THE_END): count for trial in going}
            if not all((trial, TO_THE_END) in ended for trial in going):
                return asked, settled, best
            furthest |= {trial: ended[trial, TO_THE_END] for trial in going}
            best = min((ended[trial, TO_THE_END] for trial in going), key=in_order)
            more = neighbours(best.trial, halving.places) | {one.trial for one in early.values() if is_ahead(one, best)}
            more -= furthest.keys() | lost
            more |= {one.trial for one in furthest.values() if worth_more_seeds(one, best, halving.counts[-1])} - going
            if is_lost(best) or not more:
                break
            going |= more
        settled = count
        going = {trial for trial in going if worth_more_seeds(furthest[trial], best, halving.counts[-1])} | {best.trial}
    return asked, settled, best


def better_half(order: Sequence[Trial]) -> Sequence[Trial]:
    """Return the trials that go on of those in this order, the best first: the better half, the smaller one of an odd
    number, without those that are the same as the first one to end within the margin, as rates are that learn nothing;
    the best one in any case."""
    going, ending = order[:len(order) // 2], order[len(order) // 2:]
    return [*order[:1], *(one for one in going[1:] if one.outcome.sign * (
        one.validation.value - ending[0].validation.value) > tolerance(order[0]))]


def is_ahead(stopped: Trial, best: Trial) -> bool:
    """Return whether a trial was better where it was stopped than the best one is at the end."""
    return best.outcome.sign * (stopped.validation.value - best.validation.value) > 0


def tolerance(best: Trial) -> float:
    """Return the margin in the unit of the values."""
    return best.outcome.margin if best.outcome.percent else best.outcome.share * abs(best.validation.value)


def worth_more_seeds(trial: Trial, best: Trial, seeds: int) -> bool:
    """Return whether it is expected to gain a share of the margin that the choice between a trial and the best one so
    far is made anew by so many seeds.

    The degrees of freedom are those of both together: by Welch's, two of three seeds each where one trial varies more,
    gains would be expected far beyond what it ever reached.
    """
    if trial.trial == best.trial or is_lost(trial) or is_lost(best):
        return False
    of = difference(best.summary, trial.summary)
    better = replace(of, estimate=of.estimate.scaled(best.outcome.sign),
                     degrees_of_freedom=best.summary.n + trial.summary.n - 2)
    return expected_gain(better, seeds) > WORTH * tolerance(best)


def is_lost(trial: Trial) -> bool:
    """Return whether nobody would take the trial: a seed was lost, or none completed."""
    return trial.lost > 0 or not trial.completed


def neighbours(trial: int, places: Sequence[float]) -> set[int]:
    """Return the numbers of the next trial below and above, where the range has one."""
    order = sorted(range(len(places)), key=lambda one: places[one])
    at = order.index(trial)
    return {order[next_to] for next_to in (at - 1, at + 1) if 0 <= next_to < len(order)}


def settled_seeds(searches: Iterable[RateSearch], experiment: str) -> dict[int, int]:
    """Return by how many seeds the best rate stands, by batch, where an experiment's rates are halved."""
    return {one.global_batch: one.settled for one in searches if one.experiment == experiment}


def sentences(searches: Iterable[RateSearch], epochs: Mapping[str, int]) -> list[str]:
    """Return how far each search has come, a sentence for each batch. epochs: of a whole run, by experiment."""
    return [_sentence(one, epochs.get(one.experiment, 0)) for one in searches]


def _sentence(one: RateSearch, epochs: int) -> str:
    lengths = [f"{counted(count, 'rate')} for {length or epochs} epochs"
               for count, length in zip(one.counts, one.halving.stops) if count]
    best = f"; the best is {number(one.best.learning_rate)}" if one.best else ""
    return (f"{one.experiment}, batch {one.global_batch:,}, rates by halving: {', '.join(lengths)}"
            f"{best if one.settled else ', going on'}.")
