"""Cores of ranks with GPUs on a machine of two sockets with four cores of two threads each."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from batchscale.benchmarks.rank.gpus import near_cores
from batchscale.benchmarks.rank.gpus.near_cores import share
from batchscale.benchmarks.rank.meters import gpu_counters

FIRST, SECOND = {0, 1, 2, 3, 8, 9, 10, 11}, {4, 5, 6, 7, 12, 13, 14, 15}  # threads 8 to 15 are of the cores 0 to 7
FOUR_GPUS = [FIRST, FIRST, SECOND, SECOND]


def core_of(thread: int) -> int:
    return thread % 8


def test_each_rank_has_whole_cores_of_its_gpu_s_socket() -> None:
    found = [share(range(16), FOUR_GPUS, rank, core_of) for rank in range(4)]
    assert found == [[0, 1, 8, 9], [2, 3, 10, 11], [4, 5, 12, 13], [6, 7, 14, 15]]


def test_gpus_of_one_socket_share_it_though_the_other_is_idle() -> None:
    assert [share(range(16), [SECOND, SECOND], rank, core_of) for rank in range(2)] == [
        [4, 5, 12, 13], [6, 7, 14, 15]]


@pytest.mark.parametrize("near", [
    [FIRST, set()],  # not told of one
    [FIRST, FIRST | SECOND]])  # a rank would have cores of another's
def test_what_does_not_say_who_has_which_says_nothing(near: list[set[int]]) -> None:
    assert share(range(16), near, 0, core_of) == []


def test_too_few_cores_are_no_share() -> None:
    assert share([0], [FIRST, FIRST], 1, core_of) == []


def test_nvml_s_words_are_read_as_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    class Library:
        class NVMLError(Exception):
            pass

        def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
            return index

        def nvmlDeviceGetCpuAffinity(self, handle: int, words: int) -> Any:
            assert words == 2
            return [0b1111, 1 << 63] if handle == 0 else [0b11110000, 0]

    counters = gpu_counters.of_library(Library(), ["GPU:0", "GPU:1"], None)
    assert counters.near_cores(128) == [{0, 1, 2, 3, 127}, {4, 5, 6, 7}]
    monkeypatch.setattr(near_cores, "gpu_counters", lambda visible, shown: counters)
    assert near_cores.of_this_host(range(128), 2, 1, None) == [4, 5, 6, 7]
    monkeypatch.setattr(near_cores, "gpu_counters", lambda visible, shown: SimpleNamespace(near_cores=lambda most: []))
    assert near_cores.of_this_host(range(128), 2, 1, None) == []
