"""What one process of an audited script finds out, as it writes it down: numbers and digests, no verdict.

The launcher reads these files of a lone process and of all ranks, and judges them against each other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ...errors import PlanError

STEPS = 6  # of the script's own training that are tried
MOST_EXAMPLES = 200_000  # whose digests are taken
ALONE, TOGETHER = "alone", "together"


class Facts(msgspec.Struct, kw_only=True):
    """Sum of what one process saw. An absent value was not to be had.

    rates: the learning rate at the beginning of each epoch, as the script's callbacks set it. classes: units of the
    model's output. shared: validation examples that are also trained on. same_order: whether two epochs have the same
    order. seen: examples of an epoch. losses: of the first steps.
    ending: of the model, by `workload.endings`.
    """

    size: int = 1
    rank: int = 0
    strategy: str = "single"
    replicas: int = 1
    optimizer: str = ""
    learning_rate: float | None = None
    rates: tuple[float, ...] = ()
    batch: int | None = None
    examples: int | None = None
    seen: int | None = None
    epochs: int = 1
    accumulation: int = 1
    loss: str = ""
    from_logits: bool | None = None
    probabilities: bool | None = None
    ending: str = ""
    classes: int | None = None
    sparse: bool = False
    label_low: float | None = None
    label_high: float | None = None
    bad_inputs: int = 0
    bad_targets: int = 0
    first_bad: int | None = None
    validation_examples: int = 0
    shared: int = 0
    same_order: bool | None = None
    shuffles_nothing: bool = False
    arrays: bool = False
    losses: tuple[float | None, ...] = ()
    bad_step: int | None = None
    step_metrics: dict[str, float] = {}
    normalizes: bool = False
    skipped: tuple[str, ...] = ()


def write(folder: Path, name: str, facts: Facts, arrays: dict[str, NDArray[Any]]) -> None:
    """Write the facts of a process and its arrays into a folder."""
    np.savez(folder / f"{name}.npz", **arrays)  # type: ignore[arg-type]
    (folder / f"{name}.json").write_bytes(msgspec.json.encode(facts))


def read(folder: Path, name: str) -> tuple[Facts, dict[str, NDArray[Any]]]:
    """Return the facts of a process and its arrays. Raises PlanError where it left none."""
    try:
        facts = msgspec.json.decode((folder / f"{name}.json").read_bytes(), type=Facts)
        with np.load(folder / f"{name}.npz") as found:
            return facts, {key: found[key] for key in found.files}
    except (OSError, ValueError) as error:
        raise PlanError(f"the audited script left nothing to look at ({type(error).__name__}); run it by itself "
                        "first.") from None
