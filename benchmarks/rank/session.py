"""What one worker keeps between runs: strategy, data on the device, programs. Importing is paid once."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from .. import data
from ..data import fingerprint as data_fingerprint
from ..config.script import is_script
from ..data.arrays import Arrays, count, each
from ..data.disk.encoded import EncodedImages
from ..errors import DataError
from ..records import environment
from ..runs.run_config import RunConfig
from .evaluation.disk import DiskEvaluation
from .evaluation.memory import Evaluation, StreamedEvaluation
from .feeds import in_memory
from .feeds.base import Feed
from .feeds.disk import DiskFeed
from .feeds.image_pipeline import DecodedInputs, ImagePipeline
from .gpus import arithmetic, libraries
from .meters.gpu_counters import GpuCounters
from .meters.gradient_norms import Probe
from .meters.sharpness import Sharpness
from .script import taken
from .strategies.base import Strategy
from .training.program import Program, program_key
from .watchdog import Watchdog
from .workload import fingerprint


@dataclass
class Examples:
    """One data set as this worker uses it."""

    split: data.Split
    feed: Feed
    evaluation: Evaluation
    probe: Probe
    sharpness: Sharpness
    digest: str = ""


@dataclass(frozen=True)
class Loaded:
    """A data set in memory, split for runs, and the digest of its contents."""

    split: data.Split
    digest: str


@dataclass
class Session:
    """Strategy, data and compiled programs of one worker, which its runs share."""

    strategy: Strategy
    devices: Sequence[str]
    cores: Sequence[int]
    size_expected: int
    interrupted: Any
    start: dict[str, float] = field(default_factory=dict)
    gpus: GpuCounters = field(default_factory=GpuCounters)
    checkpoint_seconds: float = math.inf
    watchdog: Watchdog = field(default_factory=lambda: Watchdog(0.0))
    workloads: Mapping[str, Any] = field(default_factory=dict)
    loaded: dict[tuple[Any, ...], Loaded] = field(default_factory=dict)
    _examples: dict[tuple[Any, ...], Examples] = field(default_factory=dict)
    _programs: dict[tuple[Any, ...], Program] = field(default_factory=dict)
    _trained: dict[tuple[Any, ...], dict[str, str]] = field(default_factory=dict)

    def examples(self, config: RunConfig) -> Examples:
        """Return the run's data, split and placed. Raises DataError when it is not what the plan was made for."""
        key = (*_data_key(config), config.precision, config.input)
        if key not in self._examples:
            self._examples.clear()  # one data set at a time stays on the device
            loaded = self.loaded.pop(_data_key(config), None) or load(config, self.workloads)
            on_disk = isinstance(loaded.split.train[0], EncodedImages)
            made = (_from_disk if on_disk else _in_memory)(config, loaded.split, self.strategy)
            self._examples[key] = replace(made, digest=loaded.digest)
        found = self._examples[key]
        if (examples := count(found.split.train[1])) != config.train_examples:
            raise DataError(f"{config.dataset} now has {examples} training examples and the plan was made "
                            f"for {config.train_examples}; the data changed: run the plan again.")
        return found

    def program(self, config: RunConfig, examples: Examples) -> Program:
        """Return the compiled program of a run; runs with equal keys share it."""
        key = program_key(config)
        if key not in self._programs:
            shape = examples.split.input_shape
            types = tuple(each(lambda values: getattr(values, "dtype", None), part) for part in examples.split.train)
            self._programs[key] = Program(config, self.strategy, shape, examples.split.classes, types)
        return self._programs[key]

    def trained(self, config: RunConfig) -> dict[str, str]:
        """Return the digests of what this rank trains, of the parts that ranks look at."""
        key = program_key(config)
        if key not in self._trained:  # once for all runs of a program
            model = self.program(config, self.examples(config)).model
            self._trained[key] = {"layers": fingerprint.layers(model), **fingerprint.code(config)}
        return {"data": self.examples(config).digest, **self._trained[key]}

    def start_seconds(self) -> dict[str, float]:
        """Return the seconds that starting this process took, for its first run's record; 0 for all later ones."""
        started, self.start = self.start, {}
        return {name: started.get(name, 0.0) for name in ("launch_seconds", "import_seconds")}

    def environment(self) -> dict[str, Any]:
        """Return where this run takes place, on every rank; for rank 0's record."""
        own = environment.collect()
        hosts = self.strategy.gather({"rank": self.strategy.rank, "host": own["host"], "affinity": own["affinity"],
                                      "devices": list(self.devices), "pid": os.getpid()})
        threading = tf.config.threading
        details = [tf.config.experimental.get_device_details(d).get("device_name")
                   for d in tf.config.get_visible_devices("GPU")]
        return {**own, "ranks": hosts, "devices": list(self.devices), "gpus": details,
                "intra_op_threads": threading.get_intra_op_parallelism_threads(),
                "inter_op_threads": threading.get_inter_op_parallelism_threads(),
                "gpu_driver": self.gpus.driver(),
                "gpu_libraries": self._gpu_libraries() if details else {},
                "tensor_float_32": arithmetic.in_tf32(tf),
                "library": self.strategy.library(), "tensorflow": tf.__version__, "keras": keras.__version__,
                "launcher": os.environ.get("BATCHSCALE_LAUNCHER", "by hand")}

    @staticmethod
    def _gpu_libraries() -> dict[str, str]:
        """What TensorFlow was built for, and what it has found and loaded by now."""
        built = tf.sysconfig.get_build_info()
        return {**{f"built_for_{name}": str(built[f"{name}_version"]) for name in ("cuda", "cudnn")
                   if f"{name}_version" in built}, **libraries.versions()}


