"""What the layers below TensorFlow write when memory runs out."""

from __future__ import annotations

import pytest

from batchscale.benchmarks.records.failures import sign_of_no_memory


@pytest.mark.parametrize("text", [
    "Failed copying input tensor from CPU:0 to GPU:0 in order to run _EagerConst: Dst tensor is not initialized.",
    "failed to create cublas handle: the resource allocation failed",
    "CUDNN_STATUS_ALLOC_FAILED\nin tensorflow/stream_executor/cuda/cuda_dnn.cc",
    "NCCL WARN Cuda failure 2 'out of memory'",
    "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 8589934592 bytes.",
    "terminate called after throwing an instance of 'std::bad_alloc'"])
def test_every_layer_s_words_for_full_memory_are_known(text: str) -> None:
    assert sign_of_no_memory(text)


@pytest.mark.parametrize("text", ["Failed to get convolution algorithm", "Cuda failure 999 'unknown error'", "",
                                  "Memory growth cannot differ between GPU devices"])
def test_other_failures_are_not_taken_for_it(text: str) -> None:
    assert not sign_of_no_memory(text)


def test_a_lack_of_threads_is_one_of_memory_where_that_is_limited() -> None:
    assert sign_of_no_memory("can't start new thread", limited=True) and not sign_of_no_memory("can't start new thread")
