"""When a run evaluates: at powers of two in the first epoch, and at the end of every epoch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from ..config.fields import RunFields
from .rules import SHARED_RULE

Config = TypeVar("Config", bound=RunFields)


@dataclass(frozen=True)
class Phase:
    """Training at one global batch; a run has several only where batches follow one another on the same weights.

    `last`: the examples of an epoch's last step where those are fewer than a batch, else 0; `stops_after`: epochs after
    which the run ends, where its schedule goes on; else 0.
    """

    index: int
    global_batch: int
    steps_per_epoch: int
    epochs: int
    last: int = 0
    stops_after: int = 0

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole phase, those of its schedule."""
        return self.epochs * self.steps_per_epoch

    @property
    def end(self) -> int:
        """Optimizer steps that are taken."""
        return (self.stops_after or self.epochs) * self.steps_per_epoch

    @property
    def examples_per_epoch(self) -> int:
        """Examples that an epoch trains on."""
        return self.steps_per_epoch * self.global_batch - (self.global_batch - self.last if self.last else 0)

    def examples_after(self, step: int) -> int:
        """Return the examples trained on in the first `step` steps.

        >>> Phase(0, global_batch=4, steps_per_epoch=3, epochs=2, last=2).examples_after(4)
        14
        """
        epochs, steps = divmod(step, self.steps_per_epoch)
        return epochs * self.examples_per_epoch + steps * self.global_batch

    def last_of(self, stop: int) -> int:
        """Return the examples of the step before `stop` where it is an epoch's last, smaller one, else 0."""
        return self.last if stop % self.steps_per_epoch == 0 else 0


def phases(config: RunFields) -> list[Phase]:
    """Return the phases of a run in order.

    An adaptive run (adascale) has one, with as many epochs as there can be; it may end inside any of them.
    """
    if config.adapts:
        most = -(-config.steps // config.steps_per_epoch)
        return [Phase(0, config.global_batch, config.steps_per_epoch, most)]
    return [Phase(i, batch, config.epoch_steps(batch), config.epochs, config.left_over(batch), config.stops_after)
            for i, batch in enumerate(config.batches)]


def first_phase(config: Config) -> Config:
    """Return the configuration of the run that ends with this one's first phase, less what changes no weight."""
    rule = SHARED_RULE if config.earlier_batches else config.rule
    return replace(config, global_batch=config.batches[0], earlier_batches=(), rule=rule, noise_batches=(),
                   sharpness_examples=0)


def begun_by(config: Config) -> Config:
    """Return what all runs share that are the same training up to where the shorter of them end."""
    return replace(config, stops_after=0, sharpness_examples=0)


def evaluation_steps(steps_per_epoch: int, epochs: int) -> list[int]:
    """Return the steps after which to evaluate, ascending and distinct: all epoch ends, and in the first epoch powers
    of two, the first of them at most a sixty-fourth of it.

    Later epochs lie denser than powers of two do, earlier weights have hardly moved, and an evaluation costs what many
    steps do. Powers further apart would not do: losses early in training are read between them.

    >>> evaluation_steps(6, 2)
    [1, 2, 4, 6, 12]
    >>> evaluation_steps(1500, 2)
    [16, 32, 64, 128, 256, 512, 1024, 1500, 3000]
    """
    first = max(0, (steps_per_epoch // 64).bit_length() - 1)
    powers = {1 << k for k in range(first, steps_per_epoch.bit_length())}
    return sorted(powers | {steps_per_epoch * epoch for epoch in range(1, epochs + 1)})


def segments(phase: Phase) -> list[tuple[int, int]]:
    """Return the (start, stop) step ranges in which nothing but training happens; none crosses the end of an epoch."""
    stops = evaluation_steps(phase.steps_per_epoch, phase.stops_after or phase.epochs)
    return list(zip([0, *stops[:-1]], stops))
