"""Whether a study's accuracy runs end at the accuracy that `model.fit` ends at: the same runs, trained by both.

    batchscale run keras_batching --only kind=accuracy --results RESULTS
    batchscale run benchmarks/micro/more_seeds.toml --results RESULTS
    python -m batchscale.benchmarks.micro.against_fit.accuracy RESULTS/keras_batching RESULTS/more_seeds

`fit` begins at the same initial weights, at the same rates by step, and shuffles by itself. Two one-sided Welch tests
within 0.5 points of test accuracy for each arm, over all its seeds; Holm over the arms whose mean is at least 90 %.
Runs that `fit` has trained are kept in the output and not trained again, so that seeds can be added, and a command that
was stopped goes on. The work is shared out over the cores, one process on each; it is no timing.
"""

from __future__ import annotations

import argparse
import queue
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from ....analysis.statistics.decision_rules import equivalence, same
from ....analysis.statistics.difference import difference
from ....analysis.statistics.multiple_testing import holm
from ...errors import EXIT_OK, BatchscaleError, PlanError, RecordError
from ...records.json_files import read_json, write_json
from ...records.store import open_store
from ...runs.run_config import RunConfig, to_json
from .. import child

MARGIN, LEARNED = 0.005, 0.9
OPTIMIZERS = ("sgd", "adam")
MOST_RUNS = 24  # in one process, which says nothing until it has trained them all
EVALUATION_BATCH = 2048
LIMIT_SECONDS = 4 * 3600.0

Trained = Mapping[str, float]
"""Run id -> test accuracy at the end."""


def accuracy_runs(folders: Sequence[Path]) -> tuple[list[RunConfig], dict[str, float]]:
    """Accuracy runs with a record, and how they ended. Raises BatchscaleError.

    The same run of two experiments ended alike, bit for bit, so it counts once, under the name of neither.
    """
    found: dict[RunConfig, float] = {}
    for run in (run for folder in folders for run in open_store(folder).runs() if run.config.kind == "accuracy"):
        if (record := run.record()) is not None:
            alike = replace(run.config, experiment="any", noise_batches=())
            found.setdefault(alike, float(record["evaluations"][-1]["test_accuracy"]))
    configs = list(found)
    if unknown := sorted({one.optimizer for one in configs} - set(OPTIMIZERS)):
        raise PlanError(f"`fit` is set up for the optimizers {', '.join(OPTIMIZERS)} here, not for "
                        f"{', '.join(unknown)}; leave those runs out.")
    if not configs:
        raise RecordError(f"no accuracy run with a record in {', '.join(map(str, folders))}.")
    return configs, {config.run_id: accuracy for config, accuracy in found.items()}


def blocks(configs: Sequence[RunConfig]) -> Iterator[list[RunConfig]]:
    """Yield what one process trains: all runs of some seeds, since a run may go on from another of its seed."""
    seeds: dict[tuple[str, str, int], list[RunConfig]] = {}
    for config in configs:
        seeds.setdefault((config.model, config.optimizer, config.seed), []).append(config)
    block: list[RunConfig] = []
    for _, group in sorted(seeds.items(), key=lambda item: item[0]):
        if block and len(block) + len(group) > MOST_RUNS:
            yield block
            block = []
        block = [*block, *group]
    if block:
        yield block


def missing(configs: Sequence[RunConfig], done: Trained) -> list[RunConfig]:
    """Runs that `fit` has not trained, and all of a seed's of which one is missing."""
    seeds = {(one.model, one.optimizer, one.seed) for one in configs if one.run_id not in done}
    return [one for one in configs if (one.model, one.optimizer, one.seed) in seeds]


def by_fit(configs: Sequence[RunConfig], done: Trained, keep: Callable[[Trained], None]) -> dict[str, float]:
    """Accuracies of all `configs`; `keep` is called after every block. Raises EnvironmentUnusable."""
    found, free, work = dict(done), queue.SimpleQueue[int](), list(blocks(missing(configs, done)))
    for core in child.cores():
        free.put(core)

    def train(block: Sequence[RunConfig]) -> dict[str, float]:
        core = free.get()
        try:
            answer = child.ask("fit_study", {"configs": list(map(to_json, block)), "cores": [core],
                                             "evaluation_batches": [EVALUATION_BATCH], "every_evaluation": False},
                               LIMIT_SECONDS)
        finally:
            free.put(core)
        return {row["run_id"]: float(row["test_accuracy"]) for row in answer["rows"]}

    with ThreadPoolExecutor(len(child.cores())) as pool:
        for number, finished in enumerate(as_completed([pool.submit(train, block) for block in work]), 1):
            found |= finished.result()
            keep(found)
            print(f"[{number}/{len(work)}] {len(finished.result())} runs trained by `fit`", flush=True)
    return found


def arms(configs: Sequence[RunConfig], suite: Trained, fit: Trained) -> list[dict[str, Any]]:
    """Return one row for each arm: accuracies of both ways by seed, their difference, TOST's p value and Holm's."""
    groups: dict[tuple[Any, ...], list[str]] = {}
    for config in sorted(configs, key=lambda one: one.seed):
        rule = "as published" if config.earlier_batches else config.rule
        groups.setdefault((config.model, config.optimizer, config.global_batch, rule), []).append(config.run_id)
    rows: list[dict[str, Any]] = []
    for name, runs in sorted(groups.items()):
        ours, theirs = ([found[run] for run in runs] for found in (suite, fit))
        compared = difference(ours, theirs)
        rows.append({"arm": " ".join(map(str, name)), "suite": ours, "fit": theirs,
                     "difference": compared.estimate.to_json(), "p_value": equivalence(compared, MARGIN).p_value,
                     "learned": sum(ours) / len(ours) >= LEARNED})
    adjusted = iter(holm([float(row["p_value"]) for row in rows if row["learned"]]))
    return [{**row, "adjusted_p_value": next(adjusted) if row["learned"] else 1.0} for row in rows]


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the arms as a table for people."""
    lines = []
    for row in rows:
        of = row["difference"]
        shown = same(row["adjusted_p_value"], min(len(row["suite"]), len(row["fit"])))
        verdict = "below 90 %" if not row["learned"] else "the same" if shown else "not shown"
        lines.append(f"{row['arm']:42} {len(row['suite']):3} seeds  {100 * of['value']:+7.3f} points "
                     f"[{100 * of['low']:+.3f}, {100 * of['high']:+.3f}]  p={row['adjusted_p_value']:.3g}  {verdict}")
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    """Run the program with these words, or those of the command line, and return its exit code."""
    parser = argparse.ArgumentParser(prog="fit_accuracy", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", type=Path, help="folders of plans with accuracy runs that are done")
    parser.add_argument("--output", type=Path, default=Path("results/fit_accuracy.json"))
    options = parser.parse_args(words)
    try:
        configs, suite = accuracy_runs(options.results)
        kept = read_json(options.output)
        done = kept["fit"] if isinstance(kept, dict) and isinstance(kept.get("fit"), dict) else {}
        options.output.parent.mkdir(parents=True, exist_ok=True)
        fit = by_fit(configs, done, lambda found: write_json(options.output, {"fit": found}))
    except BatchscaleError as error:
        print(f"fit_accuracy: {error}", file=sys.stderr)
        return error.exit_code
    rows = arms(configs, suite, fit)
    write_json(options.output, {"fit": fit, "arms": rows})
    print(table(rows))
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
