"""Which batches are timed where a plan times only those that accuracy keeps."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import structs

from ....benchmarks.planning import keys
from ....benchmarks.planning.derived_keys import TRAINING, waiting_for_accuracy
from ....benchmarks.text import listed
from ...tables.results import planned, planned_names, Results
from .judged import Looks, NOT_WORSE, SAME

UNSAID = {field.name: field.default for field in structs.fields(keys.Experiment) if field.name in TRAINING}


def given_up(looks: Sequence[Looks], experiments: Collection[str]) -> frozenset[int] | None:
    """Return the global batches that these accuracy experiments train and keep under no rule; None while any of them is
    not decided."""
    own = [one for one in looks if one.experiment in experiments]
    if len(own) < len(experiments) or any(one.open for one in own):
        return None
    judged = [one for each in own for one in each.judged]
    return frozenset(one.global_batch for one in judged) - {one.global_batch for one in judged
                                                            if one.answer in (NOT_WORSE, SAME)}


def is_timed(looks: Sequence[Looks], experiments: Collection[str], global_batch: int) -> bool:
    """Return whether a batch is timed by now: once those experiments are decided, if they keep it, or do not train
    it."""
    found = given_up(looks, experiments)
    return found is not None and global_batch not in found


def of_plan(results: Results) -> dict[str, tuple[str, ...]]:
    """Return the timing experiments of the plan that wait, and what for."""
    return waiting_for_accuracy([{**UNSAID, **planned(results.plan, name)} for name in planned_names(results.plan)])


def sentences(results: Results, looks: Sequence[Looks]) -> list[str]:
    """Return a sentence for each experiment of which batches are not timed, or not yet."""
    said = []
    for name, others in of_plan(results).items():
        found = given_up(looks, others)
        if found is None:
            said.append(f"{name}: timed once {listed(others)} {'is' if len(others) == 1 else 'are'} decided.")
        elif batches := sorted(found.intersection(_batches(results, name))):
            said.append(f"{name}: not timed, since accuracy keeps none of them: batch "
                        f"{listed(f'{batch:,}' for batch in batches)}.")
    return said


def _batches(results: Results, experiment: str) -> list[int]:
    return [batch for batch in planned(results.plan, experiment).get("global_batches", ()) if isinstance(batch, int)]
