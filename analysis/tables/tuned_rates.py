"""The tuned arm: which of the learning rates tried at a batch stands for it, and how far that can be believed.

At each batch it is the trial with the best mean validation accuracy over seeds, or validation loss where there is no
accuracy; test results are only reported. That trial is what a user takes. What it reaches is read from runs that did
not choose it, since the best of several means owes some of its height to luck: each half of the seeds is read at the
trial that the other half would choose (two-fold cross-fitting). Of rates that are halved some take the first seeds
alone, by which the one that took all was chosen: there each seed is read at the trial that the other seeds would choose
of those that ran with it (leave-one-out).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ...benchmarks.schedules.rules import TUNED_RULE
from ..statistics.difference import summarize, Summary
from ..statistics.estimate import Estimate
from .outcome import kind_of, Outcome

LOST = ("diverged", "out_of_memory")
LOWEST, HIGHEST = "lowest", "highest"
MANY_LOST = 0.5  # share of the trials; below it the search just reaches past what can be trained


@dataclass(frozen=True)
class Trial:
    """One rate at one batch. validation: mean accuracy or loss over the seeds that completed. `missing`: planned seeds
    without a result; `lost`: seeds that diverged or ran out of memory; stops_after: epochs to which it was tried, 0: to
    the end; spread: standard deviation over the seeds, NaN of fewer than two."""

    trial: int
    learning_rate: float
    outcome: Outcome
    validation: Estimate
    completed: int
    lost: int
    missing: int
    stops_after: int = 0
    spread: float = math.nan

    @property
    def summary(self) -> Summary:
        """Return mean, standard deviation and number of the seeds that completed."""
        return Summary(self.validation.value, self.spread, self.validation.n)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object; the validation estimate has the name of its column, the outcome and the
        spread, which is in its interval, are left out."""
        own = {name: value for name, value in vars(self).items() if name not in ("outcome", "validation", "spread")}
        return {**own, self.outcome.validation: self.validation.to_json()}


