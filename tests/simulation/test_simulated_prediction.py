"""Predictions hold the truth of simulated clusters, or are refused: a few of each kind here, all where time allows."""

from __future__ import annotations

import pytest
from simulation.prediction import CELLS, simulate, UNSEEN

KNOWN = [name for name, cell in CELLS.items() if cell.known and name not in UNSEEN]
# No law has the edge of the first; congestion beside a line that is as likely spans what is still said.
WIDER = {"shared memory from two replicas on": 3.0, "ring that congests, nearly a line up to 8": 8.0}
TWO_COUNTS = 4.0  # the width of what public curves leave open


@pytest.mark.parametrize("cell", [name for name, cell in CELLS.items() if not cell.known])
def test_what_was_not_measured_is_refused(cell: str) -> None:
    assert simulate(cell, 3, 1).seen == 1.0


@pytest.mark.parametrize("cell", ["ring", "shared memory", "congestion", "full nodes",
                                  "ring that overlaps with compute; 1 and 2"])
def test_a_few_predictions_hold_the_truth(cell: str) -> None:
    found = simulate(cell, 4, 1)
    assert found.seen >= 0.75 and found.width < 3
    assert "100.0% refused" not in found.note


@pytest.mark.slow
@pytest.mark.parametrize("cell", KNOWN)
def test_predictions_hold_the_truth_in_nine_of_ten(cell: str) -> None:
    found = simulate(cell, 300, 1)
    assert found.seen >= 0.9, found
    name, _, given = cell.partition("; ")
    assert found.width < (TWO_COUNTS if given == "1 and 2" else WIDER.get(name, 2.0)), found
