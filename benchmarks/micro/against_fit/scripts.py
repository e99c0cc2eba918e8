"""Scripts of the kinds that people write: speed and accuracy of this suite against their own `fit`, in one run.

    python -m batchscale.benchmarks.micro.against_fit.scripts FOLDER [--only NAME ...] [--cores 0,1]
    python -m batchscale.benchmarks.micro.against_fit.scripts FOLDER --judged NAME ... --seeds 600

Speed: epochs of up to 100 steps at each batch, both ways in turn in one process, `fit` with its default arguments. To
expect: no ratio's interval ends below 0.95, and a geometric mean of 2 or more at batch 32. Accuracy: the script's own
batch and epochs from the same first weights by both ways, a new order each epoch on both sides; a paired two one-sided
test within 0.5 points for each script, Holm over the scripts. Accuracies of seeds that are in the output are kept.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ....analysis.statistics.decision_rules import equivalence, same
from ....analysis.statistics.difference import paired_difference
from ....analysis.statistics.multiple_testing import holm
from ...errors import EXIT_OK, BatchscaleError
from ...records.json_files import read_json, write_json
from .. import child
from ..comparison import Comparison, geometric_mean
from . import loop

MARGIN, LEAST, USUAL_BATCH = 0.005, 0.95, 32
REFUSED = "two_optimizers"
LIMIT_SECONDS = 4 * 3600.0


def speed(comparisons: Sequence[Comparison]) -> str:
    """Return the ratios as a table, the geometric mean at the usual batch, and which ratios are too low."""
    lines = [loop.table(comparisons)]
    if usual := [one.ratio("fit") for one in comparisons if one.name.endswith(f" {USUAL_BATCH}")]:
        lines.append(f"at batch {USUAL_BATCH}: geometric mean of {len(usual)} ratios: {geometric_mean(usual)}")
    slow = [one.name for one in comparisons if not one.ratio("fit").low >= LEAST]
    lines.append(f"not shown to be at least {LEAST} times fit: {'; '.join(slow) or 'none'}")
    return "\n".join(lines)


def verdicts(accuracies: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each script: the mean accuracy of fit, the difference, and Holm's p value of TOST."""
    rows: list[dict[str, Any]] = []
    for script in dict.fromkeys(str(one["script"]) for one in accuracies):
        of = [one for one in accuracies if one["script"] == script]
        compared = paired_difference([one["suite"] for one in of], [one["fit"] for one in of])
        rows.append({"script": script, "seeds": len(of), "fit": sum(one["fit"] for one in of) / len(of),
                     "difference": compared.estimate.to_json(), "p_value": equivalence(compared, MARGIN).p_value})
    adjusted = holm([float(row["p_value"]) for row in rows])
    return [{**row, "adjusted_p_value": value} for row, value in zip(rows, adjusted)]


def accuracy(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the verdicts as a table for people."""
    lines = []
    for row in rows:
        of, p_value = row["difference"], row["adjusted_p_value"]
        verdict = "the same" if same(p_value, row["seeds"]) else "not shown"
        lines.append(f"{row['script']:28} {row['seeds']:4} seeds  fit {100 * row['fit']:.2f} %  "
                     f"{100 * of['value']:+7.3f} points [{100 * of['low']:+.3f}, {100 * of['high']:+.3f}]  "
                     f"p={p_value:.3g}  {verdict}")
    return "\n".join(lines)


def merged(kept: object, found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the accuracies of an earlier output and those of now, one for each script and seed."""
    earlier = kept.get("accuracies") if isinstance(kept, dict) else None
    every = [*(earlier if isinstance(earlier, list) else []), *found]
    return list({(one["script"], one["seed"]): one for one in every}.values())


def main(words: Sequence[str] | None = None) -> int:
    """Run the program with these words, or those of the command line, and return its exit code."""
    parser = argparse.ArgumentParser(prog="fit_scripts", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of scripts, tests/support/scripts/kinds for instance")
    parser.add_argument("--only", nargs="*", help="scripts that are timed (default: all that can be taken over)")
    parser.add_argument("--judged", nargs="*", default=[], help="scripts whose accuracy is judged, and none is timed")
    parser.add_argument("--seeds", type=int, default=600)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--batches", type=int, nargs="+", default=[USUAL_BATCH, 128])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cores", default="", help="cores of the process, e.g. 0 (default: all)")
    parser.add_argument("--output", type=Path, default=Path("results/fit_scripts.json"))
    options = parser.parse_args(words)
    every = [path.name for path in sorted(options.folder.glob("*.py")) if path.stem != REFUSED]
    timed = [] if options.judged else options.only or every
    asked = {"folder": str(options.folder.absolute()), "scripts": timed, "judged": options.judged,
             "cores": [int(core) for core in options.cores.split(",")] if options.cores else child.cores(),
             "batches": options.batches, "most_steps": options.steps, "repeats": options.repeats,
             "window_seconds": loop.WINDOW_SECONDS, "seeds": [options.first_seed, options.first_seed + options.seeds]}
    try:
        answer = child.ask("fit.script_ways", asked, LIMIT_SECONDS)
    except BatchscaleError as error:
        print(f"fit_scripts: {error}", file=sys.stderr)
        return error.exit_code
    kept = read_json(options.output)
    accuracies = merged(kept, answer["accuracies"])
    rows = answer["rows"] or (kept.get("rows", []) if isinstance(kept, dict) else [])
    options.output.parent.mkdir(parents=True, exist_ok=True)
    write_json(options.output, {**answer, "rows": rows, "accuracies": accuracies})
    if timed:
        print(speed(Comparison.of_rows(rows)))
        if warning := child.disturbance(answer):
            print(warning)
    if accuracies:
        print(accuracy(verdicts(accuracies)))
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
