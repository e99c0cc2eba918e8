"""The answer: which batch, rule, rate and number of replicas, what they cost, and what is open.

Nothing is decided that was not measured; `next_plan` is the plan that would measure it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from ...benchmarks.records.run_folder import RETRYABLE
from ...benchmarks.runs.run_warnings import WarningGroup
from ...benchmarks.schedules.rules import TUNED_RULE
from ...benchmarks.text import byte_count, counted, duration, percent
from ..formatting import estimated, Table, what_ran
from ..hypotheses.decide import decide
from ..hypotheses.verdict import CONTRADICTED, NOT_DECIDED, SUPPORTED, Verdict
from ..laws.memory import largest_replica_batch, MemoryLaw
from ..statistics.estimate import Estimate, unknown
from ..study.critical import CriticalBatch
from ..study.memory_laws import MemoryGroup
from ..study.study import Study
from ..study.timing.scaling import Scaling
from ..study.timing.steadiness import timing_warnings, unsteady_points
from ..tables.results import Results
from ..tables.selections import known_whole
from .grounds import Grounds, grounds_of
from .headline import headlines, overview, scaling_headlines
from .looks import timed_batches
from .looks.judged import going_on, Looks, next_hour, sentences as look_sentences, sequential_looks
from .next_plan import missing, plan_lines, plan_text
from .options import Option, options
from .recommendation import cheapest_in_time, recommend, Recommendation
from .sentences import accuracy_answers, spoken

WORTHWHILE = 0.5
UNFINISHED = ("pending", "running", *RETRYABLE)
KIB, MIB = 2.0**10, 2.0**20


@dataclass(frozen=True)
class MemoryFinding:
    """The law of one model; `largest` replica batch by it in the machine's memory, NaN where the
    memory or the law is not known."""

    group: MemoryGroup
    capacity_bytes: float
    largest: Estimate
    train_examples: int | None

    @property
    def experiment(self) -> str:
        """Return the name of the experiment that measured the memory."""
        return self.group.experiment

    @property
    def model(self) -> str:
        """Return the name of the model."""
        return self.group.model

    @property
    def law(self) -> MemoryLaw:
        """Return the peak in bytes as a law of the replica's batch."""
        return self.group.law

    def to_json(self) -> dict[str, Any]:
        """Return the finding for decision.json, memory in bytes; capacity_bytes is null where it is not known."""
        known = math.isfinite(self.capacity_bytes)
        return {"experiment": self.experiment, "model": self.model,
                "fixed_bytes": self.law.fixed_bytes.to_json(),
                "bytes_per_example": self.law.bytes_per_example.to_json(),
                "capacity_bytes": self.capacity_bytes if known else None,
                "largest_replica_batch": self.largest.to_json(), "note": self.law.note}


@dataclass(frozen=True)
class Deadline:
    """The cheapest option of one experiment that meets the deadline; None with the reason."""

    experiment: str
    seconds: float
    option: Option | None
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Return the deadline for decision.json, in seconds; `option` is null where none meets it."""
        return {**vars(self), "option": self.option.to_json() if self.option else None}


@dataclass(frozen=True)
class Decision:
    """Everything that a study's results decide, in plain words and as numbers.

    answers: what growing the batch did to accuracy or loss, then the recommendations, in plain words; sentences: those
    and all the rest that can be said. headlines, overview: the same for a hurried reader. open_questions: what was not
    measured. next_plan: TOML of a plan that measures it; "" when nothing is missing, or while this plan is unfinished.
    grounds: whether each experiment can be decided at all. run_warnings: what the records warn of, in groups.
    plan_lines: experiment -> lines of `next_plan` that would decide what is open about it. topics: the sentences on
    deadlines, claims, scaling, the critical batch and memory, each of which heads a section.
    """

    answers: tuple[str, ...]
    sentences: tuple[str, ...]
    recommendations: tuple[Recommendation, ...]
    options: tuple[Option, ...]
    critical: tuple[CriticalBatch, ...]
    scaling: tuple[Scaling, ...]
    memory: tuple[MemoryFinding, ...]
    deadlines: tuple[Deadline, ...]
    verdicts: tuple[Verdict, ...]
    open_questions: tuple[str, ...]
    warnings: tuple[str, ...]
    next_plan: str
    worthwhile: float
    headlines: tuple[str, ...] = ()
    overview: tuple[Table, ...] = ()
    grounds: tuple[Grounds, ...] = ()
    run_warnings: tuple[WarningGroup, ...] = ()
    plan_lines: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    topics: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    looks: tuple[Looks, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the decision for decision.json: no NaN, every number with its interval and n."""
        many = {name: [item.to_json() for item in getattr(self, name)]
                for name in ("recommendations", "options", "critical", "scaling", "memory",
                             "deadlines", "grounds", "run_warnings")}
        for item, one in zip(many["scaling"], self.scaling):
            item["largest_worthwhile_replicas"] = one.largest_worthwhile(self.worthwhile)
        told = {name: list(getattr(self, name)) for name in ("headlines", "answers", "sentences")}
        return {**told, **many,
                "claims": [verdict.to_json() for verdict in self.verdicts],
                "open_questions": list(self.open_questions), "warnings": list(self.warnings),
                "plan_lines": {name: list(lines) for name, lines in self.plan_lines.items()},
                "looks": [one.to_json() for look in self.looks for one in look.judged],
                "worthwhile": self.worthwhile, "next_plan": self.next_plan}


