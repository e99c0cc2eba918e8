"""Steps to a target against published tables, and end to end on a problem solved in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest

from batchscale.analysis.laws.critical_batch import (compare_sources, fit_steps_to_target, throughput_knee,
                                                     useful_batches)
from batchscale.analysis.statistics.estimate import Estimate, Floats, unknown
from batchscale.analysis.statistics.olympic_mean import olympic_mean
from batchscale.benchmarks.errors import RecordError

# AdaScale (Johnson et al. 2020, table 2): iterations at equal quality.
CIFAR10 = {128: 39100, 1024: 5850, 2048: 3360, 4096: 2080, 8192: 1410}
IMAGENET = {256: 451000, 4096: 33200, 8192: 18700, 16384: 11200, 32768: 7290}
# MLPerf training 4.0, ResNet-50 reference points: epochs to 75.9 % top-1 of each run.
RESNET = {
    1632: [34, 34, 34, 35, 35, 37, 35, 35, 33, 35, 35, 37, 37, 35, 35, 34, 35],
    3264: [36, 35, 34, 34, 36, 35, 35, 35, 35, 37, 35, 35, 35, 36, 35],
    4096: [39, 42, 40, 41, 39, 40, 41, 39, 40, 39],
    8192: [42, 44, 43, 41, 41, 41, 42, 42, 43, 41],
    13056: [46, 46, 44, 46, 45, 46, 45, 45, 45, 46],
    32768: [56, 56, 55, 56, 56, 56, 56, 56, 57, 56],
    49152: [68, 68, 68, 68, 69, 68, 68, 67, 69, 67],
    58880: [80, 81, 80, 78, 80, 80, 81, 79, 80, 80],
    65536: [83, 85, 84, 86, 85, 85, 83, 84, 85, 85],
    67840: [86, 87, 86, 87, 86, 85, 86, 86, 86, 85, 86, 86, 86, 86, 86, 85, 86, 86, 87, 85, 85,
            86, 85, 87, 86, 85, 85, 86],
}
RESNET_EPOCHS = [35.000, 35.154, 39.875, 41.875, 45.500, 56.000, 68.000, 80.000, 84.500, 85.846]
IMAGENET_EXAMPLES = 1_281_167

QUADRATIC_BATCHES = [2 ** power for power in range(21)]
QUADRATIC_STEPS = [24661, 12383, 6248, 3183, 1658, 912, 569, 422, 355, 320, 300, 288, 280, 275,
                   272, 270, 269, 269, 269, 269, 269]


class NoisyQuadratic:
    """Zhang et al. 2019: 1000 dimensions, curvature and noise 1/i, initial losses h_i/2."""

    def __init__(self) -> None:
        self.curvature = 1 / np.arange(1.0, 1001.0)
        shrink = 1 - np.geomspace(1e-4, 1.999, 600)[:, None] * self.curvature
        self.log_shrink = np.log(np.abs(shrink))
        rate = np.geomspace(1e-4, 1.999, 600)[:, None]
        self.noise = rate * self.curvature / (2 * (2 - rate * self.curvature))
        self.seen: dict[int, tuple[Floats, Floats]] = {}

    def parts(self, step: int) -> tuple[Floats, Floats]:
        """Loss at one step for each of the 600 rates: (without noise, noise at batch 1)."""
        if step not in self.seen:
            kept = np.exp(2 * step * self.log_shrink)
            lasting = self.noise.sum(axis=1) - np.einsum("rd,rd->r", kept, self.noise)
            self.seen[step] = kept @ (self.curvature / 2), lasting
        return self.seen[step]

    def least_loss(self, step: int, batch: int) -> float:
        initial, noise = self.parts(step)
        return float(np.min(initial + noise / batch))

    def steps_to(self, target: float, batch: int, below: int, passes: int) -> int:
        """The smallest step, over all rates, in (below, passes], by bisection."""
        assert self.least_loss(below, batch) > target >= self.least_loss(passes, batch)
        while passes - below > 1:
            middle = (below + passes) // 2
            if self.least_loss(middle, batch) <= target:
                passes = middle
            else:
                below = middle
        return passes


def test_a_problem_without_training_from_steps_to_the_fit() -> None:
    problem = NoisyQuadratic()
    assert problem.least_loss(0, 1) == pytest.approx(3.74274, abs=5e-6)
    steps: list[int] = []
    for batch in QUADRATIC_BATCHES:
        # A batch twice as large saves at most half of the steps.
        last = steps[-1] if steps else 30_000
        steps.append(problem.steps_to(0.1, batch, last // 2, last))
    assert steps == QUADRATIC_STEPS
    fit = fit_steps_to_target(QUADRATIC_BATCHES, steps)
    assert fit.minimum_steps.value == pytest.approx(268.9, abs=0.05)
    assert fit.critical_batch.value == pytest.approx(85.4, abs=0.05)
    assert fit.rms_log_residual == pytest.approx(0.038, abs=5e-4)
    useful = useful_batches(QUADRATIC_BATCHES, steps)
    assert (useful.perfect_scaling_end, useful.largest_useful, useful.note) == (32, 512, "")


@pytest.mark.parametrize("batch, steps, examples", [(250, 5, 1.25), (1000, 2, 2), (4000, 1.25, 5)])
def test_the_law_around_its_critical_batch(batch: int, steps: float, examples: float) -> None:
    law = {size: 300 * (1 + 1000 / size) for size in (50, 200, 1000, 5000, 20000)}
    fit = fit_steps_to_target(list(law), list(law.values()))
    assert fit.critical_batch.value == pytest.approx(1000)
    assert fit.steps(batch) / fit.minimum_steps.value == pytest.approx(steps)
    assert batch * fit.steps(batch) / fit.minimum_examples.value == pytest.approx(examples)


@pytest.mark.parametrize("table, fewest, critical", [
    (CIFAR10, (823, 710, 955), (6130, 5029, 7473)),
    (IMAGENET, (3845, 3219.8, 4591.7), (30717, 24469, 38561))])
def test_adascale_tables(table: dict[int, float], fewest: tuple[float, ...],
                         critical: tuple[float, ...]) -> None:
    fit = fit_steps_to_target(list(table), list(table.values()))
    digits = 0.05 if fewest[1] % 1 else 0.5
    assert rounded(fit.minimum_steps)[0] == fewest[0]
    assert (fit.minimum_steps.low, fit.minimum_steps.high) == pytest.approx(fewest[1:], abs=digits)
    assert rounded(fit.critical_batch) == critical
    assert fit.critical_batch.n == 5 and fit.note == ""


def rounded(estimate: Estimate) -> tuple[float, float, float]:
    return round(estimate.value), round(estimate.low), round(estimate.high)


def test_mlperf_reference_points() -> None:
    epochs = [olympic_mean(runs).value for runs in RESNET.values()]
    assert epochs == pytest.approx(RESNET_EPOCHS, abs=5e-4)
    steps = [epoch * IMAGENET_EXAMPLES / batch for epoch, batch in zip(epochs, RESNET)]
    fit = fit_steps_to_target(list(RESNET), steps)
    assert rounded(fit.minimum_steps) == (946, 859, 1042)
    assert rounded(fit.critical_batch) == (46_909, 40_978, 53_699)
    # A straight line of epochs on batch is another estimator, with another answer.
    slope, intercept = np.polyfit(list(RESNET), epochs, 1)
    assert round(intercept / slope) == 46_153


def test_the_interval_covers_the_truth() -> None:
    rng, trials, inside = np.random.default_rng(0), 100, 0
    batches = [64, 128, 256, 512, 1024, 2048, 4096]
    truth = 500 * (1 + 700 / np.array(batches))
    for _ in range(trials):
        critical = fit_steps_to_target(
            batches, list(truth * np.exp(rng.normal(0, 0.05, 7)))).critical_batch
        inside += critical.low <= 700 <= critical.high
    assert abs(inside / trials - 0.95) <= 3 * math.sqrt(0.95 * 0.05 / trials)


def test_batches_below_the_knee_give_only_the_product() -> None:
    fit = fit_steps_to_target([8, 16, 32, 64], [1000, 500, 250, 125])
    assert math.isnan(fit.critical_batch.value) and math.isnan(fit.minimum_steps.value)
    assert fit.minimum_examples.value == pytest.approx(8000)
    assert fit.steps(128) == pytest.approx(62.5)
    assert "below the knee" in fit.note and "well above 64" in fit.note
    finite = fit_steps_to_target([8, 16, 32, 64], [1000, 501, 250, 126])
    assert finite.critical_batch.high > 10 * finite.critical_batch.low
    assert "below the knee" in finite.note


def test_batches_above_the_knee_give_only_the_fewest_steps() -> None:
    fit = fit_steps_to_target([8, 16, 32, 64], [100, 100, 101, 100])
    assert math.isnan(fit.critical_batch.value) and math.isnan(fit.minimum_examples.value)
    assert fit.minimum_steps.low < 100 < fit.minimum_steps.high
    assert fit.steps(8) == pytest.approx(fit.minimum_steps.value)
    assert "above the knee" in fit.note and "well below 8" in fit.note


def test_runs_that_never_pass_are_listed_and_change_nothing_else() -> None:
    batches, steps = list(CIFAR10), list(CIFAR10.values())
    full = fit_steps_to_target(batches, steps)
    for never in (None, math.inf, math.nan):
        fit = fit_steps_to_target([*batches, 16384, 16384], [*steps, never, never])
        assert fit.critical_batch == full.critical_batch
        assert fit.censored == (16384, 16384)
        assert fit.note.startswith("2 runs never passed the target (batch 16384)")


def test_two_batches_have_no_interval_and_one_has_no_fit() -> None:
    assert not fit_steps_to_target([8, 16], [100, 60]).critical_batch.has_interval
    none = fit_steps_to_target([8, 8, 16], [100, 101, None])
    assert math.isnan(none.minimum_steps.value)
    assert none.note.startswith("not enough points: batches that passed: 1;")
    assert none.censored == (16,)


def test_steps_that_do_not_match_or_are_not_positive_are_refused() -> None:
    with pytest.raises(RecordError, match="2 batches and 1 steps"):
        fit_steps_to_target([8, 16], [100])
    with pytest.raises(RecordError, match="must be positive"):
        fit_steps_to_target([8, 16], [100, 0])


def test_useful_batches_flag_the_edge_of_what_was_measured() -> None:
    useful = useful_batches([8, 16, 32], [1000, 500, 250])
    assert (useful.perfect_scaling_end, useful.largest_useful) == (32, 32)
    assert "perfect scaling has not ended" in useful.note
    assert "larger ones may be useful" in useful.note


def test_a_batch_that_mostly_never_passes_is_not_useful() -> None:
    batches, steps = [8, 16, 32, 64, 64, 64], [1000, 500, 300, 200, None, None]
    useful = useful_batches(batches, steps)
    assert (useful.perfect_scaling_end, useful.largest_useful) == (32, 32)
    assert useful_batches([8], [None]).perfect_scaling_end is None


def test_useful_batches_have_a_range_over_the_seeds() -> None:
    batches, seeds = np.tile([8.0, 16.0, 32.0, 64.0], 4), np.repeat(np.arange(4.0), 4)
    # Examples to the target: 8,000 at the two smallest, 1.19 and 1.5 times that at the others.
    shares = np.tile([1.0, 1.0, 1.19, 1.5], 4)
    noise = np.exp(0.02 * np.array([1, -1, 1, 1, -1, 1, -1, -1, 1, 1, -1, 1, -1, -1, 1, -1]))
    steps = 8000 * shares / batches * noise
    useful = useful_batches(batches, steps, seeds=seeds, least=steps)
    # 1.19 is not told apart from 1.2, and 1.5 is.
    assert useful.perfect_scaling_end in (16, 32) and useful.perfect_range == (16, 32)
    assert useful.largest_useful == 64 and useful.useful_range == (64, 64)
    # A run that never passed can show a batch to be beyond, never to be within.
    never = np.where(batches == 64, math.inf, steps)
    assert useful_batches(batches, never, seeds=seeds, least=steps).perfect_range == (16, 32)
    assert useful_batches(batches[:4], steps[:4], seeds=seeds[:4], least=steps[:4]).perfect_range is None


def test_half_of_peak_throughput_is_reached_at_the_knee() -> None:
    sizes = [8, 16, 32, 64, 128, 256]
    noise = [1.01, 0.99, 1.005, 0.995, 1.01, 0.99]
    knee = throughput_knee(sizes, [(4e-3 + 1e-4 * n) * e for n, e in zip(sizes, noise)])
    assert knee.knee_batch.low < 40 < knee.knee_batch.high
    assert knee.overhead_seconds.low < 4e-3 < knee.overhead_seconds.high
    assert knee.seconds_per_example.low < 1e-4 < knee.seconds_per_example.high
    assert knee.note == ""
    n = knee.knee_batch.value
    seconds = knee.overhead_seconds.value + knee.seconds_per_example.value * n
    assert n / seconds == pytest.approx(0.5 / knee.seconds_per_example.value)


def test_a_slow_large_batch_does_not_hide_the_fixed_cost() -> None:
    seconds = [4e-3 + 1e-4 * n for n in (8, 16, 32, 64, 128)] + [1.05 * (4e-3 + 1024e-4)]
    knee = throughput_knee([8, 16, 32, 64, 128, 1024], seconds)
    assert knee.overhead_seconds.value == pytest.approx(4e-3, rel=0.02)


def test_a_knee_whose_law_does_not_fit_says_so() -> None:
    sizes = np.repeat([8, 16, 32, 64, 128, 256], 3)
    noise = np.tile([0.99, 1.0, 1.01], 6)
    straight = (4e-3 + 1e-4 * sizes) * noise
    assert "does not fit" not in throughput_knee(sizes, straight).note
    bent = straight * np.where(sizes > 64, 1.3, 1.0)  # an example takes longer where a cache has ended
    assert "does not fit the step times (lack of fit: p =" in throughput_knee(sizes, bent).note


def test_a_knee_outside_the_batches_is_said_to_be_there() -> None:
    assert "was not reached" in throughput_knee([8, 16, 32], [1.008, 1.016, 1.032]).note
    assert "not grow" in throughput_knee([8, 16, 32], [1.0, 0.99, 0.98]).note
    assert "peak at every batch" in throughput_knee([8, 16, 32], [0.7, 1.6, 3.4]).note
    assert "lies below the smallest batch measured, 64" in throughput_knee([64, 128, 256], [1.01, 1.63, 2.92]).note
    assert "not enough points" in throughput_knee([8, 8], [1.0, 1.1]).note


def test_sources_are_set_side_by_side_and_disagreement_is_flagged() -> None:
    steps, noise = Estimate(900, 700, 1150, 7), Estimate(2000, 1500, 2600, 5)
    flags = compare_sources({"steps to target": steps, "noise scale": noise})
    assert len(flags) == 1 and "disagree" in flags[0]
    agree = compare_sources({"steps": steps, "noise": Estimate(1000, 800, 1200, 5), "absent": unknown()})
    assert len(agree) == 1 and agree[0].endswith("agree within their intervals.")
    # These two overlap by a little, and still differ: log(1100/600) > hypot(log(900/600), log(1100/880)).
    near = compare_sources({"steps": Estimate(600, 450, 900, 6), "noise": Estimate(1100, 880, 1400, 6)})
    assert "disagree" in near[0]
    bare = compare_sources({"steps": steps, "noise": Estimate(2000, math.nan, math.nan, 1)})
    assert "not known whether they differ" in bare[0]
    bug = compare_sources({"steps": steps, "noise": Estimate(9000, math.nan, math.nan, 1)})
    assert "10-fold apart: look for a bug or an untuned learning rate" in bug[0]
