"""Accuracy, gaps and loss against the batch: what growing the batch does to what is learned."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .content import Figure, Section, listed, number, percentage, table
from .difference import paired_difference
from .estimate import Estimate, unknown
from .groups import MOST_PANELS, NO_ACCURACY, Workload, first_panels, mean_of, seeds_text, workloads
from .plots import Role, role
from .plots_lines import Axis, Panel, Series, draw_lines
from .table import Results

INTERVAL = "Bars: 95 % intervals of the mean over seeds"
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
                                 "points.", fold="Numbers"))


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
            ("accuracy", "test accuracy against global batch", "test accuracy", test_accuracy, None),
            ("gap", "generalization gap against global batch", "train minus test accuracy", generalization_gap,
             (0.0, "")),
            ("batchgap", f"accuracy lost against batch {reference}", "batch gap", batch_gap,
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


def _lost(work: Workload, rules: list[str]) -> Iterator[tuple[float, Role, str]]:
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
