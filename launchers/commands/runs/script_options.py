"""The options by which a Keras script is run as it is, in place of a plan's keys."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from contextlib import suppress
from typing import Any

from ...local.scripts import Words

KEYS_OF_SCRIPT = {  # option -> key of an experiment, whether it may be several values, and what it means
    "--batches": ("global_batches", True, "global batches to compare, e.g. 32,128,512 (default: 1, 4 and 16 times the "
                                          "script's)"),
    "--rules": ("rules", True, "learning-rate rules, e.g. constant,linear,sqrt (default: constant)"),
    "--seeds": ("seeds", False, "runs per point"),
    "--epochs": ("epochs", False, "epochs of a run (default: the script's)"),
    "--optimizer": ("optimizer", False, "in place of the script's, e.g. adam or keras:Lion"),
    "--learning-rate": ("learning_rate", False, "at the reference batch (default: the script's)"),
    "--strategies": ("strategies", True, "how replicas train together, e.g. single or horovod"),
    "--replicas": ("replicas", True, "numbers of replicas"),
    "--fit": ("fit", False, "which call of fit is taken, from 1; earlier ones train as they stand"),
}


def add_script(parser: ArgumentParser) -> None:
    """Add the options that a script takes in place of a plan's keys."""
    group = parser.add_argument_group("with a script, train.py, in place of PLAN")
    for option, (key, _, meaning) in KEYS_OF_SCRIPT.items():
        group.add_argument(option, dest=f"script_{key}", metavar="X", help=meaning)
    group.add_argument("--arg", action="append", default=[], metavar="WORD", help="of the script's own command line, "
                       "repeated: --arg=--width --arg=64")


def script_words(arguments: Namespace) -> Words:
    """Return what the options say of a script, as keys of an experiment and as words that say it again."""
    keys: dict[str, Any] = {}
    words: list[str] = []
    for option, (key, several, _) in KEYS_OF_SCRIPT.items():
        if (text := getattr(arguments, f"script_{key}", None)) is not None:
            parts = [_number(part.strip()) for part in text.split(",")] if several else [_number(text)]
            keys[key] = parts if several else parts[0]
            words += [option, text]
    if arguments.arg:
        keys["script_args"] = arguments.arg
        words += [f"--arg={word}" for word in arguments.arg]
    return Words(keys, words)


def _number(word: str) -> int | float | str:
    for kind in (int, float):
        with suppress(ValueError):
            return kind(word)
    return word
