"""The tuned arm: validation result against rate, the rates chosen, and what each rule leaves on the table."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from .....benchmarks.schedules.rules import has_own_reference, TUNED_RULE
from .....benchmarks.text import counted, listed, number
from ....figures.drawing import Figure
from ....figures.lines import Axis, draw_lines, Panel, Series
from ....figures.theme import Role, role
from ....formatting import Table, table
from ....statistics.estimate import Estimate, unknown
from ....study.arm_runs import conditions
from ....study.example_sampling import gap_between, sampling
from ....study.groups import batch_shades, seeds_text, Workload
from ....tables.outcome import ACCURACY, Outcome
from ....tables.tuned_rates import Trial, TunedBatch
from ...blocks import Section
from ...builder import section
from ...findings import Findings


@section("tuned", "Tuned rates, and what each rule leaves on the table", needs='rules = ["tuned"]')
def build(findings: Findings) -> Section | None:
    """Return the rates tried and chosen, and how far each rule's result is from the tuned one."""
    found = findings.results.tuned
    if not found:
        return None
    every = "" if any(one.stopped for one in found) else " with every seed"
    text = (f"At each batch, the reference batch included, the same number of rates was tried{every}, spread evenly on "
            "a log scale around what the square-root rule gives there. The rate with the best mean "
            "validation accuracy, or loss where there is no accuracy, is the tuned arm at that batch; trials of which "
            "a seed diverged come last.",
            "Test results are reported, never chosen by. A rate's mean owes something to the luck it was chosen for, "
            "so the tuned arm is read where it was not chosen: each half of the seeds at the rate that the other half "
            "chooses. Its intervals allow for what two halves that choose for each other share.")
    halved = tuple(_halved(findings, name) for name in dict.fromkeys(one.experiment for one in found if one.stopped))
    works = [(name, work, own) for name, work in findings.panels
             if (own := [one for one in found if (one.experiment, one.placement) == _key(work)])]
    figures = tuple(figure for name, work, own in works for figure in _panel(name, work, own))
    return Section((*text, *halved), figures, (*_chosen(found), *_left(works), *_tried(found)),
                   tuple(warning for one in found for warning in one.warnings))


def _halved(findings: Findings, experiment: str) -> str:
    """How rates were stopped, what that saved, and what it risks."""
    own = [one for one in findings.results.tuned if one.experiment == experiment]
    runs = findings.results.all_runs
    of = runs[(runs["experiment"] == experiment) & (runs["rule"] == TUNED_RULE)]
    epochs = int(of["epochs"].max())
    stops = sorted({trial.stops_after for one in own for trial in one.stopped})
    seeds = int(of.loc[of["stops_after"] > 0, "seed"].nunique())
    rates = sum(len(one.tried) for one in own)
    ended = sum(len(one.stopped) for one in own)
    return (f"{experiment}: rates were halved. After {listed(map(str, stops))} of {epochs} epochs, by {seeds} seeds, "
            f"the better half went on from where it was; {ended} of {rates} rates over all batches ended there, and "
            f"{taken_share(of):.0%} of the epochs were trained that all of them with every seed would have taken. "
            "More seeds were for rates by which choosing anew was expected to gain a fifth of the margin; where rates "
            "so took unequally many, each seed is read at the rate that the others choose of those that ran with it. A "
            "rate stands as the best only where the next lower and the next higher one were trained to the end as "
            "well, so what this risks is a second, better rate apart from it, which is slow at first.")


def taken_share(runs: pd.DataFrame) -> float:
    """Return the share of epochs that were trained of those that all rates tried would have taken with every seed; a
    run goes on from a shorter one of the same rate and seed. runs: the trials of one experiment's tuned arm."""
    length = runs["stops_after"].where(runs["stops_after"] > 0, runs["epochs"])
    taken = length.groupby([runs["global_batch"], runs["trial"], runs["seed"]]).max().sum()
    cells = runs.groupby("global_batch").agg(rates=("trial", "nunique"), seeds=("seed", "nunique"))
    return float(taken / ((cells["rates"] * cells["seeds"]).sum() * runs["epochs"].max()))


def _key(work: Workload) -> tuple[str, str]:
    return work.experiment, work.placement


