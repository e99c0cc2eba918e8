"""The public results that ship: the numbers that are known of them, and the page drawn from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.foreign_files import reference_points, saved

from batchscale.analysis.laws.public.points import Efficiencies, FILE, shipped
from batchscale.benchmarks.micro.public_curves import points as made
from batchscale.benchmarks.micro.public_curves.reading import Curve

ROOT = Path(__file__).resolve().parents[4]


def test_what_is_known_of_public_workloads_is_what_ships() -> None:
    found = {one.name: one for one in shipped().workloads}
    assert len(found) == len(shipped().workloads) >= 15
    assert found["resnet"].critical_batch == pytest.approx(46_909, rel=0.001)
    assert (found["resnet"].low, found["resnet"].high) == pytest.approx((40_978, 53_699), rel=0.001)
    assert found["cifar10_resnet18"].critical_batch == 6130 and found["llama31_8b"].unit == "sequences"
    assert not found["resnet"].beyond and found["gpt_oss_20b"].beyond
    for one in found.values():
        assert one.source in shipped().sources and (one.low is None or one.low < one.critical_batch < (one.high or 0))
    assert all(source.licence for source in shipped().sources.values())


def test_the_page_is_drawn_from_what_ships() -> None:
    assert (ROOT / "docs" / "public-results.md").read_text(encoding="utf-8") == made.page(shipped())


def test_shares_of_curves_follow_from_their_quantiles() -> None:
    one = Efficiencies(replicas=8, curves=5, values=(0.2, 0.4, 0.6, 0.8, 1.0))
    assert [one.share_below(value) for value in (0.1, 0.2, 0.5, 1.0, 1.2)] == pytest.approx([0, 0, 0.375, 1, 1])
    curves = [Curve("a", str(index), 32, {1: 100.0, 8: 800.0 * share}) for index, share in enumerate((0.5, 0.75, 1.0))]
    found, = made.efficiencies_of([*curves, Curve("a", "alone", 32, {8: 100.0})])
    assert found.curves == 3 and found.replicas == 8 and found.share_below(0.75) == pytest.approx(0.5)


def test_points_are_made_of_the_newest_round_of_each_benchmark(tmp_path: Path) -> None:
    ten = json.loads(reference_points())
    first = next(iter(ten.values()))
    many = {f"r{batch}": {**first, "BS": batch, "Epochs to converge": [epochs, epochs, epochs + 1]}
            for batch, epochs in ((1000, 20), (4000, 22), (16000, 30), (64000, 62))}
    saved(tmp_path / "training_4.0.0", json.dumps(many), "rcps_resnet.json")
    saved(tmp_path / "training_3.0.0", reference_points(), "rcps_resnet.json")
    saved(tmp_path / "training_3.0.0", reference_points(), "rcps_unheard_of.json")
    one, = made.workloads_of(tmp_path)
    assert one.name == "resnet" and one.points == 4 and one.batches == (1000, 64000) and "round 4.0.0" in one.what
    assert 20_000 < one.critical_batch < 45_000 and FILE.is_file()
