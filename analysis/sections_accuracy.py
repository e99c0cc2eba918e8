"""Accuracy, gaps and loss against the batch: what growing the batch does to what is learned."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd

from .content import Figure, Section, counted, listed, number, percentage, table
from .difference import paired_difference
from .estimate import Estimate, unknown
from .groups import (MOST_PANELS, Workload, batch_shades, finite, first_panels, mean_curve, mean_of,
                     seeds_text, workloads)
from .plots import role
from .plots_lines import Axis, Panel, Series, draw_lines
from .table import Results

NO_ACCURACY = "No accuracy run has finished, so there is nothing to show here."
INTERVAL = "Bars: 95 % intervals of the mean over seeds"
MOST_CURVES = 5
Measure = Callable[[Workload, str, int], Estimate]


def accuracy(results: Results) -> Section:
    """Test accuracy, generalization gap and batch gap against the global batch."""
    found = workloads(results)
    if not found:
        return Section("accuracy", "Accuracy against batch", (NO_ACCURACY,))
    figures = []
    for name, work in first_panels(found):
        figures += list(_batch_panels(name, work, results.margin))
    text = ["Each point is the end of training at equal epochs. Generalization gap: accuracy on training data minus "
            "accuracy on test data, at the same weights. Batch gap: test accuracy at the reference batch minus test "
            "accuracy at this batch, paired by seed; above zero means that the larger batch ends worse."]
    text += _left_out(found)
    return Section("accuracy", "Accuracy against batch", tuple(text), tuple(figures),
                   table(("experiment", "rule", "batch", "peak rate", "test accuracy", "generalization gap",
                          "batch gap", "without a result"),
                         (row for work in found for row in _rows(work)), numbers=(2, 3),
                         caption="At the end of training: mean, 95 % interval over seeds, n. Gaps in percentage "
                                 "points."))


def _left_out(found: list[Workload]) -> list[str]:
    rest = [work.name for work in found[MOST_PANELS:]]
    return [f"Without figures, to keep this page readable: {listed(rest)}; all are in results.csv."] if rest else []


def test_accuracy(work: Workload, rule: str, batch: int) -> Estimate:
    return mean_of(work.arm(rule, batch), "test_accuracy")


def generalization_gap(work: Workload, rule: str, batch: int) -> Estimate:
    return mean_of(work.arm(rule, batch), "generalization_gap")


def batch_gap(work: Workload, rule: str, batch: int) -> Estimate:
    """Test accuracy at the reference batch (constant rule) minus this arm's, paired by seed."""
    columns = ["seed", "test_accuracy"]
    pairs = work.arm("constant", work.reference_batch)[columns].merge(work.arm(rule, batch)[columns], on="seed")
    pairs = pairs.dropna()
    if pairs.empty:
        return unknown()
    return paired_difference(pairs["test_accuracy_x"].to_numpy(), pairs["test_accuracy_y"].to_numpy()).estimate


def _batch_panels(name: str, work: Workload, margin: float) -> Iterator[Figure]:
    reference = work.reference_batch
    for key, title, label, measure, level in (
            ("accuracy", "Test accuracy against global batch", "test accuracy", test_accuracy, None),
            ("gap", "Generalization gap against global batch", "train minus test accuracy", generalization_gap,
             (0.0, "")),
            ("batchgap", f"Accuracy lost against batch {reference}", "batch gap", batch_gap,
             (margin, f"margin {margin * 100:g} %"))):
        rules = work.rules if key == "accuracy" else [rule for rule in work.rules if rule != "as_published"]
        series = tuple(_series(work, rule, measure) for rule in rules)
        counts = [point.n for line in series for _, point in line.points]
        if not any(counts):
            continue
        lost = tuple(_lost(work, rules)) if key == "accuracy" else ()
        panel = Panel(f"{name}-{key}", f"{work.name}: {title}", Axis("global batch, examples", 2, tuple(work.batches)),
                      Axis(label, percent=True), series, level, lost=lost)
        crosses = " Crosses at the foot: diverged runs." if lost else ""
        yield Figure(panel.name, f"{work.name}: {title}", draw_lines(panel),
                     f"{work.detail}. {INTERVAL}, {seeds_text(counts)}.{crosses}")