def load(config: RunConfig, workloads: Mapping[str, Any]) -> Loaded:
    """Load and split a run's data. The digest is that of its description in `workloads` where it is made from the very
    same files. Raises DataError, PlanError."""
    dataset = taken.load(config.dataset)
    described = workloads.get(config.workload_key, {})
    files = described.get("files")
    if files is not None and files == data_fingerprint.witness(config.dataset):
        digest = str(described.get("fingerprint", {}).get("data", ""))
    else:
        digest = data_fingerprint.digests(dataset).contents
    return Loaded(data.split(dataset, config.validation_fraction, config.train_subset), digest)


def loaded_ahead(config: RunConfig, workloads: Mapping[str, Any]) -> dict[tuple[Any, ...], Loaded]:
    """Return a run's data by what it is loaded for, before the ranks have met; nothing where a user's code makes it,
    which may ask for them, where it cannot be loaded, which is said when the run needs it, and where the memory that
    it takes is part of what is measured."""
    if config.kind == "memory" or config.memory_limit_bytes or is_script(config.dataset):
        return {}
    with suppress(DataError):
        if not data.is_users_code(config.dataset):
            return {_data_key(config): load(config, workloads)}
    return {}


def _data_key(config: RunConfig) -> tuple[Any, ...]:
    return config.dataset, config.validation_fraction, config.train_subset


def _in_memory(config: RunConfig, split: data.Split, strategy: Strategy) -> Examples:
    x, y = _typed(split.train, config.dtype)
    parts = {name: _typed(part, config.dtype) for name, part in _evaluated(split).items()}
    chosen = in_memory.create(config, x, y, strategy)
    evaluation = (Evaluation if chosen.kind == "resident" else StreamedEvaluation)(parts, strategy)
    return Examples(split, chosen, evaluation, Probe(x, y, strategy), Sharpness(x, y))


def _from_disk(config: RunConfig, split: data.Split, strategy: Strategy) -> Examples:
    train, *parts = (ImagePipeline(x, y, config.dtype) for x, y in (split.train, *_evaluated(split).values()))
    evaluated = DiskEvaluation(dict(zip(_evaluated(split), parts)), strategy)
    inputs = DecodedInputs(train)
    return Examples(split, DiskFeed(train.images, train.labels, strategy, config.dtype), evaluated,
                    Probe(inputs, train.labels, strategy), Sharpness(inputs, train.labels))


def _evaluated(split: data.Split) -> dict[str, Any]:
    return {"train": split.train_subset, "validation": split.validation, "test": split.test}


def _typed(part: tuple[Arrays, Arrays], dtype: str) -> tuple[Arrays, Arrays]:
    """Floats in the type of the run's weights; whole numbers (labels, tokens) as they are."""
    def typed(values: Any) -> Any:
        return values if np.issubdtype(values.dtype, np.integer) else np.asarray(values, dtype=dtype)
    return each(typed, part[0]), each(typed, part[1])
