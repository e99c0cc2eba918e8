"""Experiments that take a script: what of them the script says, and what the plan says beside it.

The script is run up to its `fit` by a process of its own, which tells what is `Taken`; until then an experiment has its
place alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ..config.choices import KEEP, PRECISIONS
from ..config.script import is_script, parse, PREFIX, ScriptCall
from ..data.splitting import split_sizes
from ..decoding import Count, Number
from ..errors import PlanError
from ..schedules.rules import TUNED_RULE

FROM_SCRIPT = ("dataset", "model", "loss", "metrics", "from_logits")
OF_SCRIPT = ("script_args", "fit")
GIVEN = "given"  # the keys that the plan itself has, beside all with their defaults
HELD_OUT = 0.2
STEPS_OF_BATCH = (1, 4, 16)  # the batches tried where a plan names none, times the script's own


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """Sum of what a script gave to its fit, without arrays."""

    train_examples: Annotated[Count, Meta(description="examples that fit would train on")]
    test_examples: Annotated[Count, Meta(description="examples by which it would validate, or that are held out")]
    epochs: Annotated[Count, Meta(description="epochs of fit")]
    batch_size: Annotated[Count, Meta(description="examples of a step of fit")]
    optimizer: Annotated[str, Meta(description="the optimizer as a plan names it")]
    momentum: Annotated[Number, Meta(description="of the optimizers that have one")]
    learning_rate: Annotated[Number, Meta(description="rate of the optimizer, the highest of a schedule")]
    loss: Annotated[str, Meta(description="the losses of compile, by name")]
    metrics: Annotated[tuple[str, ...], Meta(description="metrics of compile that are means over examples")]
    precision: Annotated[str, Meta(description="Keras' dtype policy where fit was called")]
    published_way: Annotated[bool, Meta(description="whether fit stands in a loop that does not build the model anew")]
    notes: Annotated[tuple[str, ...], Meta(description="what is not taken over, in sentences")]


def named(experiment: Any, where: str) -> Any:
    """Return a table [[experiment]] with data, model and loss named by its script; as it is without a script.

    Raises PlanError for keys that the script says itself, and for those of a script where there is none."""
    if not isinstance(experiment, Mapping):
        return experiment
    if not experiment.get("script"):
        for name in OF_SCRIPT:
            if name in experiment:
                raise PlanError(f"{where}: {name} belongs to a script; give script = \"train.py\", or leave it out.")
        return experiment
    for name in FROM_SCRIPT:
        if name in experiment:
            raise PlanError(f"{where}: {name} is what the script {experiment['script']} gives to compile and fit; "
                            f"leave {name} out, or give dataset and model in place of script.")
    if experiment.get("fit", 1) == 0:
        raise PlanError(f"{where}: fit = 0 is no call of fit; the first one is 1.")
    reference = PREFIX + str(experiment["script"])
    return {**experiment, "dataset": reference, "model": reference, "loss": PREFIX, "metrics": []}


def with_given(experiment: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a checked experiment with the script's command line in its names, and the keys that the plan has."""
    if not experiment["script"]:
        return experiment
    reference = ScriptCall(experiment["script"], experiment["script_args"], experiment["fit"]).reference
    return {**experiment, "dataset": reference, "model": reference, GIVEN: tuple(given)}


def calls(experiments: tuple[Mapping[str, Any], ...]) -> dict[str, ScriptCall]:
    """Return the scripts of experiments, by their texts, each once."""
    return {e["model"]: parse(e["model"]) for e in experiments if is_script(e["model"])}


def resolved(experiment: Mapping[str, Any], taken: Taken) -> dict[str, Any]:
    """Return the experiment as it is run: what the script gave, where the plan says nothing else. Raises PlanError."""
    given = experiment[GIVEN]
    found = dict(experiment)
    if "validation_fraction" not in given:  # the script's validation data test; all else trains
        found["validation_fraction"] = HELD_OUT if TUNED_RULE in experiment["rules"] else 0.0
    examples = split_sizes(taken.train_examples, found["validation_fraction"])[0]
    found |= {"train_examples": examples, "loss": PREFIX + taken.loss, "metrics": taken.metrics,
              "precision": _precision(experiment, taken)}
    if "last_batch" not in given and found["kind"] == "accuracy":  # as fit does
        found["last_batch"] = KEEP
    if "epochs" not in given:
        found["epochs"] = taken.epochs
    if "optimizer" not in given:
        exact = found["precision"] == "float64" and taken.optimizer == "adam"  # Keras rounds Adam's betas to float32
        found |= {"optimizer": "keras:Adam" if exact else taken.optimizer, "momentum": taken.momentum}
        if "learning_rate" not in given:
            found["learning_rate"] = taken.learning_rate
    if not {"global_batches", "replica_batches"} & set(given):
        found["global_batches"] = _batches(taken, examples)
    if "reference_batch" not in given and taken.batch_size in found.get("global_batches", ()):
        found["reference_batch"] = taken.batch_size
    if "as_published" not in given and found["kind"] == "accuracy":
        found["as_published"] = taken.published_way and len(found.get("global_batches", ())) > 1
    return found


def _batches(taken: Taken, examples: int) -> tuple[int, ...]:
    batches = [taken.batch_size * times for times in STEPS_OF_BATCH]
    return tuple(batch for batch in batches if batch <= examples) or (examples,)


def _precision(experiment: Mapping[str, Any], taken: Taken) -> str:
    asked = experiment["precision"] if "precision" in experiment[GIVEN] else taken.precision
    if taken.precision not in PRECISIONS:
        raise PlanError(f"{experiment['script']} sets Keras' dtype policy {taken.precision!r}; a run takes one of "
                        f"{', '.join(PRECISIONS)}.")
    if taken.precision not in ("float32", asked):
        raise PlanError(f"precision = {asked!r}, and {experiment['script']} sets Keras' dtype policy "
                        f"{taken.precision!r} itself; leave precision out.")
    return str(asked)


def notes(experiment: Mapping[str, Any], taken: Taken) -> list[str]:
    """Return what a resolved experiment does otherwise than the script, in sentences that name the script."""
    batches = experiment.get("global_batches", ())
    own_rate = not {"learning_rate", "optimizer"} & set(experiment[GIVEN])
    elsewhere = [rate_elsewhere(taken.batch_size, taken.learning_rate)]
    elsewhere *= own_rate and taken.batch_size not in batches
    return [f"{experiment['script']}: {note}" for note in (*taken.notes, *elsewhere)]


def rate_elsewhere(batch_size: int, rate: float) -> str:
    """Return that a script's rate is taken at another batch than its own, in a sentence."""
    return (f"the batch {batch_size} of fit, to which its learning rate {rate:g} belongs: the rate is taken at the "
            "reference batch as it stands")


def with_notes(settings: Mapping[str, Any], notes: Iterable[str]) -> dict[str, Any]:
    """Return the table [plan] with what is not taken over among what the plan leaves out."""
    return {**settings, "leaves_out": tuple(dict.fromkeys([*settings["leaves_out"], *notes]))}
