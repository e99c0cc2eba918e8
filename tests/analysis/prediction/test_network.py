"""Predictions over a network: what an interval leaves open of the algorithm, one replica alone, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.synthetic_records import SGD, Study, Timing, results
from support.timing_files import nccl_text

from batchscale.analysis.laws.allreduce import Link, ring_seconds
from batchscale.analysis.laws.step.synchronization import HIERARCHICAL
from batchscale.analysis.prediction.forecast import Forecast
from batchscale.analysis.prediction.network import given_network, Network, TIMED
from batchscale.analysis.prediction.replicas import forecasts
from batchscale.analysis.prediction.text import text
from batchscale.benchmarks.errors import PlanError, RecordError

SLOW = Link(1e-4, 1e9)  # so slow that steps consist of exchanging
SIZES = [8 * 4 ** power for power in range(15)]
ALONE = Timing(replicas=(1,), replica_batches=(32, 128), global_batches=(), strategies=("mirrored",))


def file(folder: Path, ranks: int, link: Link = SLOW) -> str:
    """All-reduces by a ring of eight ranks a node."""
    path = folder / f"{ranks}.txt"
    path.write_text(nccl_text({size: ring_seconds(ranks, size, link) for size in SIZES}, ranks))
    return str(path)


def on_one_replica(network: Network | None, counts: tuple[int, ...], launches: int = 3) -> Forecast:
    found = results(Study(experiments=(), timing=ALONE, memory=None))
    one, = forecasts(replace(found, runs=found.runs[found.runs["launch"] < launches]), counts, network)
    return one


def test_an_interval_holds_what_every_algorithm_makes_of_times_on_other_ranks(tmp_path: Path) -> None:
    link = Link(3e-7, 1e9)
    one = on_one_replica(given_network([file(tmp_path, 16, link)]), (16, 512))
    size, widths = 4 * SGD.parameters, {16: 0.0, 512: 0.0}
    for each in (each for each in one.predictions if each.synchronization == TIMED):
        alone = one_replica(each.replica_batch)
        there = ring_seconds(each.replicas, size, link)
        assert each.step_seconds.low < alone + there and each.step_seconds.high > max(alone, there)
        widths[each.replicas] = each.step_seconds.high / each.step_seconds.low
    # The algorithm is told on the ranks that were timed, and what is hidden behind compute is not.
    assert widths[512] > 2 * widths[16], widths
    assert {each.replicas for each in one.predicted} == {16, 512}
    assert not any("give --network" in line for line in text([one], None).splitlines())


def one_replica(replica_batch: float) -> float:
    return ALONE.fixed_seconds + ALONE.seconds_per_example * replica_batch


def test_where_the_algorithm_is_all_that_matters_it_is_asked_for(tmp_path: Path) -> None:
    one = on_one_replica(given_network([file(tmp_path, 16)]), (512,))
    assert not one.predicted and "time the all-reduce on so many ranks" in one.predictions[-1].refusal


def test_one_launch_of_one_replica_is_enough_with_a_network(tmp_path: Path) -> None:
    network = given_network([file(tmp_path, 16)])
    found = results(Study(experiments=(), timing=ALONE, memory=None))
    one, = forecasts(replace(found, runs=found.runs.iloc[:1]), (16,), network)
    each, = one.predicted
    alone, there = float(found.runs["step_seconds"].iloc[0]), ring_seconds(16, 4 * SGD.parameters, SLOW)
    assert each.step_seconds.value == pytest.approx(alone + there, rel=0.01)
    assert each.step_seconds.low == pytest.approx(max(alone, there), rel=0.05)
    assert each.efficiency.value == pytest.approx(alone / (alone + there), rel=0.01)
    assert "a single launch is in no interval" in one.note
    assert "not predicted as measured on 16" in text([one], network)


def test_one_node_says_nothing_of_more_ranks_and_a_second_file_does(tmp_path: Path) -> None:
    inside, between = file(tmp_path, 8, Link(1e-5, 1e11)), file(tmp_path, 32)
    one = on_one_replica(given_network([inside]), (8, 16))
    assert {each.replicas for each in one.predicted} == {8}
    assert any("on 8 ranks, and says nothing of more" in each.refusal for each in one.predictions)
    both = given_network([between, inside])
    assert both is not None and [each.ranks for each in both.timed] == [8, 32]
    one = on_one_replica(both, (8, 64))
    seconds = {each.replicas: each for each in one.predicted if each.replica_batch == 32}
    size = 4 * SGD.parameters
    assert seconds[8].step_seconds.high < one_replica(32) * 1.3 + ring_seconds(8, size, Link(1e-5, 1e11)) * 1.3
    assert seconds[64].nodes == 8
    assert seconds[64].step_seconds.low < one_replica(32) + ring_seconds(64, size, SLOW) \
        < seconds[64].step_seconds.high


def test_two_links_are_inside_a_node_and_between_nodes() -> None:
    network = given_network(["1e-6,1e-11", "5e-6,8e-11"])
    assert network is not None and len(network.statements) == 2 and " between nodes: 5e-06 s" in network.statements[1]
    timing = replace(ALONE, replicas=(1, 2, 4))
    one, = forecasts(results(Study(experiments=(), timing=timing, memory=None)), (8,), network)
    assert {each.synchronization for each in one.predictions} == {"as measured", HIERARCHICAL}


@pytest.mark.parametrize("given", ["1", "a,b", "1,2,3", "5e-6,12.5e9", "nan,1e-9", "-1,1e-9", "1e-6,0", "1e-6,inf",
                                   "x" * 5000])
def test_a_network_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(PlanError, match="--network .* seconds per message and seconds per byte"):
        given_network([given])
    network = given_network(["5e-6,8e-11"])
    assert network is not None and network.links[0].latency_seconds == 5e-6
    assert network.links[0].bytes_per_second == pytest.approx(12.5e9)


def test_levels_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="a file once and numbers once"):
        given_network([file(tmp_path, 16), "5e-6,8e-11"])
    with pytest.raises(PlanError, match="16.txt has 2 nodes and 32.txt 4"):
        given_network([file(tmp_path, 16), file(tmp_path, 32)])
    with pytest.raises(PlanError, match="stands 3 times"):
        given_network(["5e-6,8e-11"] * 3)
    (tmp_path / "two.txt").write_text(nccl_text({8: 1e-4, 16: 1e-4}, 8))
    with pytest.raises(RecordError, match="has 2 sizes; time 3 or more"):
        given_network([str(tmp_path / "two.txt")])
    assert given_network([]) is None and given_network([""]) is None
