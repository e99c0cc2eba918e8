"""TF32 and determinism: what TensorFlow is told, what is refused, and what the record warns of."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from batchscale.benchmarks.errors import EnvironmentUnusable
from batchscale.benchmarks.rank.gpus import arithmetic
from batchscale.benchmarks.runs.run_config import RunConfig

Make = Callable[..., RunConfig]
HOPPER, VOLTA = (9, 0), (7, 0)


class TensorFlow:
    """Stands for TensorFlow on GPUs of these compute capabilities; rounds unless told otherwise, as it does."""

    def __init__(self, *capabilities: Any) -> None:
        self.told: dict[str, Any] = {"tf32": True}
        self.experimental = SimpleNamespace(
            get_device_details=lambda gpu: {} if gpu is None else {"compute_capability": gpu},
            enable_tensor_float_32_execution=lambda on: self.told.update(tf32=on),
            tensor_float_32_execution_enabled=lambda: self.told["tf32"],
            enable_op_determinism=lambda: self.told.update(deterministic=True))
        self.config = SimpleNamespace(experimental=self.experimental,
                                      get_visible_devices=lambda kind: list(capabilities))


@pytest.fixture(autouse=True)
def no_override(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(arithmetic.OVERRIDE, raising=False)


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> Callable[..., TensorFlow]:
    def made(*capabilities: Any) -> TensorFlow:
        found = TensorFlow(*capabilities)
        monkeypatch.setitem(sys.modules, "tensorflow", found)
        return found
    return made


@pytest.mark.parametrize(("settings", "told"), [
    ({}, {"tf32": True}), ({"tf32": False}, {"tf32": False}), ({"tf32": True}, {"tf32": True}),
    ({"deterministic": True}, {"tf32": True, "deterministic": True})])
def test_tensorflow_is_told_what_the_plan_says_and_no_more(config: Make, beside: Callable[..., TensorFlow],
                                                           settings: dict[str, bool], told: dict[str, bool]) -> None:
    found = beside(HOPPER)
    arithmetic.prepare(config(**settings))
    assert found.told == told


@pytest.mark.parametrize(("capabilities", "settings", "variable", "warned"), [
    ((HOPPER,), {}, "", True), ((VOLTA, HOPPER), {}, "", True), ((None,), {}, "", True),
    ((VOLTA,), {}, "", False), ((), {}, "", False), ((HOPPER,), {}, "0", False),
    ((HOPPER,), {"tf32": True}, "", False), ((HOPPER,), {"tf32": False}, "", False),
    ((HOPPER,), {"precision": "mixed_bfloat16"}, "", False)])
def test_a_run_warns_where_float32_was_tf32_and_the_plan_does_not_say_so(
        config: Make, beside: Callable[..., TensorFlow], monkeypatch: pytest.MonkeyPatch, capabilities: tuple[Any, ...],
        settings: dict[str, Any], variable: str, warned: bool) -> None:
    found = beside(*capabilities)
    monkeypatch.setenv(arithmetic.OVERRIDE, variable)
    arithmetic.prepare(config(**settings))
    assert bool(arithmetic.warnings(config(**settings))) is warned
    if not settings:
        assert arithmetic.in_tf32(found) is warned, "the record says what was done"


@pytest.mark.parametrize(("capabilities", "asked", "variable", "message"), [
    ((VOLTA,), True, "", "no GPU here rounds float32 to TF32, which takes one of compute capability 8.0 or more"),
    ((), True, "", "no GPU here rounds float32"),
    ((HOPPER,), True, "0", "NVIDIA_TF32_OVERRIDE=0"), ((HOPPER,), False, "1", "NVIDIA_TF32_OVERRIDE=1")])
def test_what_the_gpus_would_not_do_is_refused(config: Make, beside: Callable[..., TensorFlow],
                                               monkeypatch: pytest.MonkeyPatch, capabilities: tuple[Any, ...],
                                               asked: bool, variable: str, message: str) -> None:
    beside(*capabilities)
    monkeypatch.setenv(arithmetic.OVERRIDE, variable)
    with pytest.raises(EnvironmentUnusable, match=message):
        arithmetic.prepare(config(tf32=asked))


def test_a_processor_rounds_nothing_so_that_tf32_can_be_forbidden_anywhere(config: Make,
                                                                           beside: Callable[..., TensorFlow]) -> None:
    found = beside()
    arithmetic.prepare(config(tf32=False))
    assert not arithmetic.in_tf32(found) and found.told == {"tf32": False}
