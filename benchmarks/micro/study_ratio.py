"""The accuracy part of a study against the same runs and evaluations by `model.fit`, in one run.

    python -m batchscale.benchmarks.micro.study_ratio [--timed-seeds 2] [--output results/study_ratio.json]

By model, first `batchscale run PLAN --only kind=accuracy,model=MODEL` in a fresh results folder, from start to end with
imports and all; then one process that trains the runs of some seeds by `model.fit` one after another, with all cores
and TensorFlow's default threads, without progress bar and without its import. Their time counts for all seeds, whose
work is the same. Even seeds of `fit` evaluate in Keras' default batches of 32, odd ones in batches of 2,048, which is
what this suite takes; both ratios are told. Half an hour on 2 cores, and a quarter more for the accuracies:

`fit` trains the other seeds too, not timed and evaluated only at the end. Two one-sided Welch tests within 0.5 points
of test accuracy by arm, Holm over arms whose mean is at least 90 %.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...analysis.difference import difference, equivalence, holm
from ..config import RunConfig, to_json
from ..errors import EXIT_OK, BatchscaleError, EnvironmentUnusable
from ..plan import read
from ..store import Store
from . import child

EVALUATION_BATCHES = (32, 2048)
MARGIN, LEARNED = 0.005, 0.9
LIMIT_SECONDS = 4 * 3600.0


@dataclass(frozen=True)
class Side:
    """What one model's runs took by both ways; accuracies by run id."""

    model: str
    configs: Sequence[RunConfig]
    suite_seconds: float
    suite_accuracy: Mapping[str, float]
    fit: Mapping[str, Any]

    def fit_seconds(self, evaluation_batch: int) -> float:
        """What `fit` takes for all runs when it evaluates in such batches."""
        own = [float(row["seconds"]) for row in self.fit["rows"] if row["evaluation_batch"] == evaluation_batch]
        return sum(own) * len(self.configs) / len(own)


def measure(plan: str, timed_seeds: int, folder: Path) -> list[Side]:
    """Raises BatchscaleError."""
    accuracy = [one for one in read(plan).experiments if one["kind"] == "accuracy"]
    return [_side(plan, model, timed_seeds, folder) for model in dict.fromkeys(one["model"] for one in accuracy)]


def _side(plan: str, model: str, timed_seeds: int, folder: Path) -> Side:
    results = folder / model
    words = ["run", plan, "--only", f"kind=accuracy,model={model}", "--results", str(results)]
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "batchscale.launchers.cli", *words], text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise EnvironmentUnusable(f"the study ended with exit code {done.returncode}:\n{child.last_lines(done.stdout)}")
    store = Store(results / read(plan).name)
    runs = {run.config.run_id: run for run in store.runs() if run.has_record}
    found = {name: (run.record() or {})["evaluations"][-1]["test_accuracy"] for name, run in runs.items()}
    configs = [run.config for run in runs.values()]
    print(f"{model}: {len(configs)} runs took {seconds:.0f} s; now by `fit`", flush=True)
    fit = by_fit([config for config in configs if config.seed < timed_seeds], EVALUATION_BATCHES, True)
    return Side(model, configs, seconds, found, fit)


def by_fit(configs: Sequence[RunConfig], evaluation_batches: Sequence[int], every_evaluation: bool) -> dict[str, Any]:
    return child.ask("fit_study", {"configs": [to_json(config) for config in configs], "cores": child.cores(),
                                   "evaluation_batches": evaluation_batches, "every_evaluation": every_evaluation},
                     LIMIT_SECONDS)


def fit_accuracies(side: Side) -> dict[str, float]:
    """Of all seeds, by run id; those not timed are trained now."""
    timed = {row["run_id"]: row["test_accuracy"] for row in side.fit["rows"]}
    rest = [config for config in side.configs if config.run_id not in timed]
    rows = by_fit(rest, EVALUATION_BATCHES[-1:], False)["rows"] if rest else []
    return timed | {row["run_id"]: row["test_accuracy"] for row in rows}


def arms(side: Side, fit_accuracy: Mapping[str, float]) -> list[dict[str, Any]]:
    """One row for each arm: accuracies of both ways by seed, their difference and TOST's p value, not adjusted."""
    groups: dict[tuple[Any, ...], list[str]] = {}
    for config in side.configs:
        rule = "as published" if config.earlier_batches else config.rule
        groups.setdefault((config.model, config.optimizer, config.global_batch, rule), []).append(config.run_id)
    rows = []
    for name, runs in sorted(groups.items()):
        suite, fit = ([found[run] for run in runs] for found in (side.suite_accuracy, fit_accuracy))
        compared = difference(suite, fit)
        rows.append({"arm": " ".join(map(str, name)), "suite": suite, "fit": fit,
                     "difference": compared.estimate.to_json(), "p_value": equivalence(compared, MARGIN).p_value,
                     "learned": sum(suite) / len(suite) >= LEARNED})
    return rows


def times(sides: Sequence[Side]) -> str:
    lines = [f"{'model':20} {'runs':>5} {'suite, s':>9}   "
             + "   ".join(f"fit, evaluated in {batch}" for batch in EVALUATION_BATCHES)]
    for name, chosen in [*((side.model, [side]) for side in sides), ("all", sides)]:
        suite = sum(side.suite_seconds for side in chosen)
        fits = [sum(side.fit_seconds(batch) for side in chosen) for batch in EVALUATION_BATCHES]
        lines.append(f"{name:20} {sum(len(side.configs) for side in chosen):5} {suite:9.0f}   "
                     + "   ".join(f"{fit:9.0f} s, {fit / suite:5.2f} times" for fit in fits))
    return "\n".join(lines)


def differences(rows: Sequence[dict[str, Any]]) -> str:
    lines = []
    for row in rows:
        of = row["difference"]
        verdict = "below 90 %" if not row["learned"] else "the same" if row["adjusted_p_value"] < 0.05 else "not shown"
        lines.append(f"{row['arm']:42} {100 * of['value']:+7.3f} points "
                     f"[{100 * of['low']:+.3f}, {100 * of['high']:+.3f}]  p={row['adjusted_p_value']:.3g}  {verdict}")
    return "\n".join(lines)


def adjusted(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """With Holm's p values over the arms that learned; the others' are 1."""
    values = iter(holm([row["p_value"] for row in rows if row["learned"]]))
    return [{**row, "adjusted_p_value": next(values) if row["learned"] else 1.0} for row in rows]


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="study_ratio", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plan", default="keras_batching")
    parser.add_argument("--timed-seeds", type=int, default=2, help="an even number")
    parser.add_argument("--output", type=Path, default=Path("results/study_ratio.json"))
    given = parser.parse_args(words)
    try:
        with tempfile.TemporaryDirectory(prefix="batchscale-micro-") as folder:
            sides = measure(given.plan, given.timed_seeds, Path(folder))
        print(times(sides), flush=True)
        rows = adjusted([row for side in sides for row in arms(side, fit_accuracies(side))])
    except BatchscaleError as error:
        print(f"study_ratio: {error}", file=sys.stderr)
        return error.exit_code
    print(differences(rows))
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps({
        "sides": [{"model": side.model, "suite_seconds": side.suite_seconds, "fit": side.fit} for side in sides],
        "arms": rows}, indent=1))
    for side in sides:
        if warning := child.disturbance(side.fit):
            print(warning)
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
