"""Which of a tool's metrics is which of ours: the names that Keras, Lightning, Hugging Face and users write."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from ...columns import METRICS
from ..imported_run import LONGEST_TEXT

PARTS = {"val": "validation", "valid": "validation", "validation": "validation", "eval": "validation",
         "evaluation": "validation", "dev": "validation", "test": "test", "train": "train", "training": "train"}
KINDS = {"loss": "loss", "acc": "accuracy", "accuracy": "accuracy", "top1": "accuracy", "sparse_categorical_accuracy":
         "accuracy", "categorical_accuracy": "accuracy", "binary_accuracy": "accuracy"}
# Words that say how often a value is logged or that it is a mean, first those that are taken before the others.
MEANS, SINGLE = ("epoch", "avg", "mean"), ("step", "batch", "iter", "iteration")
RATES = ("learning_rate", "lr", "epoch_learning_rate", "epoch_lr", "train_lr", "lr_adam", "lr_sgd")
WORD = re.compile(r"[^A-Za-z0-9]+")
# What people call our columns in tables of their own; the metrics' names are made of PARTS and KINDS.
CUSTOMARY = {"global_batch": ("batch", "bs", "batch_size", "batchsize", "global_batch_size", "total_batch_size"),
             "peak_learning_rate": RATES, "seed": ("random_seed", "rng_seed"),
             "epochs": ("epoch", "num_epochs", "n_epochs"), "optimizer": ("opt", "optim"),
             "model": ("architecture", "arch", "network"), "dataset": ("data",),
             "replicas": ("gpus", "num_gpus", "n_gpus", "ngpus", "devices", "workers", "world_size", "ranks"),
             "train_examples": ("train_size", "num_train", "n_train", "train_samples"),
             "examples_per_second": ("throughput", "images_per_second", "images_per_sec", "images_sec", "img_s",
                                     "samples_per_second", "samples_per_sec", "samples_sec", "examples_per_sec"),
             "step_seconds": ("step_time", "seconds_per_step", "time_per_step")}


def metric_of(name: str) -> str:
    """Return the column of METRICS that a name in a tool's words stands for; "" for any other name.

    >>> metric_of("val_acc"), metric_of("Loss/train"), metric_of("train_loss_step"), metric_of("eval_f1")
    ('validation_accuracy', 'train_loss', 'train_loss', '')
    """
    return _metric_of(name) if len(name) <= LONGEST_TEXT else _metric_of.__wrapped__(name)


@lru_cache(maxsize=4096)  # logs say the same few names in every line
def _metric_of(name: str) -> str:
    words = [word for word in WORD.split(name.lower()) if word and word not in (*MEANS, *SINGLE)]
    parts = [PARTS[word] for word in words if word in PARTS]
    kind = KINDS.get("_".join(word for word in words if word not in PARTS), "")
    return f"{parts[0] if parts else 'train'}_{kind}" if kind and len(parts) <= 1 else ""


def is_of_one_batch(name: str) -> bool:
    """Return whether a name says that the value is of a single batch, not of an epoch."""
    return not {*WORD.split(name.lower())}.isdisjoint(SINGLE)


def chosen(names: Iterable[str], given: Mapping[str, str]) -> dict[str, str]:
    """Return for each column of METRICS the tool's name that fills it; `given` (column -> name) goes before all.

    Of several names for one column that of whole epochs is taken before that of single batches, then the shorter one.
    """
    found = {column: name for column, name in given.items() if column in METRICS}
    listed = sorted(names, key=lambda name: (is_of_one_batch(name), "epoch" not in name.lower(), len(name), name))
    for name in listed:
        column = metric_of(name)
        if column and name not in found.values():
            found.setdefault(column, name)
    return {column: name for column, name in found.items() if name in listed}


def customary(names: Iterable[str]) -> dict[str, str]:
    """Return our column -> the name in a table of one's own that means it by what people write. A guess to be shown,
    never one to be followed: of one accuracy without a word about the part, only its owner knows that it is the test's.

    >>> customary(["batch_size", "acc", "lr", "who"])
    {'global_batch': 'batch_size', 'test_accuracy': 'acc', 'peak_learning_rate': 'lr'}
    """
    found: dict[str, str] = {}
    for name in names:
        words = "_".join(word for word in WORD.split(name.lower()) if word)
        metric = metric_of(name) if words.startswith("train") else metric_of(name).replace("train_", "test_")
        column = next((column for column, meant in CUSTOMARY.items() if words in meant), metric)
        if column:
            found.setdefault(column, name)
    return found
