"""What a reader of the report sees before scrolling: the question, the answer, the data and what is missing."""

from __future__ import annotations

from dataclasses import dataclass

from ...benchmarks.schedules.rules import TUNED_RULE
from ...benchmarks.text import counted, listed
from ..decision.decision import Decision
from ..formatting import Table
from ..importers import imported_store
from ..importers.registry import CONVERGENCE
from ..tables.results import experiments, Results
from .sections.runs.failures import in_words

QUESTION = "How does the batch size affect accuracy, speed and memory?"


@dataclass(frozen=True)
class FirstScreen:
    """The part of the report that a reader sees before scrolling."""

    title: str
    question: str
    answer: tuple[str, ...]
    more: tuple[str, ...]
    data: str
    missing: tuple[str, ...]
    tables: tuple[Table, ...] = ()
    warnings: tuple[str, ...] = ()


def first_screen(results: Results, decided: Decision) -> FirstScreen:
    """Return the question, the answer in plain words, the data used, and what is missing."""
    settings, leading = results.settings, max(len(decided.answers), 1)
    opened = [f"Open: {question}." for question in decided.open_questions]
    return FirstScreen(results.plan.name or "study", str(settings.get("question") or QUESTION),
                       decided.headlines or decided.sentences[:leading],
                       tuple(s for s in decided.sentences[leading:] if s not in opened), _data(results),
                       (*_missing(results), *opened), decided.overview, tuple(map(str, decided.run_warnings)))


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
    examples = listed(f"{name} ({rows['source'].iloc[0]}; {int(rows['train_examples'].iloc[0]):,} are trained on)"
                      for name, rows in runs.groupby("dataset", sort=False))
    models = listed(f"{model} with {optimizer}" for model, optimizer in
                    dict.fromkeys(zip(accuracy["model"], accuracy["optimizer"])))
    trained = f"; {models}, {counted(accuracy['seed'].nunique(), 'seed')}" if models else ""
    outcomes = [results.outcomes[name] for name in experiments(results)]
    margins = list(dict.fromkeys(one.counts_as_same for one in outcomes))
    same = f"; what lies within {listed(margins)} counts as the same" if margins else ""
    instead = "".join(f" {one.used} stands in for {one.asked}, which was not on the machine that made the plan."
                      for one in results.plan.stand_ins if one.used != one.asked)
    return (f"{examples}{trained}; {counted(results.all_runs['run_id'].nunique(), 'run')} with a record of "
            f"{len(results.statuses):,} planned{same}.{instead}")


def _missing(results: Results) -> list[str]:
    """What a reader of the first screen must know is not there, in sentences."""
    counts = results.statuses["status"].value_counts()
    waiting = int(sum(counts.get(name, 0) for name in ("pending", "running", "lost", "preempted", "timed_out")))
    sentences = []
    if waiting:
        sentences.append(f"This report is partial: {waiting:,} of {len(results.statuses):,} runs have no result yet.")
    for status in ("failed", "invalid", "unreadable", "diverged", "out_of_memory"):
        own = results.statuses[results.statuses["status"] == status]
        names, tried = own["run_id"], int((own["rule"] == TUNED_RULE).sum())
        tuning = f", {tried:,} of them at rates that a tuned arm tried" if tried else ""
        if len(names):
            sentences.append(f"{counted(len(names), 'run')} {in_words(status)}{tuning}: {listed(names, 3)}.")
    sentences += [f"Skipped: {item.experiment}, {item.what}: {item.reason}." for item in results.plan.skipped]
    left_out = results.settings.get("leaves_out") or ()
    return sentences + [f"Left out by the plan: {item}." for item in left_out]