@dataclass(frozen=True)
class TunedBatch:
    """The trials at one batch, by ascending rate. chosen: the best of all seeds; standing: seed -> the number of the
    trial at which it stands for the tuned arm, chosen by the other half of the seeds; stopped: of rates that were tried
    and not trained to the end, how far they came, by ascending rate."""

    experiment: str
    placement: str
    global_batch: int
    trials: tuple[Trial, ...]
    planned_trials: int
    chosen: Trial
    standing: Mapping[int, int]
    stopped: tuple[Trial, ...] = ()

    @property
    def tried(self) -> tuple[Trial, ...]:
        """Return all rates that were tried, those that were stopped among them, by ascending rate."""
        return tuple(sorted((*self.trials, *self.stopped), key=lambda trial: (trial.learning_rate, trial.trial)))

    @property
    def finished_trials(self) -> int:
        """Number of trials of which every planned seed has a result, a lost one included."""
        return sum(not trial.missing for trial in self.trials)

    @property
    def partial(self) -> bool:
        """Whether fewer trials are finished than were planned."""
        return self.finished_trials < self.planned_trials

    @property
    def lost_share(self) -> float:
        """Share of the trials tried of which a seed diverged or ran out of memory."""
        return self.lost_trials / len(self.trials)

    @property
    def lost_trials(self) -> int:
        """Number of trials of which a seed diverged or ran out of memory."""
        return sum(bool(trial.lost) for trial in self.trials)

    @property
    def edge(self) -> str:
        """Return LOWEST or HIGHEST where the chosen rate is that end of those tried; "" inside, or where none
        completed."""
        if not self.chosen.completed:
            return ""
        return {self.tried[0].trial: LOWEST, self.tried[-1].trial: HIGHEST}.get(self.chosen.trial, "")

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return sentences that a reader must know before believing the chosen rate; empty where there are none."""
        where, found = f"{self.experiment}, tuned arm at batch {self.global_batch:,}", []
        if self.partial:
            found.append(f"{where}: {self.finished_trials} of {self.planned_trials} trials are finished, so the arm "
                         "is partial; run the plan again to go on.")
        if self.edge:
            found.append(f"{where}: the best rate, {self.chosen.learning_rate:.3g}, is the {self.edge} of "
                         f"{len(self.tried)} tried; the best rate may lie outside, widen `search`.")
        if self.lost_share >= MANY_LOST:
            found.append(f"{where}: {self.lost_trials} of {len(self.trials)} trials diverged or ran out of memory, "
                         f"from the rate {min(t.learning_rate for t in self.trials if t.lost):.3g} up; move `search` "
                         "lower.")
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """Return the fields and what follows from them (edge, lost share, warnings ...) as a JSON object."""
        return {**vars(self), "trials": [trial.to_json() for trial in self.trials], "chosen": self.chosen.to_json(),
                "stopped": [trial.to_json() for trial in self.stopped],
                "standing": {str(seed): trial for seed, trial in self.standing.items()},
                "finished_trials": self.finished_trials, "partial": self.partial, "edge": self.edge,
                "lost_share": self.lost_share, "warnings": list(self.warnings)}


def tuned_batches(runs: pd.DataFrame, statuses: pd.DataFrame) -> tuple[TunedBatch, ...]:
    """Return one tuned batch per experiment, placement and global batch of the tuned arm.

    runs: rows of all trials; statuses: one row per planned run, for the numbers of trials and seeds.
    """
    tried = runs[runs["rule"] == TUNED_RULE]
    if tried.empty:
        return ()
    stopped = stopped_early(tried)
    own = tried[~stopped]
    kinds = {name: kind_of(rows) for name, rows in runs[runs["kind"] == "accuracy"].groupby("experiment")}
    planned = statuses[(statuses["rule"] == TUNED_RULE) & ~stopped_early(statuses)]
    found = []
    for (experiment, placement, batch), rows in own.groupby(["experiment", "placement", "global_batch"], sort=False):
        listed = planned[planned["experiment"] == experiment]
        at_batch = listed[listed["global_batch"] == batch]  # batches that are decided sooner have fewer seeds
        seeds = {int(seed) for seed in (*at_batch["seed"].dropna(), *rows["seed"])}
        halved = tried[stopped & (tried["experiment"] == experiment) & (tried["placement"] == placement)
                       & (tried["global_batch"] == batch)]
        # Of rates that are halved, as many as went on here, and of each the seeds it took before it was told apart.
        of = at_batch if len(halved) else listed
        each = of.groupby("trial")["seed"].nunique() if len(halved) else pd.Series(dtype=int)
        trials = tuple(sorted((trial for number, own_rows in rows.groupby("trial")
                               for trial in trials_of(own_rows, int(each.get(number, len(seeds))), kinds[experiment])),
                              key=lambda trial: (trial.learning_rate, trial.trial)))
        beside = halved[~halved["trial"].isin(rows["trial"])]
        count, chosen = max(int(of["trial"].nunique()), len(trials)), min(trials, key=in_order)
        found.append(TunedBatch(str(experiment), str(placement), int(batch), trials, count, chosen,
                                _standing(rows, sorted(seeds), trials, chosen, each.nunique() > 1),
                                _furthest(beside, kinds[experiment])))
    return tuple(found)


def stopped_early(runs: pd.DataFrame) -> pd.Series:
    """Return bool[runs], true for trials that ended before their schedule did, to be compared there."""
    return runs["stops_after"].fillna(0).astype(float) > 0


def _furthest(rows: pd.DataFrame, outcome: Outcome) -> tuple[Trial, ...]:
    """Of trials that were stopped, the furthest that each came, by ascending rate."""
    found: dict[int, Trial] = {}
    for _, own in rows.groupby("stops_after"):
        found |= {trial.trial: trial for trial in trials_of(own, int(own["seed"].nunique()), outcome)}
    return tuple(sorted(found.values(), key=lambda trial: (trial.learning_rate, trial.trial)))


def _standing(rows: pd.DataFrame, seeds: Sequence[int], trials: Sequence[Trial], chosen: Trial,
              uneven: bool) -> dict[int, int]:
    """The trial of each seed: what the other half of the seeds chooses, or all of them where those have no result. A
    trial that lost any seed comes last, as nobody would take it. uneven: whether trials took unequally many seeds; then
    what the other seeds choose that all have which ran with this one."""
    half, lost = len(seeds) // 2, {trial.trial: trial.lost for trial in trials}

    def choice(of: pd.DataFrame, by: Sequence[int]) -> int:
        found = [replace(trial, lost=lost[trial.trial])
                 for trial in trials_of(of[of["seed"].isin(by)], len(by), chosen.outcome) if trial.completed]
        return min(found, key=in_order, default=chosen).trial

    if not uneven:
        first, second = seeds[:half], seeds[half:]
        return {**dict.fromkeys(first, choice(rows, second)), **dict.fromkeys(second, choice(rows, first))}
    completed, found = rows[rows["status"] == "completed"], dict[int, int]()
    for seed in seeds:
        beside = completed[completed["trial"].isin(completed.loc[completed["seed"] == seed, "trial"])]
        having = beside.groupby("seed")["trial"].nunique()
        found[seed] = choice(beside, [int(one) for one in having.index[having == having.max()] if one != seed])
    return found


def trials_of(rows: pd.DataFrame, seeds: int, outcome: Outcome) -> Iterator[Trial]:
    """Yield the trials of one batch whose runs these are, all of one length. seeds: how many each was to have."""
    for trial, own in rows.groupby("trial"):
        lost = int(own["status"].isin(LOST).sum())
        completed = own[own["status"] == "completed"]
        values = completed[outcome.validation].to_numpy(np.float64)
        values = values[np.isfinite(values)]
        stops_after = own["stops_after"].fillna(0).iloc[0]
        yield Trial(int(trial), float(own["base_learning_rate"].iloc[0]), outcome, outcome.mean(values),
                    len(completed), lost, max(seeds - len(completed) - lost, 0), int(stops_after),
                    summarize(values).std)


def in_order(trial: Trial) -> tuple[bool, int, float, float]:
    """Return a key that sorts trials, the best first: trials without a diverged seed, then those with most seeds, so
    that equal seeds are compared, then by accuracy or loss, then the smaller rate."""
    value = trial.outcome.sign * trial.validation.value
    return (trial.lost > 0 or not trial.completed, -trial.completed,
            math.inf if math.isnan(value) else -value, trial.learning_rate)


def not_chosen(runs: pd.DataFrame, found: tuple[TunedBatch, ...]) -> pd.Series:
    """Return bool[runs], true for tuned trials that do not stand for their arm at their seed, or ended early; found:
    of `tuned_batches`."""
    standing: set[tuple[Hashable, ...]] = {(b.experiment, b.placement, b.global_batch, seed, trial)
                                           for b in found for seed, trial in b.standing.items()}
    keys = zip(runs["experiment"], runs["placement"], runs["global_batch"], runs["seed"], runs["trial"], runs["rule"])
    return pd.Series([rule == TUNED_RULE and tuple(key) not in standing for *key, rule in keys], index=runs.index,
                     dtype=bool) | stopped_early(runs)
