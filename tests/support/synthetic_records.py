"""Records of a study that never ran, made from a known truth: what the analysis must find again.

Each seed adds its own offset at all batches, and each run a noise of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from batchscale.analysis.tables.reading import from_records
from batchscale.analysis.tables.results import Results
from batchscale.benchmarks.records.schema import SCHEMA_VERSION, finite
from batchscale.benchmarks.records.store import Store
from batchscale.benchmarks.runs.derived import derived
from batchscale.benchmarks.runs.run_config import from_json, RunConfig, to_json
from batchscale.benchmarks.schedules.phases import evaluation_steps, Phase, phases
from batchscale.benchmarks.schedules.rules import TUNED_RULE
from support.synthetic_truth import (ADAM, DEEP, FIRST_LOSS, GUESSING, SGD, Curve, Experiment, Memory, Study, Timing,
                                     Tuning, change, configs)

EVALUATED = 1_000_000  # the truth is that of all examples: what a finite set of them adds has tests of its own
__all__ = ["ADAM", "DEEP", "SGD", "Curve", "Experiment", "Memory", "Study", "Timing", "Tuning", "change", "manifest",
           "record_for", "records", "results", "write_store"]


def records(study: Study) -> list[dict[str, Any]]:
    """All records; valid by the schema."""
    noise = np.random.default_rng(study.seed)
    made = [_record(study, config, noise) for config in configs(study)]
    return list({record["run_id"]: record for record in made}.values())


def record_for(config: RunConfig) -> dict[str, Any]:
    """The record of one configuration, whatever it is."""
    return _record(Study(), config, np.random.default_rng(0))


def manifest(study: Study, made: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"runs": [record["run_id"] for record in made], "name": "synthetic", "source": "",
            "settings": {"name": "synthetic", "question": "", "margin": study.margin,
                         "first_seed": 0, "leaves_out": [], "drift_guard": True},
            "skipped": [], "text": ""}


def results(study: Study) -> Results:
    made = records(study)
    return from_records(made, manifest(study, made))


def write_store(folder: Path, made: Sequence[dict[str, Any]], **facts: Any) -> Store:
    """A results folder as ranks leave it behind."""
    store = Store(folder)
    store.prepare([from_json(record["config"]) for record in made],
                  {"name": "synthetic", "settings": {}, "skipped": [], "text": "", **facts})
    for record in made:
        run = store.run(record["run_id"])
        attempt = run.claim()
        assert attempt is not None
        run.finish(attempt, record)
    return store


def _record(study: Study, config: RunConfig, noise: np.random.Generator) -> dict[str, Any]:
    experiment = next((e for e in study.experiments if e.name == config.experiment), SGD)
    record = _blank(config, experiment)
    if config.kind == "accuracy":
        _train(record, study, config, experiment, noise)
    elif config.kind == "throughput" and study.timing:
        record["windows"] = _windows(study.timing, config, noise)
    elif study.memory:
        peak = study.memory.fixed_bytes + study.memory.bytes_per_example * config.replica_batch
        peak += float(noise.normal(0, study.memory.noise))
        record["memory"] |= {"baseline_bytes": 600_000_000, "peak_bytes": 600_000_000 + int(peak)}
    return dict(finite(record))


def _blank(config: RunConfig, experiment: Experiment) -> dict[str, Any]:
    activities = ("data", "build", "trace", "train", "evaluate", "probe", "total")
    return {
        "schema_version": SCHEMA_VERSION, "run_id": config.run_id, "status": "completed",
        "attempt": 1, "finished": "2030-01-01T00:00:00+00:00", "config": to_json(config),
        "derived": derived(config),
        "workload": {"source": "synthetic", "train_examples": config.train_examples,
                     "validation_examples": EVALUATED, "test_examples": EVALUATED,
                     "input_shape": [28, 28, 1], "classes": 10,
                     "parameters": experiment.parameters, "flops_per_example": 2e5},
        "environment": {"python": "3.12.0", "host": "made-up", "processor": "none", "cores": 2,
                        "load_average": [0.1, 0.1, 0.1]},
        "agreement": {"size_expected": 1, "size": 1, "replicas": config.replicas,
                      "equal_after_broadcast": True, "shards_disjoint_and_complete": True,
                      "equal_at_evaluations": 1},
        "evaluations": [], "windows": [], "gradient_norms": [],
        "memory": {"baseline_bytes": None, "peak_bytes": None, "device_baseline_bytes": None,
                   "device_peak_bytes": None},
        "timing": {f"{name}_seconds": 1.0 for name in activities}, "warnings": []}


def _train(record: dict[str, Any], study: Study, config: RunConfig, experiment: Experiment,
           noise: np.random.Generator) -> None:
    curve = experiment.curves.get(config.rule, experiment.curves["constant"])
    if experiment.tuning and config.rule == TUNED_RULE:
        factor = config.base_learning_rate / experiment.square_root_rate(config.global_batch)
        curve = experiment.tuning.curve(config.global_batch, factor)
    # The seed's own offset does not depend on the batch: that is what pairing takes away.
    shared = float(np.random.default_rng(10_000 + config.seed).normal(0, 0.003))
    head_start = 0.0
    for phase in phases(config):
        broken = phase.global_batch in curve.diverged
        rows = _curve(study, curve, phase, shared, head_start, noise)
        if broken:
            rows = rows[:3]
            rows[-1] |= {"train_loss": None, "test_loss": None, "validation_loss": None}
        record["evaluations"] += rows
        head_start = rows[-1]["test_accuracy"] - GUESSING
        if broken:
            record["status"] = "diverged"
            return
    for row in record["evaluations"] if config.noise_batches else ():
        record["gradient_norms"] += _norms(study, config, row, noise)


def _curve(study: Study, curve: Curve, phase: Phase, shared: float, head_start: float,
           noise: np.random.Generator) -> list[dict[str, Any]]:
    batch = phase.global_batch
    own, loss_noise, gap_noise, speed_noise = (float(v) for v in noise.normal(0, study.noise, 4))
    accuracy = study.final_accuracy + shared + own - curve.accuracy_gap.get(batch, 0.0)
    final = study.final_loss + curve.loss_gap.get(batch, 0.0) - shared + 2 * loss_noise
    speed = curve.speed.get(batch, study.speed) * (1 + 2 * speed_noise)
    extra = 0.02 + curve.generalization.get(batch, 0.0) + gap_noise
    rows = []
    for step in evaluation_steps(phase.steps_per_epoch, phase.stops_after or phase.epochs):
        epoch = step / phase.steps_per_epoch
        left = math.exp(-speed * epoch)
        loss = final + (FIRST_LOSS - final) * left
        loss += curve.tail.get(batch, 0.0) * (1 - epoch / phase.epochs)
        test = GUESSING + head_start * left + (accuracy - GUESSING) * (1 - left)
        gap = extra * (1 - loss / FIRST_LOSS)
        rows.append({
            "phase": phase.index, "global_batch": batch, "step": step, "epoch": epoch,
            "examples": step * batch, "train_seconds": step * (1e-3 + 1e-5 * batch),
            "train_loss": loss, "train_accuracy": test + gap, "validation_loss": loss + gap,
            "validation_accuracy": test + own / 2, "test_loss": loss + 2 * gap,
            "test_accuracy": test})
    return rows


def _norms(study: Study, config: RunConfig, row: Mapping[str, Any],
           noise: np.random.Generator) -> Iterator[dict[str, Any]]:
    """tr Cov(g_b) = tr b^slope around |G|^2, and the trace is the noise scale times |G|^2."""
    squared = 0.01
    for batch in config.noise_batches:
        count = max(4, min(32, 2048 // batch))
        trace = study.noise_scale * squared * batch ** study.covariance_slope
        trace *= math.exp(float(noise.normal(0, study.norm_noise)))
        yield {"phase": row["phase"], "step": row["step"], "batch": batch, "count": count,
               "mean_norm_squared": squared + trace,
               "norm_squared_of_mean": squared + trace / count}


def _windows(of: Timing, config: RunConfig, noise: np.random.Generator) -> list[dict[str, Any]]:
    step = of.fixed_seconds + of.seconds_per_example * config.replica_batch
    step += of.synchronization_seconds * (config.replicas > 1)
    step *= math.exp(float(noise.normal(0, of.noise)))
    if of.launch_effect:
        shared = np.random.default_rng((int(of.launch_effect * 1e6), config.launch, of.effect_seed))
        step *= math.exp(float(shared.normal(0, of.launch_effect)))
    for launch, replicas, times in of.disturbed:
        step *= times if (config.launch, config.replicas) == (launch, replicas) else 1.0
    if config.experiment == "drift_guard" and config.launch == 1:
        step *= of.drift
    ranks = config.replicas if config.strategy == "horovod" else 1
    rows = []
    for rank in range(ranks):
        slow = of.slow_rank if rank else 1.0
        for window in range(12):
            steady = window >= 2
            seconds = 20 * step * slow * (1.0 if steady else 3.0)
            seconds *= math.exp(float(noise.normal(0, of.noise / 4)))
            rows.append({"rank": rank, "phase": 0, "start_step": 20 * window, "steps": 20,
                         "seconds": seconds, "steady": steady})
    return rows