def decide_of(study: Study, verdicts: Sequence[Verdict] | None = None, deadline_seconds: float | None = None,
              worthwhile: float = WORTHWHILE) -> Decision:
    """Return the decision of one study.

    verdicts: those of hypotheses.decide where they are at hand or not wanted. deadline_seconds: for one training.
    worthwhile: the least share of its throughput that a further replica must bring.
    """
    results, arms, by_experiment = study.results, study.arms, study.arms_by_experiment
    measured = {name: options(arms, results) for name, arms in by_experiment.items()}
    grounds = {name: grounds_of(arms, results) for name, arms in by_experiment.items()}
    listed = {name: grounds[name].sound(own) for name, own in measured.items()}
    refused = {name for name, one in grounds.items() if one.refusal}  # what their batches do to nothing is no finding
    judged = [arm for arm in arms if arm.experiment not in refused]
    found = tuple(decide(results, judged) if verdicts is None else verdicts)
    recommended = tuple(grounds[name].judged(_cautioned(recommend(arms, listed[name], worthwhile), results))
                        for name, arms in by_experiment.items())
    unsteady = {(point.placement, point.global_batch) for point in unsteady_points(study.timing)}
    critical, scaling, memory = study.critical, study.scalings, _memory(study)
    deadlines = tuple(_in_time(name, deadline_seconds, own, grounds[name]) for name, own in listed.items()) \
        if deadline_seconds is not None else ()
    looks = sequential_looks(results)
    unfinished = _unfinished(results, looks)
    gaps = [] if unfinished else [gap for gap in missing(results, by_experiment)
                                  if gap.experiment["name"] not in refused]
    answers = (*accuracy_answers(results, judged), *_recommended(recommended))
    topics = {"deadline": _deadline(deadlines), "claims": _claims(found), "scaling": _scaling(scaling, worthwhile),
              "critical": _critical(critical), "memory": _memory_words(memory)}
    topics["looks"] = [*look_sentences(looks), *timed_batches.sentences(results, looks), *next_hour(looks, results)]
    sentences = (*answers, *(sentence for own in topics.values() for sentence in own),
                 *(f"Open: {gap.what}." for gap in gaps), *unfinished)
    return Decision(answers, sentences, recommended, tuple(o for own in measured.values() for o in own),
                    critical, scaling, memory, deadlines, found,
                    (*unfinished, *(gap.what for gap in gaps)),
                    (*timing_warnings(results), *(text for one in results.tuned for text in one.warnings)),
                    plan_text(gaps, results), worthwhile,
                    headlines(recommended, {name: () if name in refused else arms
                                            for name, arms in by_experiment.items()}, listed, unsteady),
                    overview([one for one in recommended if one.experiment not in refused], by_experiment),
                    tuple(grounds.values()), study.run_warnings, plan_lines(gaps, results),
                    {name: tuple(own) for name, own in topics.items()}, looks)


def _in_time(name: str, seconds: float, own: Sequence[Option], grounds: Grounds) -> Deadline:
    """No option meets a deadline where nothing is recommended."""
    return Deadline(name, seconds, None, grounds.refusal.rstrip(".")) if grounds.refusal else \
        Deadline(name, seconds, *cheapest_in_time(own, seconds))


def _cautioned(one: Recommendation, results: Results) -> Recommendation:
    """With the warnings about the tuned rate that it recommends."""
    found = [text for tuned in results.tuned if one.option and one.option.rule == TUNED_RULE
             and (tuned.experiment, tuned.global_batch) == (one.experiment, one.option.global_batch)
             for text in tuned.warnings]
    return replace(one, caution=f"Caution: {' '.join(found)}" if found else "")


def _unfinished(results: Results, looks: Sequence[Looks]) -> list[str]:
    """While runs are to come, the next plan is this one."""
    waiting = int(results.statuses["status"].isin(UNFINISHED).sum())
    if held_back := results.plan.held_back:
        return [f"{counted(held_back, 'run')} of the plan lie beyond the budget that it was run with: run it again to "
                "go on; until then this is a partial answer."]
    if not waiting:
        return going_on(looks)
    return [f"{waiting} of {len(results.statuses)} runs have no result yet: run the same plan "
            "again to go on; until then this is a partial answer."]


