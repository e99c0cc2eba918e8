"""The memory law and the largest batch that fits."""

from __future__ import annotations

import math

import pytest

from batchscale.analysis.laws.memory import fit_memory, largest_replica_batch
from batchscale.benchmarks.errors import RecordError

MIB = 2 ** 20
SIZES = [2048, 8192, 24576, 49152]
NOISE = [0.3 * MIB, -0.5 * MIB, 0.1 * MIB, 0.2 * MIB]
PEAKS = [100 * MIB + 4096 * size + off for size, off in zip(SIZES, NOISE)]


def test_fixed_memory_and_memory_per_example() -> None:
    law = fit_memory(SIZES, PEAKS)
    assert law.fixed_bytes.low < 100 * MIB < law.fixed_bytes.high
    assert law.bytes_per_example.low < 4096 < law.bytes_per_example.high
    assert law.bytes_per_example.n == 4 and law.note == "" and law.absent == 0
    assert len(law.residual_bytes) == 4
    assert max(map(abs, law.residual_bytes)) < MIB
    assert law.predict(10_000).low < 100 * MIB + 4096e4 < law.predict(10_000).high


def test_the_largest_batch_leaves_five_percent_free() -> None:
    exact = fit_memory(SIZES, [1000 + 10 * size for size in SIZES])
    # 0.95 * 1,000,004 = 950,003.8, and (950,003.8 - 1000)/10 = 94,900.38.
    assert largest_replica_batch(exact, 1_000_004).value == 94_900
    assert largest_replica_batch(exact, 1000).value == 0
    found = largest_replica_batch(fit_memory(SIZES, PEAKS), 8192 * MIB)
    assert found.low <= found.value <= found.high
    assert found.value == math.floor(found.value)
    assert found.value == pytest.approx((0.95 * 8192 - 100) * MIB / 4096, rel=0.01)


def test_absent_readings_are_counted_and_zero_is_refused() -> None:
    law = fit_memory([*SIZES, 65536], [*PEAKS, None])
    assert law.absent == 1 and law.bytes_per_example.n == 4
    with pytest.raises(RecordError, match="null, never 0"):
        fit_memory(SIZES, [0, *PEAKS[1:]])
    with pytest.raises(RecordError, match="4 sizes and 3 readings"):
        fit_memory(SIZES, PEAKS[1:])


def test_three_sizes_are_not_enough() -> None:
    law = fit_memory(SIZES[:3] + SIZES[:1], PEAKS[:3] + PEAKS[:1])
    assert law.note == "not enough points: 3 distinct sizes, the law needs 4"
    assert math.isnan(law.bytes_per_example.value)
    assert math.isnan(largest_replica_batch(law, 1e9).value)
    assert math.isnan(law.predict(10).value)


def test_memory_that_does_not_grow_gives_no_largest_batch() -> None:
    law = fit_memory([32, 64, 128, 256], [501e6, 500e6, 502e6, 499e6])
    assert "not seen to grow" in law.note
    assert math.isnan(largest_replica_batch(law, 1e12).value)
