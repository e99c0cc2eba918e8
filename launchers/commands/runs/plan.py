"""`batchscale plan PLAN`: what would be run, by which commands, at what expected cost. Nothing is written."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ....benchmarks.errors import EXIT_OK
from ....benchmarks.planning import selection
from ....benchmarks.planning.expected_time import as_on_gpus, guessed
from ....benchmarks.planning.plan import Plan
from ....benchmarks.runs.run_config import RunConfig
from ....benchmarks.schedules.rates import peak_rate
from ...local import study
from ...local.display import announcement
from ...local.looks import foreseen
from ...local.rank_commands import some_gpus, start
from ...local.schedule import expected_wall_seconds, Stage, stages
from ...machine.cores import usable_cores
from ...machine.gpus import gpu_words
from ..options import add_placement
from .asked_plan import add_plan, asked_plan


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's own arguments to its parser."""
    add_plan(parser)
    add_placement(parser)
    parser.add_argument("--offline", action="store_true", help="do not build the model and try a step, which takes "
                        "seconds: the keys alone are checked, and the time is a guess")


def run(arguments: Namespace) -> int:
    """Print what a run of the plan would do; nothing is written."""
    return show(asked_plan(arguments), arguments.results, arguments.only, arguments.launcher, arguments.offline)


def show(plan: Plan, results: Path, only: str, launcher: str, offline: bool = False) -> int:
    """Print the runs, stages, flags and commands of a plan on this machine; return the exit code.

    Data and models are built and a step is tried first, unless `offline`. Raises BatchscaleError for what cannot run.
    """
    workloads: Mapping[str, Any] = {}
    if offline:
        with study.describer(plan) as asked:
            expansion = study.listed(plan, only, asked.train_examples)
    else:
        _, expansion, workloads = study.check(plan, study.Options(results, only))
    wanted = selection.parse(only)
    runs = [config for config in expansion.runs if wanted(config)]
    cores, gpus = usable_cores(), gpu_words()
    workloads = as_on_gpus(workloads) if gpus else workloads
    staged = stages(runs, cores, gpus)

    def seconds(of: Sequence[RunConfig]) -> float:
        return sum(expected_wall_seconds(of, cores, gpus, workloads).values())

    print(announcement.header(plan.name, len(runs), len(staged), seconds(runs)))
    print("\n".join([*foreseen.lines(plan, runs, seconds, workloads), *announcement.chosen(plan, results / plan.name),
                     *_table(runs), *announcement.remarks(runs)]))
    if offline:
        print("neither data nor model was looked at (--offline): `batchscale plan` without it builds both and tries a "
              "step")
    for model in dict.fromkeys(config.model for config in runs if offline and guessed(config)):
        print(f"the time of model {model} is a guess, since its operations were not counted (--offline)")
    for line in announcement.left_out(expansion.skipped):
        print(line)
    for text in plan.settings["leaves_out"]:
        print(f"not in this plan: {text}")
    print("commands, one per stage (ranks can be started so by hand once `batchscale run` has written the runs):")
    print("\n".join(_commands(staged, results / plan.name, launcher)))
    return EXIT_OK


def _table(runs: Sequence[RunConfig]) -> list[str]:
    """One line per experiment, strategy and rule: batches, their peak rates and repeats."""
    groups: dict[tuple[str, ...], list[RunConfig]] = {}
    for c in runs:
        groups.setdefault((c.experiment, c.kind, c.model, c.optimizer, f"{c.strategy_name} x{c.replicas}", c.rule),
                          []).append(c)
    rows: list[tuple[str, ...]] = [("experiment", "kind", "model", "optimizer", "strategy", "rule",
                                    "global batches", "peak rates", "runs")]
    for key, group in groups.items():
        batches = sorted({c.global_batch for c in group})
        if trials := len({c.trial for c in group if c.trial >= 0}):
            key = (*key[:-1], f"{key[-1]}, {trials} rates")
        rows.append((*key, " ".join(map(str, batches)), _rates(group), str(len(group))))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def _rates(runs: Sequence[RunConfig]) -> str:
    """The peak rate at each batch, ascending; of a tuned arm the lowest and highest tried at any."""
    if runs[0].kind != "accuracy":
        return ""
    found = {c.global_batch: f"{peak_rate(c):.3g}" for c in sorted(runs, key=lambda c: c.global_batch)}
    if runs[0].trial >= 0:
        tried = [peak_rate(c) for c in runs]
        return f"{min(tried):.3g} to {max(tried):.3g}"
    return " ".join(found.values()) + (" times the gain" if runs[0].adapts else "")


def _commands(staged: Sequence[Stage], folder: Path, launcher: str) -> list[str]:
    lines = []
    for stage in staged:
        for slot in stage.slots:
            worker = ["--results", str(folder), "--shape", stage.shape]
            worker += ["--cores", ",".join(map(str, slot.cores))] if slot.cores else []
            command = start(stage.config, worker, folder / "logs" / stage.shape, launcher)
            shown = [f"{name}={value}" for name, value in some_gpus(slot.gpus).items()]
            lines.append("  " + shlex.join([*shown, *(Path(w).name if w.endswith("batchscale-rank") else w
                                                      for w in command.words)]))
    return lines
