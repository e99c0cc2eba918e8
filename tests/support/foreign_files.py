"""Files of other tools, as tests write them: the true formats, with small numbers whose answers are known."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.timing_files import jube_text, nccl_text, tf_cnn_text
from support.training_files import (dllogger_lines, HISTORY, KERAS_3, LIGHTNING, mlflow_database, recording,
                                    tensorboard_run, trainer_state, wandb_run)

from batchscale.analysis.importers import imported_store
from batchscale.analysis.study.convergence import Convergence, convergences
from batchscale.analysis.tables.reading import read
from batchscale.analysis.tables.results import Results
from batchscale.benchmarks.errors import EXIT_OK
from batchscale.launchers import cli

HOROVOD_NOISE = "[1,0]<stderr>:2024-05-01 12:00:00.1 I tensorflow/core] This binary is optimized\n"


def horovod_text(size: int, rates: Sequence[float], batch: int = 32, model: str = "ResNet50", device: str = "GPU",
                 warmup: bool = True, prefix: str = "[1,0]<stdout>:") -> str:
    """What tensorflow2_synthetic_benchmark prints; without warmup, what the Keras script does, whose first iteration
    is left out of its mean."""
    steady = rates if warmup else rates[1:]
    mean = sum(steady) / len(steady)
    spread = 1.96 * (sum((rate - mean) ** 2 for rate in steady) / len(steady)) ** 0.5
    lines = [f"Model: {model}", f"Batch size: {batch}", f"Number of {device}s: {size}",
             *(["Running warmup...", "Running benchmark..."] if warmup else []),
             *(f"Iter #{index}: {rate:.1f} img/sec per {device}" for index, rate in enumerate(rates)),
             f"Img/sec per {device}: {mean:.1f} +-{spread:.1f}",
             f"Total img/sec on {size} {device}(s): {size * mean:.1f} +-{size * spread:.1f}"]
    return HOROVOD_NOISE + "".join(f"{prefix}{line}\n" for line in lines)


def event(key: str, value: Any = None, at: int = 0, kind: str = "POINT_IN_TIME",
          about: Mapping[str, Any] | None = None) -> str:
    return ":::MLLOG " + json.dumps({"namespace": "", "time_ms": 1_715_251_850_000 + at, "event_type": kind, "key": key,
                                     "value": value, "metadata": {"file": "train.py", "lineno": 3, **(about or {})}})


def mllog_text(batch: int, epochs: Sequence[float], status: str = "success", benchmark: str = "resnet", seed: int = 7,
               settings: Mapping[str, Any] | None = None, counted: str = "epoch_num", accuracy: float = 0.7) -> str:
    """A result_*.txt: evaluated after each of `epochs`, a minute apart, with other text between the lines."""
    chosen = {"submission_benchmark": benchmark, "submission_org": "a vendor", "submission_platform": "1xbox",
              "seed": seed, "global_batch_size": batch, "train_samples": 1_281_167, "opt_name": "sgd",
              "opt_base_learning_rate": 10.5, "sgd_opt_momentum": 0.9, **(settings or {})}
    lines = ["ENDING TIMING RUN AT 2024-05-09", *(event(key, value) for key, value in chosen.items()),
             event("run_start", at=1000, kind="INTERVAL_START")]
    for index, epoch in enumerate(epochs, 1):
        lines += [f"epoch {epoch}: loss 2.1", event("eval_accuracy", accuracy + 0.01 * index, 1000 + 60_000 * index,
                                                    about={counted: epoch})]
    lines.append(event("run_stop", at=1000 + 60_000 * len(epochs), kind="INTERVAL_END", about={"status": status}))
    return "\n".join([lines[0], f"0: {lines[1]}", *lines[2:]]) + "\n"


def of_round_0_6(settings: Mapping[str, Any], epochs: Mapping[int, float]) -> str:
    """A successful log of MLPerf's round 0.6. epochs: by seconds since the start; the run stops a second after the
    last of them."""
    said: list[tuple[float, str, Any, dict[str, Any]]] = [
        (0, key, value, {}) for key, value in {**settings, "run_start": None}.items()]
    said += [(at, "eval_accuracy", 0.7, {"epoch_num": epoch}) for at, epoch in epochs.items()]
    said += [(max(epochs) + 1, "run_stop", None, {"status": "success"})]
    return "".join(f"0: :::MLL {1_600_000_000 + at}.500 {key}: {json.dumps({'value': value, 'metadata': about})}\n"
                   for at, key, value, about in said)


def of_round_0_5(benchmark: str, values: Sequence[float], first_epoch: int | None = 0, target: float = 0.7,
                 success: object = None) -> str:
    """A log of MLPerf's round 0.5, evaluated a minute after each epoch began. first_epoch: as train_epoch numbers them,
    None without such lines, where evaluations count from 1; success: as run_stop says it."""
    lines = ["I1010 00:14:15.6 session_manager.py:500] of another program"]

    def say(at: float, key: str, value: object = None) -> None:
        said = "" if value is None else f": {json.dumps(value)}"
        lines.append(f"DEBUG:mlperf_compliance::::MLPv0.5.0 {benchmark} {1_541_721_336 + at:.9f} (<string>:1) "
                     f"{key}{said}")

    for key, value in (("run_start", None), ("input_batch_size", 26), ("preproc_num_train_examples", 1_281_167),
                       ("opt_name", "sgd"), ("opt_momentum", 0.9), ("eval_target", target)):
        say(0, key, value)
    for index, value in enumerate(values):
        if first_epoch is not None:
            say(60 * index, "train_epoch", first_epoch + index)
        epoch = index + (1 if first_epoch is None else first_epoch)
        say(60 * index + 60, "eval_accuracy", {"epoch": epoch, "value": value})
    say(60 * len(values) + 1, "run_stop", None if success is None else {"success": success})
    return "\n".join([*lines, lines[-1]]) + "\n"


def dawn_entry(folder: Path, name: str, rows: Sequence[tuple[float, ...]], **about: Any) -> Path:
    """rows: epoch, hours, top-1 and perhaps top-5 accuracy in percent."""
    folder.mkdir(parents=True, exist_ok=True)
    header = ("epoch", "hours", "top1Accuracy", "top5Accuracy")[:len(rows[0])]
    (folder / f"{name}.tsv").write_text("\n".join("\t".join(map(str, row)) for row in (header, *rows)) + "\n")
    (folder / f"{name}.json").write_text(json.dumps({
        "version": "v1.0", "author": "a team", "authorEmail": "a@b", "framework": "PyTorch", "model": "ResNet 18",
        "hardware": "8 * V100", "costPerHour": 24.48, "timestamp": "2018-04-18", "misc": {"batchSize": 1024}, **about}))
    return folder / f"{name}.tsv"


def study(folder: Path, batch: int, trials: Mapping[int, tuple[str, Sequence[tuple[float, ...]]]],
          dataset: str = "cifar_10", model: str = "resnet_8", optimizer: str = "sgd") -> Path:
    """One BATCH folder. trials: id -> status and rows of step and classification errors (train, val, test)."""
    place = folder / dataset / model / optimizer / str(batch)
    place.mkdir(parents=True)
    (place / "study.json").write_text(json.dumps({
        "batch_size": batch, "dataset": dataset, "early_stopping": False, "model": model, "optimizer": optimizer,
        "parameter_configs": {"learning_rate": {"max_value": 10.0, "min_value": 0.0001, "scale": "LOG_SCALE",
                                                "type": "DOUBLE"}}, "train_steps": 100}))
    for trial, (status, rows) in trials.items():
        (place / str(trial)).mkdir()
        (place / str(trial) / "metadata.json").write_text(json.dumps({
            "_internal_study_name": "x", "_internal_trial_id": trial, "parameters": {"learning_rate": 0.1 * trial},
            "status": status, "steps": rows[-1][0], "trial_id": trial}))
        header = "step,train/classification_error,val/classification_error,test/classification_error"
        (place / str(trial) / "measurements.csv").write_text(
            "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return place


def timings(rounds: Mapping[str, Sequence[float]], keep: bool = True) -> str:
    """A file of pytest-benchmark; without keep, as --benchmark-json writes it where rounds are not saved."""
    benchmarks = []
    for name, seconds in rounds.items():
        mean = sum(seconds) / len(seconds)
        spread = (sum((s - mean) ** 2 for s in seconds) / max(len(seconds) - 1, 1)) ** 0.5
        stats = {"min": min(seconds), "max": max(seconds), "mean": mean, "stddev": spread, "rounds": len(seconds),
                 "iterations": 1, **({"data": list(seconds)} if keep else {})}
        benchmarks.append({"group": None, "name": name, "fullname": f"micro/test_x.py::{name}", "params": None,
                           "options": {"disable_gc": False, "timer": "perf_counter"}, "stats": stats})
    machine = {"node": "box", "machine": "x86_64", "python_version": "3.11.0", "cpu": {"brand_raw": "made", "count": 2}}
    return json.dumps({"machine_info": machine, "commit_info": {"id": "abc"}, "benchmarks": benchmarks,
                       "datetime": "2030-01-01T00:00:00+00:00", "version": "5.1.0"})


def bring(path: Path, form: str, **more: Any) -> Results:
    return read(imported_store.write(path, path.parent / "results", form, **more))


def law(results: Results) -> Convergence:
    (found,) = convergences(results)
    return found


def saved(folder: Path, text: str, name: str = "result_0.txt") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def reported(results_folder: Path) -> tuple[str, dict[str, Any]]:
    (store,) = [path for path in results_folder.iterdir() if path.is_dir()]
    assert cli.main(["report", str(store)]) == EXIT_OK
    page = (store / "report" / "index.html").read_text(encoding="utf-8")
    assert " nan" not in page and "inf " not in page
    return page, json.loads((store / "report" / "decision.json").read_text(), parse_constant=pytest.fail)


def reference_points() -> str:
    """Two reference convergence points of one benchmark, as an rcps_*.json."""
    point = {"Benchmark": "resnet", "Creator": "NVIDIA", "When": "Prior to 1.0 submission", "Platform": "16xDGX-A100",
             "BS": 3264, "Hyperparams": {"opt_name": "lars", "opt_base_learning_rate": 8.68},
             "Epochs to converge": [34, 34, 35.5]}
    other = {**point, "BS": 4096, "Hyperparams": {"opt_momentum": 0.9}}
    return json.dumps({"resnet_ref_3264": point, "resnet_ref_4096": other})


def _good_study(folder: Path) -> Path:
    rows = [(0, 0.9, 0.9, 0.9), (10, 0.5, 0.5, 0.5), (20, 0.2, 0.25, 0.26)]
    study(folder / "data", 16, {1: ("COMPLETE", rows), 2: ("INFEASIBLE", rows)})
    return folder / "data"


# format -> what writes a good file of it into a folder and returns the path to import
GOOD: dict[str, Callable[[Path], Path]] = {
    "mlperf-rcp": lambda folder: saved(folder, reference_points(), "rcps_mine.json"),
    "mllog": lambda folder: saved(folder, mllog_text(256, [4, 8, 12])),
    "horovod": lambda folder: saved(folder, horovod_text(4, [100.0, 110.0, 90.5])),
    "dawnbench": lambda folder: dawn_entry(folder / "CIFAR10", "x", [(1, 0.1, 50.0), (2, 0.2, 94.5)]),
    "batch-science": _good_study,
    "pytest-benchmark": lambda folder: saved(folder, timings({"test_step": [1e-5, 2e-5, 1.4e-5]}), "timings.json"),
    "csv": lambda folder: saved(folder, "experiment,replicas,replica_batch,global_batch,examples_per_second,scaling,"
                                "launch\na,1,32,32,1000.5,weak,0\na,2,32,64,1900,weak,0\n", "mine.csv"),
    "tf-cnn-benchmarks": lambda folder: saved(folder, tf_cnn_text(2, 448, 3744.75), "mine.log"),
    "jube": lambda folder: saved(folder, jube_text(((4, 256, 1000.5), (8, 512, 1900.25))), "result.dat"),
    "collectives": lambda folder: saved(folder, nccl_text({8: 1e-4, 2**20: 2e-4, 2**30: 6.4e-3}), "mine.txt"),
    "keras-log": lambda folder: saved(folder, KERAS_3, "training.log"),
    "keras-history": lambda folder: saved(folder, json.dumps(HISTORY), "history.json"),
    "recorder": lambda folder: saved(folder, recording(), "b32.jsonl"),
    "trainer-state": lambda folder: saved(folder, trainer_state(), "trainer_state.json"),
    "lightning": lambda folder: saved(folder, LIGHTNING, "metrics.csv"),
    "tensorboard": lambda folder: tensorboard_run(folder / "logs"),
    "mlflow": lambda folder: mlflow_database(folder / "mlflow.db"),
    "wandb": wandb_run,
    "dllogger": lambda folder: saved(folder, dllogger_lines(), "mine.log"),
}
