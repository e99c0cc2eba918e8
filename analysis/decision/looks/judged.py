"""Sequential studies: which batches and rules are decided by the seeds there are, and how many more the others need.

The looks are made again from the records, one after the other: at each, only the seeds up to it count, and a batch and
rule that was decided at an earlier one keeps its answer and its seeds. So what is asked for next depends on the records
alone, and a study that was stopped goes on at the same look. A batch whose seeds of a look are in no list was put off
for others, which a budget decides sooner: it stays at the look before, and they go on without it. What decides the
claims may have more seeds than a look does (`claim_seeds`), which then count at it.

A batch is decided once it is shown to be not worse than the reference batch (or the same), by the tests of
`non_inferiority`; or where that is out of reach at the most seeds there may be, as soon as it is shown to be worse, or
that is unlikely, too: it is not kept either way, and seeds that may decide nothing but that word are not spent.

A batch is kept only where those below it are, but its own test is over as soon as it is shown: the tests of a fixed
sequence may each stop at a look of its own and still err together at most as often as one (Glimm, Maurer and Bretz
2010), so it waits without further seeds. What is out of reach is by predictive power, which binds nobody: a study that
goes on all the same errs no more often.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from ....benchmarks.records.run_folder import FINAL
from ....benchmarks.schedules.rules import PUBLISHED_RULE, TUNED_RULE
from ....benchmarks.text import counted, duration, listed
from ...statistics.decision_rules import equivalence, same, shown, worse
from ...statistics.difference import Difference
from ...statistics.estimate import Estimate, unknown
from ...statistics.multiple_testing import holm
from ...statistics.sample_size import chance_to_show
from ...statistics.sequential import spending
from ...study.arms import Arm, load_arm
from ...study.non_inferiority import loss_tests
from ...study.tuning.halving import rate_searches, settled_seeds
from ...tables.results import looks_of, Results, rules, seeds_for_claims_of
from ...tables.tuned_rates import not_chosen, tuned_batches

NOT_WORSE, SAME, WORSE, TIED, LOST, OPEN = ("not worse", "the same", "worse", "not told apart", "apart", "open")
BEHIND = "not worse, behind a batch not shown"
OUT_OF_REACH = 0.05
"""A test of what is not worse that the most seeds would pass with a smaller chance than this, given those there are, is
given up."""
UNLIKELY = 0.5
"""The same of a test of what is worse, where that is all that can still be shown."""

Cell = tuple[str, int]  # rule and global batch


@dataclass(frozen=True)
class Judged:
    """One batch under one rule, and what is known of it. seeds: pairs with the reference batch behind it; loss: what it
    loses on the data that choose, in the unit of the outcome; answer: one of the words of this module."""

    experiment: str
    rule: str
    global_batch: int
    seeds: int
    loss: Estimate
    answer: str
    expected_seeds: int = 0
    """Of an open one: the seeds at the first look that would more likely than not decide it."""

    @property
    def open(self) -> bool:
        """Return whether more seeds are asked for."""
        return self.answer == OPEN

    def to_json(self) -> dict[str, Any]:
        """Return the fields for decision.json."""
        return {**vars(self), "loss": self.loss.to_json()}


@dataclass(frozen=True)
class Looks:
    """One experiment whose seeds are decided by looks. counts: seeds at each look; reached: the seeds of the last look
    that was made, 0 before the first; wanted: the seeds that each rule and batch is to have by now."""

    experiment: str
    counts: tuple[int, ...]
    reached: int
    judged: tuple[Judged, ...]
    wanted: Mapping[Cell, int]
    first_seed: int = 0

    @property
    def open(self) -> bool:
        """Return whether anything is left to decide."""
        return not self.judged or any(one.open for one in self.judged)

    def asks_for(self, rule: str, global_batch: int, seed: int) -> bool:
        """Return whether the run of this seed is wanted by now; as published, it is for the first look alone."""
        return seed - self.first_seed < self.wanted.get((rule, global_batch), self.counts[0])


def sequential_looks(results: Results) -> tuple[Looks, ...]:
    """Return the looks of each experiment of the plan whose seeds are decided by them, in the plan's order."""
    listed = results.statuses[results.statuses["kind"] == "accuracy"]
    judged = {str(name): counts for name in dict.fromkeys(listed["experiment"])
              if (counts := looks_of(results.plan, str(name)))}
    searches = rate_searches(results) if judged else ()
    return tuple(_looks(results, name, counts, settled_seeds(searches, name)) for name, counts in judged.items())