def _memory(study: Study) -> tuple[MemoryFinding, ...]:
    found = []
    for group in study.memory_laws:
        capacity = _capacity(study.results, group)
        largest = largest_replica_batch(group.law, capacity) if capacity > 0 else unknown(group.law.fixed_bytes.n)
        found.append(MemoryFinding(group, capacity, largest, known_whole(group.runs["train_examples"].iloc[0])))
    return tuple(found)


def _capacity(results: Results, group: MemoryGroup) -> float:
    """Return the bytes that the group's machine has for training, NaN where it was not recorded."""
    if group.on_device:
        return group.usable_bytes
    at = int(group.runs["environment"].iloc[0])
    host = pd.to_numeric(results.environments["memory_bytes"], errors="coerce").iloc[at]
    # The law counts what training adds to the process.
    return float(host - group.runs["baseline_bytes"].max())


def _recommended(found: Sequence[Recommendation]) -> list[str]:
    if not found:
        return ["No batch is recommended: no accuracy or loss was measured."]
    sentences = []
    for one in found:
        named = what_ran(one.optimizer, one.model)
        who = one.experiment + (f" ({named})" if named else "")
        if one.option is None:
            sentences.append(f"{who}: {one.reason}")
            continue
        o = one.option
        money = f", {estimated(o.money)} in money" if math.isfinite(o.money.value) else ""
        place = f", on {o.placement}" if o.placement else ""
        rate = o.rate
        time = f"{estimated(o.seconds, 's')} of training" if math.isfinite(o.seconds.value) else "time not recorded"
        sentences.append(
            f"Recommended for {who}: global batch {o.global_batch:,} with {spoken(o.rule)}, learning rate "
            f"{rate}{place}: test {o.outcome.name} {o.outcome.level(o.test)}, "
            f"{time}{money}. {one.reason} {one.caution}".rstrip())
    return sentences


def _deadline(found: Sequence[Deadline]) -> list[str]:
    return [f"{one.experiment}, within {duration(one.seconds)}: "
            + (f"batch {one.option.global_batch:,}, {one.option.rule} rule, on "
               f"{one.option.placement}, {one.reason}." if one.option else
               f"not decided, {one.reason}.") for one in found]


def _scaling(found: Sequence[Scaling], worthwhile: float) -> list[str]:
    """Its efficiency, and how many replicas are worth having at every batch measured."""
    most = [count for one in found if one.steady and (count := one.largest_worthwhile(worthwhile)) is not None]
    worth = [f"Replicas of which each is shown to bring at least {percent(worthwhile)} of its share: {max(most)} at "
             f"the best batch and strategy, {min(most)} at the worst."] if most else []
    notes = sorted({one.note for one in found} - {""})
    return [*scaling_headlines(found), *worth, *(f"Scaling: {note}." for note in notes)]


def _critical(found: Sequence[CriticalBatch]) -> list[str]:
    return [f"{one.experiment}: {one.statements[0]}" for one in found if one.statements]


def _memory_words(found: Sequence[MemoryFinding]) -> list[str]:
    sentences = []
    for one in found:
        law = one.law
        if not math.isfinite(law.bytes_per_example.value):
            sentences.append(f"Memory of {one.model}: {law.note}.")
            continue
        whole = one.train_examples is not None and one.largest.value >= one.train_examples
        most = (f"all {one.train_examples:,} training examples at once" if whole
                else f"{estimated(one.largest, 'examples')}")
        fits = (f"; by the law {most} would fit in {byte_count(one.capacity_bytes)}, to be verified by a run"
                if math.isfinite(one.largest.value) else "")
        sentences.append(f"Memory of {one.model}: {estimated(law.fixed_bytes.scaled(1 / MIB), 'MiB')} and "
                         f"{estimated(law.bytes_per_example.scaled(1 / KIB), 'KiB')} for each example of a replica's "
                         f"batch{fits}.")
    return sentences


def _claims(verdicts: Sequence[Verdict]) -> list[str]:
    counts = Counter(verdict.verdict for verdict in verdicts)
    if not verdicts:
        return []
    turned = [str(verdict.number) for verdict in verdicts if verdict.turned_round]
    text = (f"Of {len(verdicts)} claims about the batch: {counts[SUPPORTED]} supported, {counts[CONTRADICTED]} "
            f"contradicted, {counts[NOT_DECIDED]} not decided.")
    if turned:
        text += f" Scaling the rate turns round: claim {', '.join(turned)}."
    return [text]
