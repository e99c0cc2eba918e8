"""What a machine with GPUs makes of training, for the first hour with a card: all of it in one file that can be sent.

    python -m batchscale.benchmarks.micro.against_fit.on_gpus [--output batchscale-gpu.json] [--replicas 1,2,4,8]
    python -m batchscale.benchmarks.micro.against_fit.on_gpus --tiny --replicas 1,2    on a CPU, to see that it runs

Three parts: the eleven cases of the plan `keras_batching`, and ResNet-50 on made-up images, each by this suite's loop,
by `model.fit` and by a loop written by hand, in turn on one GPU; and ResNet-50 over the GPUs that there are, with the
gradients exchanged in one piece and in groups. The file of `batchscale doctor --gpu` is kept, and the figures stand
beside it under "training".
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from ....analysis.laws.utilization import peak_flops, TF32, utilization
from ....launchers.machine.gpus import gpu_names
from ...config.choices import EXCHANGES
from ...errors import BatchscaleError, EXIT_OK
from ...records.json_files import read_json
from .. import child
from ..cases import Case, CASES
from ..comparison import Comparison
from .loop import request as eleven_cases, table

WAYS = ("suite", "fit", "bare")
FILE = Path("batchscale-gpu.json")


@dataclass(frozen=True)
class Size:
    """An amount of measuring: of ResNet-50 the images, classes, batch of a replica and steps of an epoch; of a model
    with fewer of its layers, where it is only to be seen that all goes through."""

    model: str
    cases: tuple[Case, ...]
    shape: str
    classes: int
    batch: int
    steps: int
    repeats: int
    window_seconds: float


WHOLE = Size("ResNet50", CASES, "224x224x3", 1000, 64, 8, 5, 1.0)
TINY = Size("resnet_20", CASES[2:3], "32x32x3", 10, 2, 2, 2, 0.01)


def training(size: Size, replicas: Sequence[int], cores: Sequence[int]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the answer of each part, as soon as it was measured. Raises EnvironmentUnusable."""
    asked = {**eleven_cases(cores, WAYS, size.repeats, size.cases), "window_seconds": size.window_seconds}
    yield "eleven_cases", child.ask("training_step", asked)
    images = {"shape": size.shape, "classes": size.classes, "most_steps": size.steps, "repeats": size.repeats,
              "window_seconds": size.window_seconds, "cores": list(cores)}
    one = {"cases": [Case(size.model, "sgd", size.batch).to_json()], "ways": list(WAYS), "inter_op": len(cores),
           "examples": max(size.batch * size.steps, size.classes)}
    yield "resnet_50", child.ask("training_step", {**images, **one})
    several = {"model": size.model, "optimizer": "sgd", "replica_batch": size.batch, "exchanges": list(EXCHANGES)}
    answers = [child.ask("scaling", {**images, **several, "replicas": count}) for count in replicas]
    yield "scaling", {**answers[0], "rows": [row for answer in answers for row in answer["rows"]]}


def told(name: str, answer: Mapping[str, Any]) -> str:
    """Return a part's answer as a table for people."""
    if name == "scaling":
        return _scaling_table(answer)
    comparisons = Comparison.of_rows(answer["rows"])
    return "\n\n".join(table(comparisons, against) for against in WAYS[1:])


def _scaling_table(answer: Mapping[str, Any]) -> str:
    """Examples per second over replicas, against the fewest with the same exchange; of known cards the utilisation, in
    TF32, which is TensorFlow's own choice."""
    lines = [f"{'replicas, exchange':24} {'examples/s':>12} {'efficiency':>11} {'MFU':>7}"]
    rates = {(row["replicas"], row["exchange"]): row["examples"] / median(row["seconds_per_epoch"])
             for row in answer["rows"]}
    fewest = min(replicas for replicas, _ in rates)
    peak = peak_flops(answer["gpus"][0], TF32) if answer["gpus"] else math.nan
    for (replicas, exchange), rate in rates.items():
        efficiency = rate / replicas / (rates[fewest, exchange] / fewest)
        used = utilization(answer["flops_per_example"] or math.nan, rate, replicas, peak)
        lines.append(f"{f'{replicas}, {exchange}':24} {rate:12,.1f} {efficiency:11.1%} "
                     + (f"{used:7.1%}" if math.isfinite(used) else f"{'unknown':>7}"))
    return "\n".join(lines)


def counts(gpus: int) -> list[int]:
    """Return the numbers of replicas to be measured: 1, 2, 4, ... and all."""
    return sorted({*(2**power for power in range(gpus.bit_length()) if 2**power <= gpus), max(1, gpus)})


def main(words: Sequence[str] | None = None) -> int:
    """Run the program with these words, or those of the command line, and return its exit code."""
    parser = argparse.ArgumentParser(prog="on_gpus", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=FILE)
    parser.add_argument("--replicas", default="", help="e.g. 1,2 (default: 1, 2, 4, ... and all GPUs)")
    parser.add_argument("--tiny", action="store_true", help="one case, small images, two steps: says nothing of speed")
    options = parser.parse_args(words)
    replicas = [int(count) for count in options.replicas.split(",")] if options.replicas else counts(len(gpu_names()))
    kept = read_json(options.output) if options.output.exists() else {}
    found: dict[str, Any] = {"tiny": options.tiny}
    try:
        for name, answer in training(TINY if options.tiny else WHOLE, replicas, child.cores()):
            found[name] = answer
            print(f"{name.replace('_', ' ')}, on {', '.join(answer['gpus']) or 'the CPU'}\n{told(name, answer)}\n",
                  flush=True)
            written = {**(kept if isinstance(kept, dict) else {}), "training": found}
            options.output.write_text(json.dumps(written, indent=1) + "\n")
    except BatchscaleError as error:
        print(f"on_gpus: {error}", file=sys.stderr)
        return error.exit_code
    print(f"written: {options.output}")
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
