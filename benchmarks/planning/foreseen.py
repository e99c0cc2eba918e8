"""What the records of a plan's runs will warn of, known before any of them starts."""

from __future__ import annotations

from collections.abc import Sequence

from ..runs.derived import flags
from ..runs.run_config import RunConfig
from ..runs.run_warnings import grouped, Warned


def to_know(runs: Sequence[RunConfig]) -> list[str]:
    """Return one sentence for each kind of warning, with the runs and arms that it holds for."""
    found = (Warned(config.run_id, config.experiment, config.rule, config.global_batch, flag)
             for config in runs if config.kind == "accuracy" for flag in flags(config))
    return [str(group) for group in grouped(found)]
