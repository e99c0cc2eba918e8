"""Versions of NVIDIA's libraries as this process has loaded them, asked of the libraries themselves.

What pip installed says nothing of a container's own, and what TensorFlow was built for nothing of what it found. The
driver's version is NVML's to tell (meters.gpu_counters).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import Any

ONLY_IF_LOADED = os.RTLD_NOLOAD | os.RTLD_LAZY
# Name in the record -> the names of the library, its function, whether that returns the version or writes it, and what
# the major and the minor number are multiplied by.
LIBRARIES: dict[str, tuple[tuple[str, ...], str, bool, tuple[int, int]]] = {
    "driver_for_cuda": (("libcuda.so.1",), "cuDriverGetVersion", False, (1000, 10)),
    "cuda_runtime": (("libcudart.so.12", "libcudart.so.13"), "cudaRuntimeGetVersion", False, (1000, 10)),
    "cudnn": (("libcudnn.so.9", "libcudnn.so.8"), "cudnnGetVersion", True, (10_000, 100)),
    "nccl": (("libnccl.so.2",), "ncclGetVersion", False, (10_000, 100)),
}

Load = Callable[[str], Any]


def loaded(name: str) -> Any:
    """Return a library that this process has loaded already. Raises OSError for any other."""
    return ctypes.CDLL(name, mode=ONLY_IF_LOADED)


def versions(load: Load = loaded) -> dict[str, str]:
    """Return the version of each library that is loaded and tells it, by its name in the record."""
    found = {}
    for name, (files, function, returned, places) in LIBRARIES.items():
        for file in files:
            try:
                number = _asked(getattr(load(file), function), returned)
            except (OSError, AttributeError):  # another version's file, or one that lacks the function
                continue
            if number > 0:
                found[name] = _written(number, places)
    return found


def _asked(function: Any, returned: bool) -> int:
    if returned:
        function.restype = ctypes.c_size_t
        return int(function())
    number = ctypes.c_int(0)
    return 0 if function(ctypes.byref(number)) else int(number.value)


def _written(number: int, places: tuple[int, int]) -> str:
    """12080 of CUDA is 12.8, 90300 of cuDNN 9.3.0, 22703 of NCCL 2.27.3. cuDNN 8 and NCCL below 2.9 counted majors in
    thousands."""
    major, minor = places
    if major > 1000 and number < 10_000:
        major = 1000
    parts = [number // major, number % major // minor, number % minor]
    return ".".join(map(str, parts if places[1] > 10 else parts[:2]))
