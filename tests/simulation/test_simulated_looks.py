"""Studies whose seeds are decided by looks: errors over all looks, intervals at the end, and what all seeds would say.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs
from simulation import sequential
from simulation.replayed import replayed
from simulation.table import SEED, STUDIES


@pytest.mark.parametrize("truth", ["clear loss"])
def test_a_few_studies_end_early_as_all_seeds_would(truth: str) -> None:
    found = sequential.simulate(f"{truth}: as all {sequential.MOST} seeds", 4, SEED)
    assert found.seen == 0 and found.studies == 4 and "% of the runs in the median study" in found.note


@pytest.mark.slow
@pytest.mark.parametrize("cell", sequential.VERDICTS)
def test_a_verdict_is_wrong_at_any_look_in_at_most_a_twentieth(cell: str) -> None:
    found = sequential.simulate(cell, STUDIES, SEED)
    assert found.seen <= 0.05 + 2 * found.standard_error, found


@pytest.mark.slow
@pytest.mark.parametrize("cell", sequential.INTERVALS)
def test_the_interval_at_the_end_holds_the_gap(cell: str) -> None:
    found = sequential.simulate(cell, STUDIES, SEED)
    assert found.seen >= 0.93, found


@pytest.mark.slow
@pytest.mark.parametrize("cell", sequential.AGREEMENTS)
def test_what_is_kept_is_what_all_seeds_would_keep(cell: str) -> None:
    found = sequential.simulate(cell, STUDIES, SEED)
    assert found.seen <= 0.05, found


@pytest.mark.slow
def test_the_median_study_takes_at_most_two_fifths_of_the_runs() -> None:
    found = sequential.simulate(sequential.COSTS, STUDIES, SEED)
    assert found.seen <= 0.5, found


def test_a_study_with_all_its_seeds_is_replayed_by_looks() -> None:
    whole = sequential.study(np.random.default_rng(3), sequential.TRUTHS["null, half the margin and clear loss"])["all"]
    text = f'[[experiment]]\nname = "simulated"\nseeds = {sequential.MOST}\n'
    one, = replayed(replace(whole, plan=structs.replace(whole.plan, text=text)))
    assert one.by_all == one.by_looks == {("constant", 128), ("constant", 512)} and 0.2 < one.share < 0.7
    assert "the same batches kept" in str(one) and list(replayed(whole)) == []
