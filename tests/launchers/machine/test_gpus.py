"""Which GPUs a process that is started here is shown."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from batchscale.launchers.local.rank_commands import for_gpus, gpu_environment
from batchscale.launchers.machine import gpus


def test_only_gpus_that_ranks_would_see_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = "\n".join(f"GPU {n}: NVIDIA {name} (UUID: GPU-{n}aa)" for n, name in enumerate(("A", "B", "C")))
    monkeypatch.setattr(gpus, "printed", lambda *words: listed)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpus.gpu_names() == ["NVIDIA A", "NVIDIA B", "NVIDIA C"]
    assert gpus.gpu_words() == ["0", "1", "2"]
    for shown, expected, words in (("2,0", ["NVIDIA C", "NVIDIA A"], ["2", "0"]), ("GPU-1a", ["NVIDIA B"], ["GPU-1a"]),
                                   ("", [], []), ("-1", [], []), ("7", [], [])):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown)
        assert (gpus.gpu_names(), gpus.gpu_words()) == (expected, words)


SLICED = """GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-0aa)
  MIG 3g.20gb     Device  0: (UUID: MIG-1bb)
  MIG 1g.5gb      Device  1: (UUID: MIG-2cc)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-9zz)
"""


@pytest.mark.parametrize(("shown", "expected"), [
    (None, ["NVIDIA A100-SXM4-40GB MIG 3g.20gb"]), ("MIG-2cc", ["NVIDIA A100-SXM4-40GB MIG 1g.5gb"]),
    ("GPU-9", ["NVIDIA A100-SXM4-40GB"]), ("1", ["NVIDIA A100-SXM4-40GB"]), ("MIG-x", [])])
def test_a_slice_of_a_gpu_counts_as_the_one_that_cuda_shows(shown: str | None, expected: list[str],
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "printed", lambda *words: SLICED)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if shown is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown)
    assert gpus.gpu_names() == expected
    assert gpus.gpu_words() == ([shown or "MIG-1bb"] if expected else [])


@pytest.mark.parametrize("encode", [str, str.encode])
def test_where_the_driver_is_and_nvidia_smi_is_not_nvml_is_asked(encode: type, tmp_path: Path,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    gpus._asked_of_nvml.cache_clear()
    nvml = SimpleNamespace(nvmlInit=lambda: None, nvmlDeviceGetCount=lambda: 2,
                           nvmlDeviceGetHandleByIndex=lambda at: at,
                           nvmlDeviceGetName=lambda at: encode("NVIDIA H100"),
                           nvmlDeviceGetUUID=lambda at: encode(f"GPU-{at}aa"))
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setattr(gpus, "printed", lambda *words: "")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-1")
    assert gpus.gpu_names() == []
    monkeypatch.setattr(gpus, "DRIVERS", (tmp_path,))
    assert gpus.gpu_names() == ["NVIDIA H100"]
    gpus._asked_of_nvml.cache_clear()


def test_ranks_beside_gpus_must_use_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(gpus, "printed", lambda *words: "")
    assert gpu_environment() == {}
    monkeypatch.setattr(gpus, "printed", lambda *words: SLICED)
    assert gpu_environment()["BATCHSCALE_DEVICE"] == "gpu"


def test_kernels_that_the_driver_compiled_are_kept_where_the_nodes_share_a_cache(monkeypatch: pytest.MonkeyPatch,
                                                                                 tmp_path: Path) -> None:
    for name in ("CUDA_CACHE_PATH", "CUDA_CACHE_MAXSIZE", "BATCHSCALE_CACHE"):
        monkeypatch.delenv(name, raising=False)
    assert "CUDA_CACHE_PATH" not in for_gpus() and int(for_gpus()["CUDA_CACHE_MAXSIZE"]) > 2**31
    monkeypatch.setenv("BATCHSCALE_CACHE", str(tmp_path))
    assert for_gpus()["CUDA_CACHE_PATH"] == str(tmp_path / "cuda-kernels")
    monkeypatch.setenv("CUDA_CACHE_PATH", "/mine")
    monkeypatch.setenv("CUDA_CACHE_MAXSIZE", "5")
    assert (for_gpus()["CUDA_CACHE_PATH"], for_gpus()["CUDA_CACHE_MAXSIZE"]) == ("/mine", "5")
