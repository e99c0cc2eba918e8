"""Tuned arms in a comparison: the rates that were chosen stand for them, whichever trial won."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.stored_study import folder
from support.synthetic_records import SGD, Study, Tuning

from batchscale.launchers.cli import main


@pytest.mark.parametrize("best", [{512: 1.0}, {512: 2.0}])
def test_a_tuned_arm_is_compared_at_the_rates_that_were_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                                               best: dict[int, float]) -> None:
    """The trials that lost are no results, and another winner in the new results is compared with the old one."""
    def study(best: dict[int, float]) -> Study:
        tuned = replace(SGD, batches=(32, 512), noise_batches=(), tuning=Tuning(best=best))
        return Study(experiments=(tuned,), timing=None, memory=None, noise=1e-4)
    base, new = folder(tmp_path / "base", study=study({})), folder(tmp_path / "new", study=study(best))
    assert main(["compare", str(base), str(new)]) == 0
    out = capsys.readouterr().out
    assert "passed" in out and "missing" not in out and "batch 512, tuned" in out
