"""What an audit concludes from what the processes saw: every fault by its name, and nothing of a sound training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from batchscale.benchmarks.rank.audit.facts import Facts
from batchscale.launchers.audit import alone, together
from batchscale.launchers.audit.finding import FAULT, Finding, Seen
from batchscale.launchers.audit.processes import facts_line

STEP, ORDER = np.array([0.3, -0.2, 0.5]), np.arange(512, dtype=np.uint64)
ALONE: dict[str, Any] = {
    "optimizer": "SGD", "learning_rate": 0.1, "rates": (0.1, 0.1), "batch": 32, "examples": 512, "seen": 512,
    "epochs": 2, "loss": "sparse_categorical_crossentropy", "from_logits": True, "probabilities": False,
    "ending": "", "classes": 10, "sparse": True, "label_low": 0.0, "label_high": 9.0, "same_order": False,
    "losses": (2.3, 2.2), "step_metrics": {"loss": 2.3, "accuracy": 0.1}}
RANK = {**ALONE, "size": 2, "strategy": "horovod", "replicas": 2, "learning_rate": 0.2, "rates": (0.2, 0.2),
        "examples": 256, "seen": 256}


def lone(**changes: Any) -> Seen:
    return Seen(Facts(**{**ALONE, **changes}), {"order": ORDER, "step": STEP})


def of_two(arrays: tuple[dict[str, Any], dict[str, Any]] = ({}, {}), **changes: Any) -> Seen:
    """Two ranks that train rightly, with changes of their arrays and of both ranks' facts."""
    ranks = tuple((Facts(**{**RANK, "rank": rank, **changes}),
                   {"order": ORDER[rank::2], "step": STEP, "weights": STEP, **arrays[rank]}) for rank in (0, 1))
    return Seen(Facts(**ALONE), {"order": ORDER, "step": STEP}, ranks)


def found(seen: Seen) -> list[Finding]:
    return [*alone.findings(seen), *together.findings(seen)]


@pytest.mark.parametrize(("changes", "name"), [
    ({"ending": "softmax", "probabilities": True}, "softmax-twice"),
    ({"from_logits": False}, "logits-as-probabilities"),
    ({"label_high": 10.0}, "labels-out-of-range"), ({"label_low": -1.0}, "labels-out-of-range"),
    ({"bad_inputs": 3, "first_bad": 17}, "non-finite-data"),
    ({"bad_step": 2, "losses": (1.0, 1e9, None)}, "non-finite-step"),
    ({"validation_examples": 100, "shared": 40}, "validation-is-trained-on"),
    ({"same_order": True, "arrays": True}, "same-order-every-epoch"), ({"seen": 256}, "examples-left-out"),
    ({"examples": 500, "seen": 500}, "last-batch-smaller"), ({"accumulation": 3}, "accumulation-over-the-epoch")])
def test_a_fault_of_the_script_alone_is_named(changes: dict[str, Any], name: str) -> None:
    assert [one.name for one in found(lone(**changes))] == [name]


OTHER = np.array([-0.1, 0.4, 0.5])


@pytest.mark.parametrize(("arrays", "changes", "name"), [
    (({}, {"step": OTHER, "weights": OTHER}), {}, "gradients-not-averaged"),
    (({}, {"weights": OTHER}), {}, "weights-not-broadcast"),
    (({"step": 2 * STEP}, {"step": 2 * STEP}), {}, "gradient-summed"),
    (({"step": STEP / 2}, {"step": STEP / 2}), {}, "gradient-averaged-twice"),
    (({"step": OTHER}, {"step": OTHER}), {}, "gradient-is-another"),
    (({"order": ORDER}, {"order": ORDER}), {"seen": 512}, "same-examples-on-all-ranks"),
    (({"order": ORDER}, {"order": ORDER[::-1]}), {"seen": 512}, "an-epoch-on-every-rank"),
    (({"order": ORDER[:384]}, {"order": ORDER[128:]}), {"seen": 384}, "shards-overlap"),
    (({"order": ORDER[:200]}, {"order": ORDER[256:]}), {}, "shards-incomplete"),
    (({}, {}), {"learning_rate": 0.4, "rates": (0.4,)}, "rate-scaled-twice"),
    (({}, {}), {"learning_rate": 0.2, "rates": (0.2, 0.4)}, "rate-scaled-twice"),
    (({}, {}), {"learning_rate": 0.1, "rates": (0.1,)}, "rate-not-scaled"),
    (({}, {}), {"step_metrics": {"loss": 2.3, "accuracy": 0.2}}, "metric-summed")])
def test_a_fault_of_several_ranks_is_named(arrays: tuple[dict[str, Any], dict[str, Any]], changes: dict[str, Any],
                                           name: str) -> None:
    assert [one.name for one in found(of_two(arrays, **changes))] == [name]


def test_a_model_built_outside_of_its_strategy_trains_on_one_replica() -> None:
    seen = Seen(Facts(**ALONE), {}, ((Facts(**ALONE), {}),))
    assert [one.name for one in found(seen)] == ["one-replica"]


def test_batch_normalization_by_replica_is_a_note() -> None:
    seen = of_two(({"step": OTHER}, {"step": OTHER}))
    seen = Seen(Facts(**{**ALONE, "normalizes": True}), seen.arrays, seen.ranks)
    (one,) = found(seen)
    assert one.name == "batch-norm-per-replica" and one.kind != FAULT


def test_sound_trainings_raise_no_alarm() -> None:
    assert found(lone()) == [] and found(of_two()) == []
    assert found(lone(from_logits=False, probabilities=True, ending="softmax")) == []
    assert found(lone(loss="mean_squared_error", from_logits=None, sparse=False, classes=1, label_low=-3.5,
                      label_high=80.0)) == []
    root = of_two(learning_rate=0.1414, rates=(0.1414,))
    assert found(root) == []


def test_every_finding_says_what_how_the_effect_and_the_fix() -> None:
    every = [*found(lone(from_logits=False, same_order=True, seen=256, label_low=-1.0)),
             *found(of_two(({}, {"step": OTHER}), learning_rate=0.4))]
    assert len(every) == 6
    assert all(len(text) > 20 for one in every for text in (one.what, one.seen, one.effect, one.fix))


def test_the_batch_of_all_replicas_is_said() -> None:
    assert facts_line(of_two()).startswith("2 replicas by horovod: global batch 64, of each replica 32; 512 examples")
    assert facts_line(lone(accumulation=4)).startswith("one replica: global batch 32, of each replica 32, 4 of which")
