"""What a report costs by the number of runs: seconds and memory of `batchscale report` over made-up records.

`python -m soak.report_scale 1000 10000 100000`: each number of runs is so many seeds of as many experiments, ten runs
to a seed and experiment (four batches under three rules). The folder is written first, which is not counted.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from support.synthetic_records import manifest, records, SGD, Study, write_store

RUNS_OF_A_SEED = 10
REPORT = ("-m", "batchscale.launchers.cli", "report")


def study(runs: int) -> Study:
    """A study of about so many runs: as many experiments as each has seeds."""
    side = max(2, round(math.sqrt(runs / RUNS_OF_A_SEED)))
    experiments = tuple(replace(SGD, name=f"experiment_{number:03d}", noise_batches=()) for number in range(side))
    return Study(experiments=experiments, seeds=side, timing=None, memory=None)


def written(folder: Path, runs: int) -> int:
    """Write such a study's results folder; return how many runs it has."""
    of = study(runs)
    made = records(of)
    write_store(folder, made, **{"name": "scale", "settings": manifest(of, made)["settings"]})
    return len(made)


def reported(folder: Path) -> tuple[float, float, int]:
    """Wall seconds, processor seconds and peak bytes of a report of this folder, in a process of its own."""
    began = time.perf_counter()
    words = [sys.executable, *REPORT, str(folder)]
    child = os.posix_spawn(sys.executable, words, os.environ, file_actions=[
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
    _, status, used = os.wait4(child, 0)
    if status:
        raise SystemExit(f"{' '.join(words)} ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024


def main() -> int:
    """Print one line for each number of runs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=int, nargs="*", default=[1_000, 10_000])
    parser.add_argument("--keep", type=Path, help="write the results folders here, and leave them")
    asked = parser.parse_args()
    print(f"{'runs':>8} {'seconds':>9} {'CPU seconds':>12} {'GB':>6} {'CPU ms a run':>13}", flush=True)
    for runs in asked.runs:
        root = asked.keep or Path(tempfile.mkdtemp(prefix="report-scale-"))
        folder = root / f"of_{runs}"
        count = len(list(folder.iterdir())) if folder.exists() else written(folder, runs)
        wall, processor, peak = reported(folder)
        print(f"{count:8,} {wall:9.1f} {processor:12.1f} {peak / 1e9:6.2f} {1000 * processor / count:13.2f}",
              flush=True)
        if not asked.keep:
            shutil.rmtree(root)
    return 0


if __name__ == "__main__":
    sys.exit(main())
