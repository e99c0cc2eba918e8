"""Each group is measured once, in processes of its own; its tests play the measured seconds back."""

from __future__ import annotations

from typing import Any

import pytest

from . import child
from .collective_law import HELD_OUT_BYTES, MIB, TRAINING_BYTES

LAUNCHES = 3
BUDGETS = {"one_core": child.cores()[:1], "all_cores": child.cores()}
COLLECTIVES = ("all_reduce", "broadcast", "all_gather")


@pytest.fixture(scope="session")
def collective_answers() -> dict[str, list[dict[str, Any]]]:
    """Return by transport one answer for each launch; the transports take turns."""
    transports = [name for name in ("mpi4py", "gloo", "mpi") if not child.absent(name)]
    if len(child.cores()) < 2:
        return {}
    request = {"cores": child.cores()[:2], "sizes": sorted((*TRAINING_BYTES, *HELD_OUT_BYTES)),
               "collectives": list(COLLECTIVES), "rounds": 5, "round_bytes": 32 * MIB, "most_calls": 50}
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in transports}
    for _ in range(LAUNCHES):
        for name in transports:
            answers[name].append(child.ask_ranks("collectives", name, 2, request))
    return answers