def _series(work: Workload, rule: str, measure: Measure) -> Series:
    points = [(float(batch), measure(work, rule, batch)) for batch in work.batches
              if not work.arm(rule, batch).empty]
    return Series(rule, role(rule), tuple(points), work.marker)


def _lost(work: Workload, rules: list[str]) -> Iterator[tuple[float, object, str]]:
    for rule in rules:
        for batch in work.batches:
            arm = work.arm(rule, batch)
            gone = int((arm["status"] != "completed").sum())
            if gone:
                yield float(batch), role(rule), f"{gone} of {len(arm)}"


def _rows(work: Workload) -> Iterator[tuple[str, ...]]:
    for rule in work.rules:
        for batch in work.batches:
            arm = work.arm(rule, batch)
            if arm.empty or (batch == work.reference_batch and rule not in ("constant", "as_published")):
                continue
            lost = arm[arm["status"] != "completed"]["status"].value_counts()
            yield (work.name, rule, f"{batch:,}", number(float(arm["peak_learning_rate"].iloc[0])),
                   percentage(test_accuracy(work, rule, batch)),
                   percentage(generalization_gap(work, rule, batch), signed=True),
                   percentage(batch_gap(work, rule, batch), signed=True) if batch != work.reference_batch else "",
                   listed(f"{count} {status}" for status, count in lost.items()))


def as_published(results: Results) -> Section:
    """Batches trained one after another on the same weights, beside runs that start anew."""
    title = "The published comparison, and its flaw"
    found = [work for work in workloads(results) if "as_published" in work.rules]
    if not found:
        return Section("as-published", title, ("No run trains the batches one after another on the same weights "
                                               "(`as_published`), so this artefact is not shown.",))
    figures = tuple(_carried_panel(name, work, results.evaluations) for name, work in first_panels(found))
    text = ("The often-copied example compiles the model again for each batch size but never builds it anew: each "
            "batch goes on from the weights the last one left. Its curves then show how long the model was trained "
            "in all, not what the batch does. The dotted line is that procedure, done here; the solid ones start "
            "each batch from fresh weights.",)
    rows = [row for work in found for row in _carried_rows(work, results.evaluations)]
    return Section("as-published", title, text, figures, table(
        ("experiment", "batch", "starts, as published", "starts, fresh", "ends, as published", "ends, fresh"), rows,
        "Test accuracy at the first evaluation and at the last: mean, 95 % interval over seeds, n.", (1,)))


def _evaluations(work: Workload, evaluations: pd.DataFrame, rule: str, batch: int) -> pd.DataFrame:
    runs = work.arm(rule, batch)["run_id"]
    return evaluations[evaluations["run_id"].isin(runs) & (evaluations["global_batch"] == batch)]


def _carried_panel(name: str, work: Workload, evaluations: pd.DataFrame) -> Figure:
    carried = evaluations[evaluations["run_id"].isin(work.runs[work.runs["rule"] == "as_published"]["run_id"])]
    epochs = int(work.runs["epochs"].iloc[0])
    phases = carried.drop_duplicates("phase").sort_values("phase")[["phase", "global_batch"]]
    series, joined, counts = [], [], []
    for phase, batch in phases.itertuples(index=False):
        for rule, label in (("as_published", ""), ("constant", "")):
            rows = _evaluations(work, evaluations, rule, int(batch))
            rows = rows.assign(total=rows["epoch"] + int(phase) * epochs)
            points = mean_curve(rows, "total", "test_accuracy")
            counts += [point.n for _, point in points]
            if rule == "as_published":
                joined += list(points)
            else:
                series.append(Series(label, role(rule), points, band=True))
    series = [Series("" if i < len(series) - 1 else "fresh weights", s.role, s.points, band=True)
              for i, s in enumerate(series)]
    series.append(Series("as published", role("as_published"), tuple(joined), band=True))
    marks = tuple((float(phase * epochs), f"B = {batch:,}") for phase, batch in phases.itertuples(index=False))
    title = f"{work.name}: batches one after another, and each from fresh weights"
    panel = Panel(f"{name}-carried", title, Axis("epochs trained one after another"),
                  Axis("test accuracy", percent=True), tuple(series), marks=marks)
    return Figure(panel.name, title, draw_lines(panel),
                  f"{work.detail}. Bands: 95 % t intervals over seeds, {seeds_text(counts)}.")


