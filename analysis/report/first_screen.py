"""What a reader of the report sees before scrolling: the answer in cards, the verdicts, what the runs warn of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...benchmarks.config.script import shown
from ...benchmarks.schedules.rules import TUNED_RULE
from ...benchmarks.text import counted, listed
from ..figures.drawing import Figure
from ..hypotheses.plain_words import in_words, SHORT
from ..hypotheses.verdict import Verdict
from ..importers import imported_store
from ..importers.registry import CONVERGENCE
from ..tables.results import experiments, Results
from .cards.pictures import pictures
from .cards.words import Told, told
from .findings import Findings
from .sections.runs.failures import in_words as status_in_words

MARKS = {"supported": "✓", "contradicted": "✗", "not decided": "?"}


@dataclass(frozen=True)
class Answer:
    """One card: what it says, and its pictures."""

    told: Told
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Judged:
    """One claim in the strip: its number, few words, verdict, the sign of the verdict, and its number in words."""

    number: int
    claim: str
    verdict: str
    mark: str
    value: str


@dataclass(frozen=True)
class FirstScreen:
    """The part of the report that a reader sees before scrolling. `sentences`: the answer where there are no cards."""

    title: str
    question: str
    cards: tuple[Answer, ...]
    sentences: tuple[str, ...]
    strip: tuple[Judged, ...]
    not_judged: str
    data: str
    missing: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Return the pictures of all cards."""
        return tuple(figure for card in self.cards for figure in card.figures)


def first_screen(findings: Findings) -> FirstScreen:
    """Return the answer in cards, the verdicts, the data used, and what is missing."""
    results, decided = findings.results, findings.decided
    cards = tuple(Answer(told(card), tuple(pictures(f"a{index}", card))) for index, card in enumerate(findings.cards))
    return FirstScreen(results.plan.name or "study", question(results), cards,
                       () if cards else decided.headlines or decided.answers, tuple(_strip(decided.verdicts)),
                       _not_judged(decided.verdicts), _data(results), tuple(_missing(results)),
                       tuple(dict.fromkeys((*map(str, decided.run_warnings), *decided.warnings))))


def question(results: Results) -> str:
    """Return the plan's question, or else what was trained on what."""
    asked = str(results.settings.get("question") or "")
    runs = results.runs
    models, data = (listed(dict.fromkeys(shown(name) for name in runs[column] if name), 3)
                    for column in ("model", "dataset"))
    if asked or not models:
        return asked or (results.plan.name or "study")
    if models == data:  # a script, which is both
        return f"What does the batch do to {models}?"
    return f"{models} on {data}" if data else models


def _strip(verdicts: Sequence[Verdict]) -> Iterator[Judged]:
    """The claims that these runs can judge."""
    for one in verdicts:
        if value := in_words(one):
            yield Judged(one.number, SHORT[one.number], one.verdict, MARKS[one.verdict], value)


def _not_judged(verdicts: Sequence[Verdict]) -> str:
    """Those that they cannot, in one line."""
    names = [f"“{SHORT[one.number]}”" for one in verdicts if not in_words(one)]
    if not names:
        return ""
    return f"Not measured by this plan: {listed(names, 10)}. What each would take is at the end."


def _data(results: Results) -> str:
    """The data used, and how many runs and seeds, in one sentence."""
    runs, imported = results.runs, imported_store.imported_from(results.plan)
    if imported is not None:
        points = counted(runs.loc[runs["kind"] == CONVERGENCE, "reference_point"].nunique(), "reference point")
        what = f"to a target at {points} of" if CONVERGENCE in set(runs["kind"]) else "of"
        return (f"{counted(len(runs), 'run')} {what} {listed(runs['experiment'])}, imported from "
                f"{imported.file} ({imported.format}); nothing was run here.")
    if runs.empty:
        return f"No run of {counted(len(results.statuses), 'planned run')} has left a record yet."
    accuracy = runs[runs["kind"] == "accuracy"]
    each = ((shown(name), rows.iloc[0]) for name, rows in runs.groupby("dataset", sort=False))
    examples = listed(f"{name} ({row['source']}; {int(row['train_examples']):,} are trained on)" for name, row in each)
    seeds = f"; {counted(accuracy['seed'].nunique(), 'seed')}" if len(accuracy) else ""
    outcomes = [results.outcomes[name] for name in experiments(results)]
    margins = list(dict.fromkeys(one.counts_as_same for one in outcomes))
    same = f"; what lies within {listed(margins)} counts as the same" if margins else ""
    instead = "".join(f" {one.used} stands in for {one.asked}, which was not on the machine that made the plan."
                      for one in results.plan.stand_ins if one.used != one.asked)
    return (f"{examples}{seeds}; {counted(results.all_runs['run_id'].nunique(), 'run')} of "
            f"{len(results.statuses):,} planned{same}. In brackets: 95 % intervals.{instead}")


def _missing(results: Results) -> Iterator[str]:
    """What a reader of the first screen must know is not there, in sentences."""
    counts = results.statuses["status"].value_counts()
    waiting = int(sum(counts.get(name, 0) for name in ("pending", "running", "lost", "preempted", "timed_out")))
    if waiting:
        yield f"This report is partial: {waiting:,} of {len(results.statuses):,} runs have no result yet."
    for status in ("failed", "invalid", "unreadable", "diverged", "out_of_memory"):
        own = results.statuses[results.statuses["status"] == status]
        names, tried = own["run_id"], int((own["rule"] == TUNED_RULE).sum())
        tuning = f", {tried:,} of them at rates that a tuned arm tried" if tried else ""
        if len(names):
            yield f"{counted(len(names), 'run')} {status_in_words(status)}{tuning}: {listed(names, 3)}."
