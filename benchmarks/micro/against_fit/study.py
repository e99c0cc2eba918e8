"""The accuracy part of a study against the same runs and evaluations by `model.fit`, in one run.

    python -m batchscale.benchmarks.micro.against_fit.study [--timed-seeds 2] [--output results/study_ratio.json]

By model, first `batchscale run PLAN --only kind=accuracy,model=MODEL` in a fresh results folder, from start to end with
imports and all; then one process that trains the runs of some seeds by `model.fit` one after another, with all cores
and TensorFlow's default threads, without progress bar and without its import. Their time counts for all seeds, whose
work is the same. Even seeds of `fit` evaluate in Keras' default batches of 32, odd ones in batches of 2,048, which is
what this suite takes; both ratios are told. Half an hour on 2 cores. Whether both end at the same accuracy is
fit_accuracy's question.
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

from ...errors import EXIT_OK, BatchscaleError, EnvironmentUnusable
from ...planning.plan import read
from ...records.store import Store
from ...runs.run_config import RunConfig, to_json
from .. import child

EVALUATION_BATCHES = (32, 2048)
LIMIT_SECONDS = 4 * 3600.0


@dataclass(frozen=True)
class Side:
    """Seconds that one model's runs took by both ways."""

    model: str
    configs: Sequence[RunConfig]
    suite_seconds: float
    fit: Mapping[str, Any]

    def fit_seconds(self, evaluation_batch: int) -> float:
        """Return the seconds that `fit` takes for all runs when it evaluates in such batches."""
        own = [float(row["seconds"]) for row in self.fit["rows"] if row["evaluation_batch"] == evaluation_batch]
        return sum(own) * len(self.configs) / len(own)


def measure(plan: str, timed_seeds: int, folder: Path) -> list[Side]:
    """Run the plan, train some of its seeds by `fit`, and return the times by model. Raises BatchscaleError."""
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
    configs = [run.config for run in store.runs() if run.has_record]
    print(f"{model}: {len(configs)} runs took {seconds:.0f} s; now by `fit`", flush=True)
    fit = child.ask("fit_study", {"configs": [to_json(config) for config in configs if config.seed < timed_seeds],
                                  "cores": child.cores(), "evaluation_batches": EVALUATION_BATCHES,
                                  "every_evaluation": True}, LIMIT_SECONDS)
    return Side(model, configs, seconds, fit)


def times(sides: Sequence[Side]) -> str:
    """Return both ways' times as a table for people."""
    lines = [f"{'model':20} {'runs':>5} {'suite, s':>9}   "
             + "   ".join(f"fit, evaluated in {batch}" for batch in EVALUATION_BATCHES)]
    for name, chosen in [*((side.model, [side]) for side in sides), ("all", sides)]:
        suite = sum(side.suite_seconds for side in chosen)
        fits = [sum(side.fit_seconds(batch) for side in chosen) for batch in EVALUATION_BATCHES]
        lines.append(f"{name:20} {sum(len(side.configs) for side in chosen):5} {suite:9.0f}   "
                     + "   ".join(f"{fit:9.0f} s, {fit / suite:5.2f} times" for fit in fits))
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    """Run the program with these words, or those of the command line, and return its exit code."""
    parser = argparse.ArgumentParser(prog="study_ratio", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plan", default="keras_batching")
    parser.add_argument("--timed-seeds", type=int, default=2, help="an even number")
    parser.add_argument("--output", type=Path, default=Path("results/study_ratio.json"))
    options = parser.parse_args(words)
    try:
        with tempfile.TemporaryDirectory(prefix="batchscale-micro-") as folder:
            sides = measure(options.plan, options.timed_seeds, Path(folder))
    except BatchscaleError as error:
        print(f"study_ratio: {error}", file=sys.stderr)
        return error.exit_code
    print(times(sides))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(
        [{"model": side.model, "suite_seconds": side.suite_seconds, "fit": side.fit} for side in sides], indent=1))
    for side in sides:
        if warning := child.disturbance(side.fit):
            print(warning)
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
