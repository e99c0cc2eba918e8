"""Versions of NVIDIA's libraries, from stand-ins that answer as theirs do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from batchscale.benchmarks.rank.gpus.libraries import loaded, versions


def library(function: str, number: int, returned: bool = False, status: int = 0) -> Any:
    def answer(place: Any = None) -> int:
        if returned:
            return number
        place._obj.value = number
        return status
    return SimpleNamespace(**{function: answer})


@pytest.mark.parametrize(("files", "found"), [
    ({"libcuda.so.1": ("cuDriverGetVersion", 13000), "libcudart.so.12": ("cudaRuntimeGetVersion", 12080),
      "libcudnn.so.9": ("cudnnGetVersion", 90300, True), "libnccl.so.2": ("ncclGetVersion", 22703)},
     {"driver_for_cuda": "13.0", "cuda_runtime": "12.8", "cudnn": "9.3.0", "nccl": "2.27.3"}),
    ({"libcudnn.so.8": ("cudnnGetVersion", 8907, True), "libnccl.so.2": ("ncclGetVersion", 2804)},
     {"cudnn": "8.9.7", "nccl": "2.8.4"}),
    ({"libcuda.so.1": ("cuDriverGetVersion", 13000, False, 3), "libnccl.so.2": ("ncclOther", 1)}, {}),
])
def test_each_library_that_is_loaded_tells_its_version(files: dict[str, Any], found: dict[str, str]) -> None:
    def load(name: str) -> Any:
        if name not in files:
            raise OSError(f"{name} is not loaded")
        return library(*files[name])
    assert versions(load) == found


def test_none_is_loaded_to_be_asked() -> None:
    with pytest.raises(OSError):
        loaded("libcudnn.so.9")
    assert versions() == {}
