"""The order of examples: fixed by seed and epoch, divided among replicas without overlap."""

from __future__ import annotations

import numpy as np
import pytest

from batchscale.benchmarks.data.order import (epoch_order, last_shares, left_over, replica_batch, replica_examples,
                                              replica_slice, steps_per_epoch)
from batchscale.benchmarks.data.random_bits import permutation, raw_bits, uniform
from batchscale.benchmarks.errors import PlanError

EXAMPLES = 1000
ORDER_0_0 = [0, 6, 5, 4, 7, 2, 8, 1, 3, 9]
ORDER_5_3 = [2, 8, 9, 6, 0, 3, 4, 7, 5, 1]


def test_random_bits_are_those_of_pcg64() -> None:
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([1, 2])))
    words = generator.integers(0, 2**64, size=4, dtype=np.uint64)
    assert raw_bits([1, 2], 4).tolist() == words.tolist()


def test_uniform_numbers_lie_in_the_unit_interval_and_look_uniform() -> None:
    values = uniform([7], 100_000)
    assert values.dtype == np.float32
    assert 0 <= values.min() < 0.001 and 0.999 < values.max() < 1
    # The mean of n uniform numbers has the standard deviation sqrt(1 / (12 n)) = 0.0009.
    assert abs(values.mean(dtype=np.float64) - 0.5) < 4 * 0.0009


def test_permutation_is_the_rank_order_of_the_words() -> None:
    words = raw_bits([3], 50)
    assert (np.diff(words[permutation([3], 50)].astype(object)) > 0).all()


def test_an_epoch_holds_every_example_once() -> None:
    order = epoch_order(seed=3, epoch=2, examples=EXAMPLES)
    assert order.dtype == np.int32
    assert sorted(order.tolist()) == list(range(EXAMPLES))


def test_the_order_follows_from_seed_and_epoch_alone() -> None:
    orders = {(seed, epoch): epoch_order(seed, epoch, EXAMPLES).tolist()
              for seed in (0, 1, 2) for epoch in (0, 1, 2)}
    assert epoch_order(1, 2, EXAMPLES).tolist() == orders[1, 2]
    assert len({tuple(order) for order in orders.values()}) == 9
    assert list(range(EXAMPLES)) not in orders.values()


def test_the_order_is_the_same_in_every_release() -> None:
    assert epoch_order(0, 0, 10).tolist() == ORDER_0_0
    assert epoch_order(5, 3, 10).tolist() == ORDER_5_3


@pytest.mark.parametrize("replicas", [1, 2, 4, 8])
def test_replicas_share_the_same_global_batches(replicas: int) -> None:
    order = epoch_order(0, 0, EXAMPLES)
    for step in range(steps_per_epoch(EXAMPLES, 64)):
        parts = [replica_examples(order, step, 64, replica, replicas)
                 for replica in range(replicas)]
        assert [len(part) for part in parts] == [64 // replicas] * replicas
        assert np.concatenate(parts).tolist() == order[step * 64:(step + 1) * 64].tolist()


def test_shards_are_disjoint_and_complete_but_for_the_remainder() -> None:
    order = epoch_order(0, 0, EXAMPLES)
    seen = np.concatenate([replica_examples(order, step, 96, replica, 4)
                           for replica in range(4) for step in range(10)])
    assert steps_per_epoch(EXAMPLES, 96) == 10  # 10 * 96 = 960; 40 examples are left out
    assert len(np.unique(seen)) == len(seen) == 960
    assert set(seen.tolist()) == set(order[:960].tolist())


@pytest.mark.parametrize("parts", [1, 3, 4, 16, 64])
def test_the_last_batch_is_shared_completely_and_as_equally_as_it_can_be(parts: int) -> None:
    left = left_over(epoch_order(0, 0, EXAMPLES), 96)
    shares = [left[share].tolist() for share in last_shares(len(left), parts)]
    assert len(shares) == parts and sum(shares, []) == epoch_order(0, 0, EXAMPLES)[960:].tolist()
    assert {len(share) for share in shares} <= {40 // parts, 40 // parts + 1}


def test_the_examples_left_out_change_from_epoch_to_epoch() -> None:
    left_out = [frozenset(epoch_order(0, epoch, EXAMPLES)[960:].tolist()) for epoch in range(3)]
    assert len(set(left_out)) == 3


def test_positions_of_one_replica() -> None:
    assert replica_slice(step=3, global_batch=32, replica=1, replicas=4) == slice(104, 112)


@pytest.mark.parametrize("batch, replicas, nearest", [
    (1000, 16, "992 and 1008"), (7, 2, "6 and 8"), (3, 4, "valid: 4")])
def test_a_batch_that_does_not_divide_is_refused_with_the_nearest(
        batch: int, replicas: int, nearest: str) -> None:
    with pytest.raises(PlanError, match=nearest) as caught:
        replica_batch(batch, replicas)
    assert f"global_batch={batch} is not divisible by {replicas} replicas" in str(caught.value)


def test_what_is_out_of_range_is_refused() -> None:
    order = epoch_order(0, 0, 100)
    with pytest.raises(PlanError, match="step=3 is out of range; valid: 0 to 2"):
        replica_examples(order, 3, 32, 0, 1)
    with pytest.raises(PlanError, match="replica=2 is out of range; valid: 0 to 1"):
        replica_slice(0, 32, 2, 2)
    with pytest.raises(PlanError, match="step=-1"):
        replica_slice(-1, 32, 0, 2)
    with pytest.raises(PlanError, match="replicas=0"):
        replica_batch(32, 0)
    with pytest.raises(PlanError, match="global_batch=128 must be between 1 and the 100"):
        steps_per_epoch(100, 128)
    with pytest.raises(PlanError, match="seed=-1"):
        epoch_order(-1, 0, 10)
    with pytest.raises(PlanError, match="seed=4294967296"):
        epoch_order(2**32, 0, 10)
    with pytest.raises(PlanError, match="epoch=-1"):
        epoch_order(0, -1, 10)
    with pytest.raises(PlanError, match="examples=0"):
        epoch_order(0, 0, 0)