def _panel(name: str, work: Workload, own: list[TunedBatch]) -> Iterator[Figure]:
    """One line per batch, darker for larger ones; nothing where no trial completed."""
    own = sorted(own, key=lambda one: one.global_batch)
    shades = batch_shades([one.global_batch for one in own])
    series = tuple(Series(f"B = {one.global_batch:,}", role(TUNED_RULE), tuple(
        (trial.learning_rate, trial.validation) for trial in one.trials if not trial.lost),
        work.marker, opacity=shades[one.global_batch], runs={trial.learning_rate: ",".join(
            (conditions(work.arm(TUNED_RULE, one.global_batch)), f"trial={trial.trial}")) for trial in one.trials})
        for one in own)
    counts = [point.n for line in series for _, point in line.points]
    if not any(counts):
        return
    title = f"{work.title}: validation {work.outcome.name} against the learning rate tried"
    panel = Panel(f"{name}-tuned", title, Axis("learning rate", 10),
                  Axis(f"validation {work.outcome.name}", percent=work.outcome.percent, bounds=work.outcome.bounds),
                  series, lost=_crosses(own))
    crosses = " Crosses at the foot: rates at which a seed diverged or ran out of memory." if panel.lost else ""
    yield Figure(panel.name, title, draw_lines(panel),
                 f"{work.detail}. At the end of training. Bars: 95 % intervals of the mean over seeds, "
                 f"{seeds_text(counts)}.{crosses}")


def _validation(trial: Trial) -> str:
    return f"{trial.outcome.name} {trial.outcome.cell(trial.validation)}"


def _crosses(own: list[TunedBatch]) -> tuple[tuple[float, Role, str], ...]:
    return tuple((trial.learning_rate, role(TUNED_RULE), "") for one in own for trial in one.trials if trial.lost)


def _chosen(found: tuple[TunedBatch, ...]) -> tuple[Table, ...]:
    rows = [(one.experiment, one.placement, f"{one.global_batch:,}", number(one.chosen.learning_rate),
             f"{number(one.tried[0].learning_rate)} to {number(one.tried[-1].learning_rate)}",
             f"{one.finished_trials} of {one.planned_trials}", _validation(one.chosen),
             _remarks(one)) for one in found]
    return table(("experiment", "on", "batch", "tuned rate", "tried", "trials finished", "validation",
                  "remarks"), rows, "The rate chosen at each batch.", (2, 3))


def _remarks(one: TunedBatch) -> str:
    lost = one.lost_trials
    return listed(text for text in (f"the {one.edge} rate tried" if one.edge else "",
                                    f"{lost} of {counted(len(one.trials), 'trial')} diverged" if lost else "",
                                    f"{len(one.stopped)} stopped early" if one.stopped else "",
                                    "partial" if one.partial else "") if text)


def _tried(found: tuple[TunedBatch, ...]) -> tuple[Table, ...]:
    rows = [(one.experiment, f"{one.global_batch:,}", number(trial.learning_rate),
             _validation(trial), f"{trial.lost} lost" if trial.lost else "",
             "chosen" if trial is one.chosen else f"after {counted(trial.stops_after, 'epoch')}" if trial.stops_after
             else "") for one in found for trial in one.tried]
    stopped = " A rate that was stopped: as far as it came." if any(one.stopped for one in found) else ""
    return table(("experiment", "batch", "rate", "validation", "seeds", ""), rows,
                 f"Every rate tried, at the end of training: mean over the seeds that completed, 95 % interval, "
                 f"n.{stopped}",
                 (1, 2), "All trials", longest=150)


def _left(works: list[tuple[str, Workload, list[TunedBatch]]]) -> tuple[Table, ...]:
    rows = [row for _, work, own in works for one in own for row in _differences(work, one)]
    return table(("experiment", "batch", "rule", "its rate", "tuned rate", "test result, tuned better by"), rows,
                 "What each rule leaves on the table: paired by seed, 95 % intervals, n. Above zero: the tuned rate "
                 "predicts better.", (1, 3, 4), longest=150)


def _differences(work: Workload, one: TunedBatch) -> Iterator[tuple[str, ...]]:
    best = work.arm(TUNED_RULE, one.global_batch)
    at_reference = one.global_batch == work.reference_batch
    for rule in ("constant",) if at_reference else [rule for rule in work.rules if not has_own_reference(rule)]:
        runs = work.arm(rule, one.global_batch)
        if runs.empty or best.empty:
            continue
        lost = runs.loc[runs["status"] != "completed", "status"].value_counts()
        remark = "".join(f"; {count} of {len(runs)} {status.replace('_', ' ')}" for status, count in lost.items())
        name = "all rules" if at_reference else rule
        better = work.outcome.cell_difference(advantage(best, runs, work.outcome), 2)
        yield (work.name, f"{one.global_batch:,}", name, number(float(runs["peak_learning_rate"].iloc[0])),
               number(one.chosen.learning_rate), better + remark)


def advantage(best: pd.DataFrame, runs: pd.DataFrame, outcome: Outcome = ACCURACY) -> Estimate:
    """Return how much better the tuned arm ends than a rule's, on the test data, paired by seed; unknown where either
    lost a seed, for the seeds that survived are no fair sample."""
    if not (best["status"].eq("completed").all() and runs["status"].eq("completed").all()):
        return unknown()
    first, second = (rows.set_index("seed")[outcome.test] for rows in (best, runs))
    return gap_between(first, second, outcome, sampling(best, runs, outcome, outcome.test), True).estimate