def _carried_rows(work: Workload, evaluations: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    for batch in work.batches:
        sides = [_evaluations(work, evaluations, rule, batch) for rule in ("as_published", "constant")]
        if sides[0].empty:
            continue
        first = [percentage(_end(side, "min")) for side in sides]
        last = [percentage(_end(side, "max")) for side in sides]
        yield (work.name, f"{batch:,}", *first, *last)


def _end(rows: pd.DataFrame, which: str) -> Estimate:
    from .estimate import mean_estimate
    steps = rows.groupby("run_id")["step"].transform(which)
    return mean_estimate(finite(rows[rows["step"] == steps], "test_accuracy"))


def curves(results: Results) -> Section:
    """Train loss against steps, examples and seconds."""
    found = workloads(results)
    title = "Loss curves"
    if not found or results.evaluations.empty:
        return Section("curves", title, (NO_ACCURACY,))
    figures = []
    for name, work in list(first_panels(found))[:4]:
        figures += list(_curve_panels(name, work, results.evaluations))
    text = ("The same runs against three measures of cost. At equal examples a small batch has taken more steps; at "
            "equal steps a large batch has seen more examples; seconds are those of training alone, and runs that "
            "were packed side by side shared the machine. Darker lines are larger batches; other rules are drawn at "
            "the largest batch.",)
    return Section("curves", title, text, tuple(figures))


def _curve_panels(name: str, work: Workload, evaluations: pd.DataFrame) -> Iterator[Figure]:
    lines = _curve_arms(work)
    for x, label in (("step", "steps"), ("examples", "examples seen"), ("train_seconds", "seconds of training")):
        series = []
        for rule, batch, text, opacity in lines:
            points = mean_curve(_evaluations(work, evaluations, rule, batch), x, "train_loss")
            series.append(Series(text, role(rule), points, band=True, opacity=opacity))
        counts = [point.n for line in series for _, point in line.points]
        if not counts:
            continue
        title = f"{work.name}: train loss against {label}"
        panel = Panel(f"{name}-loss-{x}", title, Axis(label, 10), Axis("train loss", 10), tuple(series))
        yield Figure(panel.name, title, draw_lines(panel),
                     f"{work.detail}. Fixed subset of the training data, inference mode. Bands: 95 % t intervals over "
                     f"seeds, {seeds_text(counts)}.")


def _curve_arms(work: Workload) -> list[tuple[str, int, str, float]]:
    """(rule, batch, label, opacity): the constant rule at several batches, the others at the largest."""
    constant = [batch for batch in work.batches if not work.arm("constant", batch).empty]
    if len(constant) > MOST_CURVES:
        constant = [*constant[:MOST_CURVES - 1], constant[-1]]
    shades = batch_shades(constant)
    lines = [("constant", batch, f"B = {batch:,}", shades[batch]) for batch in constant]
    for rule in work.rules:
        largest = [batch for batch in work.batches if not work.arm(rule, batch).empty]
        if rule not in ("constant", "as_published") and largest:
            lines.append((rule, largest[-1], f"{rule}, {largest[-1]:,}", 1.0))
    return lines


def diverged_text(results: Results) -> str:
    """How many runs diverged; empty when none did."""
    count = int((results.statuses["status"] == "diverged").sum())
    return f"{counted(count, 'run')} diverged and {'is' if count == 1 else 'are'} drawn as crosses." if count else ""
