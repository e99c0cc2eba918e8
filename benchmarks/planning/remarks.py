"""What a reader must know about a plan's runs before the first one starts, each sentence once."""

from __future__ import annotations

from collections.abc import Sequence

from ..runs.derived import flags
from ..runs.run_config import RunConfig


def to_know(runs: Sequence[RunConfig]) -> list[str]:
    """Return what the records will warn of, with the batches that it holds for, and how the reference batch stands."""
    found: dict[tuple[str, str, str], set[int]] = {}
    trained = [run for run in runs if run.kind == "accuracy"]
    for run in trained:
        for flag in flags(run):
            found.setdefault((run.experiment, run.rule, flag), set()).add(run.global_batch)
    return [*_without_reference(trained),
            *(f"{experiment}, {rule}, batch {', '.join(map(str, sorted(batches)))}: {flag}"
              for (experiment, rule, flag), batches in found.items())]


def _without_reference(runs: Sequence[RunConfig]) -> list[str]:
    """Experiments whose reference batch is none of their batches: rates follow it, comparisons cannot."""
    batches: dict[tuple[str, int], set[int]] = {}
    for run in runs:
        batches.setdefault((run.experiment, run.reference_batch), set()).add(run.global_batch)
    return [f"{experiment}: reference_batch = {reference} is none of its batches: learning_rate is what the rules give "
            f"at {reference}, and the report compares with batch {min(own)}"
            for (experiment, reference), own in batches.items() if reference not in own and len(own) > 1]
