"""Comparing result sets of GPUs that round products otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.stored_study import folder

from batchscale.launchers.cli import main


def test_float32_and_what_was_rounded_to_tf32_are_unlike_and_another_driver_is_reported(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def on_gpu(rounded: bool, driver: str) -> Any:
        place = {"gpus": ["NVIDIA A30"], "tensor_float_32": rounded, "gpu_driver": driver}
        return lambda record: {**record, "environment": {**record["environment"], **place}}
    sides = [folder(tmp_path / name, on_gpu(*how)) for name, how in
             {"tf32": (True, "550.1"), "float32": (False, "550.1"), "later": (True, "580.2")}.items()]
    assert main(["compare", str(sides[0]), str(sides[1])]) == 2
    assert "tensor_float_32 is True in" in capsys.readouterr().err
    assert main(["compare", str(sides[0]), str(sides[2])]) == 0
    assert "Differs: gpu\\_driver was 550.1, is 580.2." in capsys.readouterr().out.replace("gpu_driver", "gpu\\_driver")
