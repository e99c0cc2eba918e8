"""The NVIDIA GPUs of this machine by name, asked of its driver without TensorFlow."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

from .setup_environment import printed

DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/dxg"))  # of Linux, and of Linux within Windows


def gpu_names() -> list[str]:
    """Return one name per GPU that a process started here is shown."""
    return [name for name, _ in _shown()]


def gpu_words() -> list[str]:
    """Return what CUDA_VISIBLE_DEVICES calls each of these GPUs, in their order: a process that is to have some of them
    is told so by it."""
    return [word for _, word in _shown()]


def _shown() -> list[tuple[str, str]]:
    """The name and the word of each GPU.

    CUDA_VISIBLE_DEVICES chooses by number or by the beginning of a UUID, where it is set. Of GPUs that are cut into
    slices (MIG) CUDA shows a process one slice, the first unless CUDA_VISIBLE_DEVICES names another.
    """
    lines = _lines()
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    slices = [line for line in lines if line.startswith("MIG ")]
    wholes = [line for line in lines if line.startswith("GPU ")]
    if shown is not None:
        entries = [entry.strip() for entry in shown.split(",")]
        found = [(line, entry) for entry in entries if (line := _chosen(wholes, slices, entry))]
    else:
        found = [(line, line.partition("UUID: ")[2].rstrip(")")) for line in slices[:1]] or [
            (line, str(number)) for number, line in enumerate(wholes)]
    return [(line.partition(": ")[2].partition(" (")[0], word) for line, word in found]


def _chosen(wholes: list[str], slices: list[str], entry: str) -> str:
    """The line of a GPU by its number, or of a GPU or slice by the beginning of its UUID; "" for none."""
    if entry.isdigit():
        return wholes[int(entry)] if int(entry) < len(wholes) else ""
    among = wholes if entry.startswith("GPU-") else slices if entry.startswith("MIG-") else []
    return next((line for line in among if f"UUID: {entry}" in line), "")


def _lines() -> list[str]:
    """A line for each GPU and each slice of one, as `nvidia-smi -L` writes them: "GPU 0: its name (UUID: GPU-...)".

    A slice's line is written with the name of its GPU. Containers often have the driver and no nvidia-smi: there NVML
    is asked instead.
    """
    lines, gpu = [], ""
    for line in printed("nvidia-smi", "-L").splitlines():
        if line.startswith("GPU "):
            gpu = line.partition(": ")[2].partition(" (")[0]
            lines.append(line)
        elif line.strip().startswith("MIG "):
            kind, _, rest = line.strip().removeprefix("MIG ").partition("Device")
            lines.append(f"MIG {rest.partition(':')[0].strip()}: {gpu} MIG {kind.strip()} {rest.partition(': ')[2]}")
    return lines or (_asked_of_nvml() if any(path.exists() for path in DRIVERS) else [])


@cache
def _asked_of_nvml() -> list[str]:
    """The same lines from NVML; none where its package is absent or the driver does not answer."""
    try:
        import pynvml
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(at) for at in range(pynvml.nvmlDeviceGetCount())]
        return [f"GPU {at}: {_text(pynvml.nvmlDeviceGetName(one))} (UUID: {_text(pynvml.nvmlDeviceGetUUID(one))})"
                for at, one in enumerate(handles)]
    except Exception:  # an absent package, an absent library, a driver of another version: no GPU is known of
        return []


def _text(value: Any) -> str:
    """Older versions of the package return bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)