def _looks(results: Results, experiment: str, counts: tuple[int, ...], settled: Mapping[int, int]) -> Looks:
    first = int(results.settings.get("first_seed", 0))
    planned_runs = results.statuses[(results.statuses["experiment"] == experiment)]
    cells = [(str(rule), int(batch)) for rule, batch in
             dict.fromkeys(zip(planned_runs["rule"], planned_runs["global_batch"])) if rule != PUBLISHED_RULE]
    reference = float(pd.to_numeric(planned_runs["reference_batch"], errors="coerce").min())
    claims = seeds_for_claims_of(results.plan, experiment, cells, reference)
    ended = _ended(planned_runs, settled, first)
    judged: dict[Cell, Judged] = {}
    had, wanted, put_off, reached = dict.fromkeys(cells, 0), dict.fromkeys(cells, 0), set[Cell](), 0
    for count in counts:
        open_ones = {cell for cell, one in judged.items() if one.open} - put_off
        going = [cell for cell in cells if cell not in judged or cell in open_ones]
        if reached and not open_ones:
            break
        wanted |= {cell: max(count, claims.get(cell, 0)) for cell in going}
        lacking = {cell for cell in going for seed in range(first, first + wanted[cell])
                   if not ended.get((*cell, seed))}
        put_off |= {cell for cell in lacking & open_ones if (*cell, first + count - 1) not in ended}
        if lacking - put_off or reached and open_ones <= put_off:
            break
        had |= {cell: wanted[cell] for cell in going if cell not in lacking}
        judged, reached = _judge(_first_seeds(results, experiment, had, first), experiment, counts, judged), count
    return Looks(experiment, counts, reached, tuple(judged.values()), wanted, first)


def _ended(planned_runs: pd.DataFrame, settled: Mapping[int, int], first: int) -> dict[tuple[str, int, int], bool]:
    """Of each rule, batch and seed that is listed, whether all its runs have ended, with a result or without; settled:
    of batches whose tuned rates are halved, by how many seeds; beyond them more runs of the same seeds may come."""
    keys = zip(planned_runs["rule"], planned_runs["global_batch"], planned_runs["seed"])
    found: dict[tuple[str, int, int], bool] = {}
    for (rule, batch, seed), ended in zip(keys, planned_runs["status"].isin(FINAL)):
        key = (str(rule), int(batch), int(seed))
        stands = rule != TUNED_RULE or seed - first < settled.get(batch, seed - first + 1)
        found[key] = found.get(key, stands) and bool(ended)
    return found


def _first_seeds(results: Results, experiment: str, wanted: Mapping[Cell, int], first: int) -> Results:
    """The tables of one experiment as they were at a look: of each rule and batch the seeds that it then had, by which
    the rates of a tuned arm were chosen, too."""
    def kept(frame: pd.DataFrame) -> pd.DataFrame:
        own = frame[(frame["experiment"] == experiment) & (frame["kind"] == "accuracy")]
        most = [wanted.get((str(rule), int(batch)), 0) for rule, batch in zip(own["rule"], own["global_batch"])]
        return own[own["seed"] - first < most].reset_index(drop=True)
    runs, evaluations, statuses = map(kept, (results.all_runs, results.all_evaluations, results.statuses))
    tuned = tuned_batches(runs, statuses) if results.tuned else ()
    out = not_chosen(runs, tuned)
    beside = evaluations["run_id"].isin(runs[out]["run_id"])
    return replace(results, runs=runs[~out], evaluations=evaluations[~beside], statuses=statuses, tuned=tuned,
                   not_chosen=runs[out], not_chosen_evaluations=evaluations[beside])


def _judge(results: Results, experiment: str, counts: tuple[int, ...],
           before: Mapping[Cell, Judged]) -> dict[Cell, Judged]:
    """What this look says of each batch above the reference; what an earlier one decided stays."""
    arms = [arm for rule in rules(results, experiment) if (arm := load_arm(results, experiment, rule)) is not None]
    if not arms:
        return {}
    tests = loss_tests(arms)
    kept = tests.kept(arms[0].outcome.margin, arms[0].outcome.alpha)
    found: dict[Cell, Judged] = {}
    # A rule whose batches are all kept hands its share of the level to the others.
    sharing = sum(not set(chain) <= set(kept[rule]) for rule, chain in tests.chains.items()) or 1
    for arm in arms:
        found |= _judge_arm(arm, tests.chains[arm.rule], kept[arm.rule], sharing, counts, before)
    return found


def _judge_arm(arm: Arm, chain: Mapping[int, Difference], kept: Sequence[int], sharing: int, counts: tuple[int, ...],
               before: Mapping[Cell, Judged]) -> dict[Cell, Judged]:
    adjusted = dict(zip(chain, holm([of.p_value for of in chain.values()])))
    found, shown_up_to_here = dict[Cell, Judged](), True
    for batch in sorted({*chain, *arm.apart} - {int(arm.first("reference_batch"))}):
        cell, of = (arm.rule, batch), chain.get(batch)
        answer = LOST if of is None else _answer(arm, of, batch in kept, adjusted[batch], sharing, counts,
                                                 shown_up_to_here)
        now = Judged(arm.experiment, arm.rule, batch, of.estimate.n if of else 0, of.estimate if of else unknown(),
                     answer, _expected_seeds(arm, of, sharing, counts) if of and answer == OPEN else 0)
        found[cell] = before[cell] if cell in before and before[cell].answer not in (OPEN, BEHIND) else now
        shown_up_to_here &= found[cell].answer in (NOT_WORSE, SAME, OPEN, BEHIND)
    return found


