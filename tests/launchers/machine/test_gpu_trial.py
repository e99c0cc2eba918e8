"""The trial of a machine's GPUs as the doctor tells it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from batchscale.benchmarks.errors import EXIT_ENVIRONMENT, EXIT_OK
from batchscale.launchers import cli
from batchscale.launchers.machine import gpu_trial

GOOD: dict[str, Any] = {
    "tensorflow": "2.21.0", "cuda": "12.5.1", "cudnn": "9", "gpus": [{"name": "A100"}], "seconds": 20.0,
    "tried": [{"name": "products, TF32", "right": True, "found": "off by 3.0e-04 of numpy's", "figure": 71.3,
               "unit": "TFLOP/s", "first_seconds": 4.25}]}


def answered(monkeypatch: pytest.MonkeyPatch, gpus: list[str], answer: str, code: int = 0) -> None:
    monkeypatch.setattr(gpu_trial, "gpu_names", lambda: gpus)
    monkeypatch.setattr(subprocess, "run", lambda words, **options: subprocess.CompletedProcess(
        words, code, stdout=answer, stderr="W0000 a warning\nCUDA_ERROR_SYSTEM_NOT_READY"))


def test_without_a_gpu_it_says_plainly_that_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                                          capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gpu_trial, "gpu_names", lambda: [])
    assert cli.main(["doctor", "--gpu"]) == EXIT_ENVIRONMENT
    assert "there is no card to try" in capsys.readouterr().out
    assert not list(tmp_path.iterdir()), "nothing was tried, so there is nothing to send"


def test_what_was_tried_is_a_line_each_and_a_file_to_send(monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                                          capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    answered(monkeypatch, ["A100"], "a line of another program\n" + json.dumps(GOOD))
    assert cli.main(["doctor", "--gpu"]) == EXIT_OK
    said = capsys.readouterr().out
    assert "2.21.0 for CUDA 12.5.1 and cuDNN 9 sees 1 of 1" in said
    assert "off by 3.0e-04 of numpy's; 71.3 TFLOP/s; 4.2 s the first time" in said
    written = json.loads((tmp_path / gpu_trial.FILE).read_text())
    assert written["driver_shows"] == ["A100"] and written["environment"]["python"]


@pytest.mark.parametrize(("gpus", "found", "said"), [
    (["A100", "A100"], GOOD, "sees 1 of 2"),
    (["A100"], {**GOOD, "tried": [{**GOOD["tried"][0], "right": False}]}, "PROBLEM products, TF32")])
def test_a_gpu_that_is_not_seen_or_computes_wrongly_is_a_problem(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], gpus: list[str],
        found: dict[str, Any], said: str) -> None:
    monkeypatch.chdir(tmp_path)
    answered(monkeypatch, gpus, json.dumps(found))
    assert cli.main(["doctor", "--gpu"]) == EXIT_ENVIRONMENT
    assert said in capsys.readouterr().out


def test_a_trial_that_dies_is_told_with_its_last_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                                       capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    answered(monkeypatch, ["A100"], "", code=-11)
    assert cli.main(["doctor", "--gpu"]) == EXIT_ENVIRONMENT
    assert "ended with code -11: CUDA_ERROR_SYSTEM_NOT_READY" in capsys.readouterr().out
