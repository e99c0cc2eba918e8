"""Training throughput of this suite's loop against `model.fit` with default arguments, in one run.

    python -m batchscale.benchmarks.micro.against_fit.loop [--output results/fit_ratio.json] [--cores 0]
    python -m batchscale.benchmarks.micro.against_fit.loop --against bare --cores 0    the floor: a loop written by hand

The eleven models and batches of the plan `keras_batching`, both ways in turn on the same cores. Two minutes on 2 cores.
--share machine (the default) compares what each makes of the whole machine: a process of this suite on every core, as a
study runs, and one `fit` that has all cores and TensorFlow's default threads. --share process compares both in one
process, with the same threads.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...errors import EXIT_OK, BatchscaleError
from .. import child
from ..cases import CASES, EXAMPLES
from ..comparison import Comparison, geometric_mean
from . import slots

MOST_STEPS = 250
WINDOW_SECONDS = 0.3


def request(cores: Sequence[int], ways: Sequence[str], repeats: int, cases: Sequence[Any] = CASES) -> dict[str, Any]:
    """Return what `training_step` is asked. Inter-op threads are TensorFlow's default, one for each core: `fit` likes
    them."""
    return {"cases": [case.to_json() for case in cases], "ways": list(ways), "cores": list(cores),
            "inter_op": len(cores), "examples": EXAMPLES, "most_steps": MOST_STEPS, "repeats": repeats,
            "window_seconds": WINDOW_SECONDS}


def table(comparisons: Sequence[Comparison], against: str = "fit") -> str:
    """Return the ratios of all ways to `against` as a table for people."""
    lines = [f"{'model, optimizer, batch':28} {'suite, examples/s':>18} {against + ', examples/s':>18}  ratio"]
    for row in comparisons:
        lines.append(f"{row.name:28} {row.rate('suite'):18,.0f} {row.rate(against):18,.0f}  {row.ratio(against)}")
    mean = geometric_mean([row.ratio(against) for row in comparisons])
    return "\n".join([*lines, f"geometric mean of {len(comparisons)} ratios: {mean}"])


def main(words: Sequence[str] | None = None) -> int:
    """Run the program with these words, or those of the command line, and return its exit code."""
    parser = argparse.ArgumentParser(prog="fit_ratio", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("results/fit_ratio.json"))
    parser.add_argument("--cores", default="", help="cores of the process, e.g. 0 (default: all)")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--share", choices=("machine", "process"), default="machine")
    parser.add_argument("--against", choices=("fit", "bare"), default="fit", help="bare: always in one process")
    options = parser.parse_args(words)
    share = options.share if options.against == "fit" else "process"
    cores = [int(core) for core in options.cores.split(",")] if options.cores else child.cores()
    try:
        asked = request(cores, ("suite", options.against), options.repeats)
        answer = slots.measure(asked) if share == "machine" else child.ask("training_step", asked)
    except BatchscaleError as error:
        print(f"fit_ratio: {error}", file=sys.stderr)
        return error.exit_code
    comparisons = Comparison.of_rows(answer["rows"])
    print(table(comparisons, options.against))
    mean = geometric_mean([row.ratio(options.against) for row in comparisons])
    options.output.parent.mkdir(parents=True, exist_ok=True)
    ratios = {row.name: row.ratio(options.against).to_json() for row in comparisons}
    options.output.write_text(json.dumps({**answer, "ratios": ratios, "geometric_mean": mean.to_json()}, indent=1))
    if warning := child.disturbance(answer):
        print(warning)
    print(f"one {share}, {len(cores)} core(s), {options.repeats} repeats in turn; raw seconds in {options.output}")
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
