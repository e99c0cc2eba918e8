"""What a prediction consists of: one replica count at one batch, and the laws behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from msgspec import to_builtins

from ..formatting import what_ran
from ..laws.public.nodes import NodesRule
from ..laws.public.curves import Rule
from ..statistics.estimate import Estimate
from ..statistics.held_out import HeldOutError


@dataclass(frozen=True)
class Prediction:
    """One replica count at one batch. `synchronization`: as measured, or the collective reckoned from a network.
    `measured`: examples/s of the launches at this point, unknown where there were none; `efficiency` is against
    `baseline` replicas by the same laws, whose error is in its interval; steps, seconds and costs are of one training
    to the target, of experiment `trained`, unknown where none was trained; `money_per_million` is of a million
    examples. `refusal`: why there is no prediction here, "" where there is one; `public_curves`: whether it rests on
    them too."""

    replicas: int
    nodes: int
    scaling: str
    global_batch: int
    replica_batch: float
    synchronization: str
    step_seconds: Estimate
    examples_per_second: Estimate
    measured: Estimate
    baseline: int
    efficiency: Estimate
    trained: str
    steps: Estimate
    seconds_to_target: Estimate
    device_hours: Estimate
    money: Estimate
    money_per_million: Estimate
    warnings: tuple[str, ...]
    refusal: str = ""
    public_curves: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object, estimates with their intervals."""
        return {name: value.to_json() if isinstance(value, Estimate) else value for name, value in vars(self).items()}


@dataclass(frozen=True)
class Forecast:
    """One model on one strategy. `held_out`: at the most replicas measured, predicted from fewer; `unchecked`: why
    there is none; `laws` are those that the times cannot tell apart; `note` says why there is no prediction, or what
    it takes for granted; `rules`: what public curves say of some of the counts, each with its own error, and `public`
    says so in sentences."""

    model: str
    optimizer: str
    strategy: str
    laws: tuple[str, ...]
    measured: tuple[int, ...]
    predictions: tuple[Prediction, ...]
    held_out: tuple[HeldOutError, ...]
    unchecked: str
    note: str
    rules: tuple[Rule | NodesRule, ...] = ()
    public: str = ""

    @property
    def predicted(self) -> tuple[Prediction, ...]:
        """Predictions that were not refused."""
        return tuple(one for one in self.predictions if not one.refusal)

    @property
    def name(self) -> str:
        """Optimizer, model and strategy in words."""
        return what_ran(self.optimizer, self.model, self.strategy)

    def to_json(self) -> dict[str, Any]:
        """Return the names, laws, held-out errors in seconds and all predictions as a JSON object."""
        errors = [{"replica_batch": one.size, "measured_seconds": one.measured.to_json(),
                   "predicted_seconds": one.predicted.to_json(), "relative_error": one.relative_error.to_json(),
                   "within_interval": one.within} for one in self.held_out]
        return {"model": self.model, "optimizer": self.optimizer, "strategy": self.strategy, "laws": list(self.laws),
                "measured_replicas": list(self.measured), "note": self.note, "held_out": errors,
                "not_held_out": self.unchecked, "public_curves": [to_builtins(rule) for rule in self.rules],
                "predictions": [one.to_json() for one in self.predictions]}