def _answer(arm: Arm, of: Difference, kept: bool, adjusted: float, sharing: int, counts: tuple[int, ...],
            reachable: bool) -> str:
    """reachable: whether the batches before it in its chain are not decided against, without which it cannot be shown.
    """
    margin, alpha, last = arm.outcome.margin, arm.outcome.alpha, of.estimate.n >= counts[-1]
    if kept:
        alike = equivalence(of, margin, alpha)
        return SAME if same(alike.p_value, of.estimate.n, alpha) else NOT_WORSE
    if shown(of.below(margin), of.estimate.n, alpha / sharing):
        return BEHIND
    not_worse, apart = _chances(of, margin, counts[-1], alpha / sharing)
    if not last and reachable and not_worse > OUT_OF_REACH:
        return OPEN
    if worse(of.estimate.value, adjusted, of.estimate.n):
        return WORSE
    return TIED if last or apart <= UNLIKELY else OPEN


def _chances(of: Difference, margin: float, seeds: int, alpha: float) -> tuple[float, float]:
    """The chances that so many seeds show it to be not worse, and to be worse."""
    return (chance_to_show(of, margin - of.estimate.value, seeds, of.level_of_look(seeds, alpha, spending.NOT_WORSE)),
            chance_to_show(of, of.estimate.value, seeds, of.level_of_look(seeds, alpha, spending.WORSE)))


def _expected_seeds(arm: Arm, of: Difference, sharing: int, counts: tuple[int, ...]) -> int:
    """The seeds at the first look to come that shows it, either way, more likely than not; the most where none does."""
    margin, alpha = arm.outcome.margin, arm.outcome.alpha / sharing
    likely = (count for count in counts
              if count > of.estimate.n and max(_chances(of, margin, count, alpha)) > 0.5)
    return next(likely, counts[-1])


def in_turn(looks: Sequence[Looks]) -> list[tuple[Judged, int]]:
    """Return the open batches, those that are decided soonest first, each with the seeds that it is expected to take
    until then, those of the reference batch with them as far as no batch before it takes them."""
    found = []
    for one in looks:
        reference = one.reached
        for judged in sorted((each for each in one.judged if each.open),
                             key=lambda each: (each.expected_seeds, each.global_batch)):
            own, shared = judged.expected_seeds - judged.seeds, max(judged.expected_seeds - reference, 0)
            reference += shared
            found.append((judged, own + shared))
    return sorted(found, key=lambda each: each[0].expected_seeds)


def next_hour(looks: Sequence[Looks], results: Results, seconds: float = 3600.0) -> list[str]:
    """Return what so much more time would decide, more likely than not: the open batches whose runs are soonest done,
    one after the other, while they fit; a sentence for each experiment, none where nothing is open."""
    each = results.runs.groupby("experiment")["train_seconds"].mean()
    return [_next_sentence(one, float(each[one.experiment]), seconds) for one in looks if one.reached and one.open]


def _next_sentence(one: Looks, each: float, seconds: float) -> str:
    """each: seconds of a run."""
    spent, fits = 0.0, list[str]()
    for judged, seeds in in_turn([one]):
        spent += seeds * each
        if not spent <= seconds:
            break
        fits.append(f"{judged.global_batch:,} ({judged.rule}, at {judged.expected_seeds} seeds)")
    what = f"would probably decide batch {', '.join(fits)}" if fits else "would probably decide no further batch"
    left = sum(judged.open for judged in one.judged)
    return f"{one.experiment}: {duration(seconds)} more of training {what}; {left} open."


def going_on(looks: Sequence[Looks]) -> list[str]:
    """Return the sentence that names what is not decided yet, though every run that was asked for is there; none where
    all is decided."""
    undecided = [one.experiment for one in looks if one.open]
    return [f"{listed(undecided)}: not every batch is decided, and more seeds may: run the same plan again to go "
            "on."] if undecided else []


def wanted_of(looks: Sequence[Looks], experiment: str, rule: str, global_batch: int, seed: int) -> bool:
    """Return whether a run is wanted by now; always, where its experiment has a fixed number of seeds."""
    own = next((one for one in looks if one.experiment == experiment), None)
    return own is None or own.asks_for(rule, global_batch, seed)


def sentences(looks: Sequence[Looks]) -> list[str]:
    """Return what is decided, a sentence for each experiment."""
    return [_sentence(one) for one in looks]


def _sentence(one: Looks) -> str:
    most = counted(one.counts[-1], "seed")
    if not one.reached:
        return f"{one.experiment}: nothing is decided before {one.counts[0]} of at most {most}."
    said: dict[str, list[str]] = {}
    for each in one.judged:
        said.setdefault(each.answer, []).append(f"{each.global_batch:,} ({each.rule}, {each.seeds} seeds)")
    parts = "; ".join(f"{answer}: {', '.join(batches)}" for answer, batches in said.items())
    return f"{one.experiment}, by looks of at most {most}: {parts}."
