"""Two ranks of this suite against what one would run instead, in one run: Horovod with Keras' `fit`.

    python -m batchscale.benchmarks.micro.against_fit.two_ranks [--transport mpi] [--output results/side_by_side.json]

`fit` has a correct Keras 3 train_step, which averages gradients by Horovod; `horovod_synthetic` is the method of
Horovod's own benchmark, one compiled step per call on one batch. Each rank owns one core. About a minute on 2 cores.
To expect: two times `fit` or more at 32 and 128 examples per replica.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...errors import EXIT_ENVIRONMENT, EXIT_OK, BatchscaleError
from .. import child
from ..comparison import Comparison, geometric_mean

RANKS = 2
REPLICA_BATCHES = (32, 128)


def request(cores: Sequence[int], repeats: int, replica_batches: Sequence[int] = REPLICA_BATCHES) -> dict[str, Any]:
    """Return what `two_ranks` is asked, for these cores and batches of a replica."""
    cases = [{"model": "mlp_128", "optimizer": optimizer, "replica_batch": batch}
             for optimizer in ("sgd", "adam") for batch in replica_batches]
    return {"cases": cases, "cores": list(cores)[:RANKS], "examples": 48_000, "most_steps": 150, "repeats": repeats,
            "epochs": 1}


def table(comparisons: Sequence[Comparison]) -> str:
    """Return the comparisons as a table for people."""
    others = ("fit", "horovod_synthetic")
    lines = [f"{'model, optimizer, global batch':32}{'suite, examples/s':>18}  "
             + "  ".join(f"{'to ' + other:32}" for other in others)]
    for one in comparisons:
        ratios = "  ".join(f"{one.ratio(other)!s:32}" for other in others)
        lines.append(f"{one.name:32}{one.rate('suite'):18,.0f}  {ratios}")
    means = ", ".join(f"{geometric_mean([one.ratio(other) for one in comparisons])} to {other}" for other in others)
    return "\n".join([*lines, f"geometric means: {means}"])


def main(words: Sequence[str] | None = None) -> int:
    """Run the program with these words, or those of the command line, and return its exit code."""
    parser = argparse.ArgumentParser(prog="side_by_side", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transport", choices=("gloo", "mpi"), default="mpi")
    parser.add_argument("--output", type=Path, default=Path("results/side_by_side.json"))
    parser.add_argument("--repeats", type=int, default=6)
    parser.add_argument("--replica-batches", type=int, nargs="+", default=REPLICA_BATCHES)
    options = parser.parse_args(words)
    cores = child.cores()
    if len(cores) < RANKS or child.absent(options.transport):
        lacking = child.absent(options.transport) or f"{len(cores)} core is too few for {RANKS} ranks"
        print(f"side_by_side: {lacking}; `batchscale doctor` tells what to do.", file=sys.stderr)
        return EXIT_ENVIRONMENT
    try:
        asked = request(cores, options.repeats, options.replica_batches)
        answer = child.ask_ranks("two_ranks", options.transport, RANKS, asked)
    except BatchscaleError as error:
        print(f"side_by_side: {error}", file=sys.stderr)
        return error.exit_code
    comparisons = Comparison.of_rows(answer["rows"])
    print(table(comparisons))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    ratios = {one.name: {other: one.ratio(other).to_json() for other in one.seconds if other != "suite"}
              for one in comparisons}
    options.output.write_text(json.dumps({**answer, "ratios": ratios}, indent=1))
    if warning := child.disturbance(answer, RANKS):
        print(warning)
    print(f"{RANKS} ranks over {options.transport}, {options.repeats} repeats in turn; raw seconds in {options.output}")
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
