"""Sentences for values that are not known, and what is kept of a user's errors."""

from __future__ import annotations

import re

import pytest

from batchscale.benchmarks.config.optimizers import not_known, OPTIMIZERS
from batchscale.benchmarks.errors import frames, one_of, PlanError, said
from batchscale.benchmarks.planning.keys import experiment, Experiment
from batchscale.benchmarks.schedules.decays import DECAYS

KEYS = Experiment.__struct_fields__


@pytest.mark.parametrize(("value", "choices", "hint"), [
    ("AdamW", tuple(OPTIMIZERS), "'adamw'"), ("SGD", tuple(OPTIMIZERS), "'sgd'"), ("adma", tuple(OPTIMIZERS), "'adam'"),
    ("batches", KEYS, "'global_batches' or 'noise_batches' or 'replica_batches'"), ("epoch", KEYS, "'epochs'"),
    ("lr", KEYS, "'learning_rate'"), ("lr_schedule", KEYS, "'learning_rate'"),
    ("batch_size", KEYS, "'global_batches' or 'last_batch' or 'noise_batches'"), ("wd", KEYS, "'weight_decay'"),
])
def test_the_nearest_choices_are_suggested(value: str, choices: tuple[str, ...], hint: str) -> None:
    assert one_of("key", value, choices).endswith(f" Did you mean {hint}?")


@pytest.mark.parametrize(("name", "end"), [
    ("rmsprop", "sgd. Keras' RMSprop is 'keras:RMSprop' here. Or give package.module:function."),
    ("Lion", "sgd. Keras' Lion is 'keras:Lion' here. Or give package.module:function."),
    ("AdamW", "Did you mean 'adamw'? Or give one of Keras', such as 'keras:Lion beta_1=0.95', or "
              "package.module:function."),
])
def test_an_optimizer_of_keras_is_named_as_a_plan_has_it(name: str, end: str) -> None:
    assert not_known(name).endswith(end)
    with pytest.raises(PlanError, match=re.escape(end)):
        experiment({"name": "x", "dataset": "digits", "model": "mlp_128", "optimizer": name}, "p.toml")


def test_nothing_is_suggested_where_nothing_is_near_and_an_empty_choice_can_be_seen() -> None:
    sentence = one_of("decay", "xyzzy", DECAYS)
    assert "Did you mean" not in sentence and "choose one of: none (empty), cosine" in sentence


def test_of_very_many_choices_the_most_alike_are_named_alone() -> None:
    sentence = one_of("key", "learning_rat", KEYS)
    assert sentence.startswith(f"key='learning_rat' is not known; it is one of {len(KEYS)}, such as learning_rate, ")
    assert sentence.endswith(". Did you mean 'learning_rate'?") and len(sentence) < 200
    assert "Did you mean" not in one_of("key", "class_weight", KEYS)


def test_an_error_is_said_whole_on_one_line_without_colours() -> None:
    assert said(ValueError("first\n  \x1b[1msecond\x1b[0m.")) == "raised ValueError: first second"
    assert said(KeyError()) == "raised KeyError: no message"
    assert said(SystemExit(3)) == "ended Python by sys.exit(3)" and said(SystemExit()) == "ended Python by sys.exit()"
    assert said(ValueError("a " * 500 + "end")).endswith("a end")


def test_frames_are_the_users_own_last_ones() -> None:
    def deep(level: int) -> None:
        if not level:
            raise OSError("no disk")
        deep(level - 1)

    with pytest.raises(OSError) as raised:
        deep(9)
    lines = frames(raised.value).splitlines()[1:]
    assert len(lines) == 6 and lines[-1].strip() == 'raise OSError("no disk")'
    assert all(line.startswith(f'  File "{__file__}", line ') for line in lines[::2])
    with pytest.raises(TypeError) as installed:
        pytest.raises(3)  # type: ignore[call-overload]
    assert "site-packages" not in frames(installed.value)
