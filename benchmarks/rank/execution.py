"""One run, read top to bottom: reset, check, train in segments, evaluate, record."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import tensorflow as tf

from ..data.order import epoch_order
from ..records.schema import SCHEMA_VERSION, finite
from ..runs.derived import derived, instabilities
from ..runs.run_config import RunConfig, to_json
from ..schedules import phases
from ..schedules.rates import rates
from . import agreement
from .checkpoint import Checkpoint, Checkpoints
from .continuation import Ended
from .evaluation import memory
from .meters import step_parts
from .meters.memory import MemoryMeter
from .meters.stopwatch import Stopwatch
from .recorder import Interrupted, Measured
from .session import Examples, Session
from .training.program import advance, Program

MOST_WINDOW_STEPS = 100_000
STRETCH_SECONDS = 20.0  # of training, after which ranks ask each other whether to stop


@dataclass
class Execution:
    """One run in progress on this rank."""

    config: RunConfig
    session: Session
    write_step: Callable[[dict[str, Any]], None]
    checkpoints: Checkpoints
    earlier: Ended | None = None
    variables: list[Any] = field(default_factory=list)
    measured: Measured = field(default_factory=Measured)
    resumed: list[dict[str, Any]] = field(default_factory=list)
    stretch_steps: int = MOST_WINDOW_STEPS
    ordered: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        self.watch = Stopwatch(self.session.watchdog.progress)

    def record(self, run_id: str, attempt: int, workload: dict[str, Any]) -> dict[str, Any]:
        """Do the run. The record is complete on rank 0; the others only take part. Raises RanksDisagree."""
        config, strategy, watch = self.config, self.session.strategy, self.watch
        agreement.check_size(strategy, config)
        with watch.activity("data"):
            examples = self.session.examples(config)
        with watch.activity("build"):
            program = self.session.program(config, examples)
            program.reset(config.seed)
            self.variables = program.variables
        with watch.activity("evaluate"):
            agreement.check_weights(strategy, program.variables, "after the broadcast")
            agreement.check_shards(strategy, config)
        self._measure(program, examples)
        return finite({
            "schema_version": SCHEMA_VERSION, "run_id": run_id, "status": self.measured.status, "attempt": attempt,
            "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"), "config": to_json(config),
            "derived": {**derived(config), "ghost_batch": program.ghost_batch(config)}, "workload": workload,
            "environment": {**self.session.environment(), "input": examples.feed.kind},
            "agreement": {"size_expected": self.session.size_expected, "size": strategy.size,
                          "replicas": strategy.replicas, "equal_after_broadcast": True,
                          "shards_disjoint_and_complete": True,
                          "equal_at_evaluations": self.measured.equal_evaluations},
            "evaluations": self.measured.evaluations, "windows": self._everyones(self.measured.windows),
            "own_windows": self._everyones(self.measured.own_windows),
            "input_windows": self._everyones(self.measured.input_windows),
            "synthetic_windows": self._everyones(self.measured.synthetic_windows),
            "energy": self._everyones(self.measured.energy), "gpus": self._everyones(self.measured.gpus),
            "gradient_norms": self.measured.gradient_norms, "sharpness": self.measured.sharpness,
            "memory": self.measured.memory,
            "timing": {**watch.timing(), **self.session.start_seconds()},
            "continues": self.earlier.run_id if self.earlier else "", "resumed": self.resumed,
            "warnings": [*derived(config)["flags"], *program.notes(config),
                         *instabilities(config, self.measured.sharpness), *filter(None, [self.checkpoints.problem])],
        })

    def _measure(self, program: Program, examples: Examples) -> None:
        meter = MemoryMeter(list(self.session.devices))
        meter.start()
        if self.config.kind == "accuracy":
            self._train_and_evaluate(program, examples)
        elif self.config.kind == "throughput":
            self._time_windows(program, examples)
        else:
            self._set_order(examples, 0, 0)
            self._advance(program, examples, self.config.global_batch, self._rates(self.config.steps),
                          0, 0, self.config.memory_steps, steady=False)
        self.measured.memory = {**meter.read(), "device_capacity_bytes": self.session.gpus.capacity_bytes()}

    def _train_and_evaluate(self, program: Program, examples: Examples) -> None:
        begun = self._begun(program)
        for phase in phases.phases(self.config):
            if begun and phase.index < begun.phase:
                continue
            if self.earlier and phase.index == 0:
                self._continue(program, self.earlier)
                continue
            self._train_phase(program, examples, phase, begun if begun and phase.index == begun.phase else None)
            if self.measured.status != "completed":
                return
        if self.config.sharpness_examples:
            with self.watch.activity("probe"):
                self.measured.sharpness += [examples.sharpness.row(program, self.config, self.measured.evaluations[-1])]

    def _train_phase(self, program: Program, examples: Examples, phase: phases.Phase,
                     begun: Checkpoint | None) -> None:
        step_rates, first, seconds = self._rates(phase.steps), 0, 0.0
        self._trace(program, examples, phase.global_batch, step_rates)
        program.reset_optimizer()  # a later phase compiles again, which makes a new optimizer
        if begun:
            first, seconds = begun.step, begun.train_seconds
            begun.restore(program.state, self.session.strategy)
            agreement.check_weights(self.session.strategy, program.state, f"after the checkpoint of step {first}")
        for start, stop in phases.segments(phase):
            if stop > first:
                seconds = self._train_segment(program, examples, phase, step_rates, max(start, first), stop, seconds)
                self._evaluate(program, examples, phase, program.steps_done(stop), seconds)
                if self.measured.status != "completed" or program.finished:
                    return
                self._agree_to_go_on(program, phase, stop, seconds, at_epoch_end=stop % phase.steps_per_epoch == 0)

    def _train_segment(self, program: Program, examples: Examples, phase: phases.Phase, step_rates: Any, start: int,
                       stop: int, seconds: float) -> float:
        """Steps [start, stop) in stretches short enough to stop in between. Returns the phase's train seconds."""
        epoch = start // phase.steps_per_epoch
        if self.ordered != (place := (phase.index, epoch)):
            self._set_order(examples, phase.index * phase.epochs + epoch, epoch * phase.steps_per_epoch)
            self.ordered = place
        while start < stop and not program.finished:
            until = min(stop, start + self.stretch_steps)
            seconds += self._advance(program, examples, phase.global_batch, step_rates, phase.index, start, until)
            start = until
            if start < stop and not program.finished:
                self._agree_to_go_on(program, phase, start, seconds)
        return seconds

    def _begun(self, program: Program) -> Checkpoint | None:
        """Where an earlier attempt left off; what it measured is taken over."""
        shapes = [tuple(variable.shape) for variable in program.state]
        found = self.checkpoints.agreed(self.session.strategy, shapes)
        if found is None or (self.earlier and found.phase == 0):
            return None
        for name, values in found.measured.items():
            setattr(self.measured, name, values)
        for row in self.measured.evaluations:
            self.write_step(row)
        self.resumed = [*found.resumed, found.place]
        return found

    def _agree_to_go_on(self, program: Program, phase: phases.Phase, step: int, seconds: float,
                        at_epoch_end: bool = False) -> None:
        """All ranks stop when one is asked to; the state is kept then, and at epoch ends when it is time."""
        last = self.measured.windows[-1]
        own = (self.session.interrupted(), last["seconds"] / last["steps"], at_epoch_end and self.checkpoints.due())
        told = self.session.strategy.gather(own)
        asked = [reason for reason, _, _ in told if reason]
        self.stretch_steps = max(1, int(STRETCH_SECONDS / max(1e-9, *(pace for _, pace, _ in told))))
        if step == phase.steps:
            return  # what is done is worth more than a few seconds; a phase that follows asks for itself
        if asked or told[0][2]:
            self._save(program, phase, step, seconds)
        if asked:
            raise Interrupted(asked[0])

    def _save(self, program: Program, phase: phases.Phase, step: int, seconds: float) -> None:
        with self.watch.activity("evaluate"):
            program.settle()
            kept = {"evaluations": self.measured.evaluations, "windows": self._everyones(self.measured.windows),
                    "gradient_norms": self.measured.gradient_norms,
                    "equal_evaluations": self.measured.equal_evaluations}
            if self.session.strategy.rank == 0:
                state = Checkpoint(self.checkpoints.name, phase.index, step, seconds, kept, self.resumed)
                self.checkpoints.save(state, program.state)
            self.session.strategy.barrier()  # a launcher ends all ranks once one has left

    def _continue(self, program: Program, earlier: Ended) -> None:
        earlier.restore(program.variables, self.session.strategy)
        self.measured.evaluations += earlier.evaluations
        for row in earlier.evaluations:
            self.write_step(row)

    def _evaluate(self, program: Program, examples: Examples, phase: phases.Phase, step: int,
                  seconds: float) -> None:
        with self.watch.activity("evaluate"):
            program.settle()
            agreement.check_weights(self.session.strategy, program.variables, f"after step {step}")
            metrics = examples.evaluation.metrics(program)
        self.measured.equal_evaluations += 1
        row = {"phase": phase.index, "global_batch": phase.global_batch, "step": step,
               "epoch": step / phase.steps_per_epoch, "examples": step * phase.global_batch,
               "train_seconds": seconds, **program.scaling(), **metrics,
               **(program.gains.row() if program.gains else {})}
        self.measured.evaluations.append(row)
        self.write_step(row)
        if memory.diverged(metrics):
            self.measured.status = "diverged"
        elif self.config.noise_batches:
            with self.watch.activity("probe"), program.keeping_statistics():
                norms = examples.probe.rows(program, self.config.noise_batches, self.config.seed, step)
            self.measured.gradient_norms += [{"phase": phase.index, "step": step, **row} for row in norms]

    def _time_windows(self, program: Program, examples: Examples) -> None:
        """Warm-up apart; then windows whose step count rank 0 fixes from the warm-up's second half."""
        config, batch, warmup = self.config, self.config.global_batch, max(2, self.config.warmup_steps)
        step_rates = self._rates(1)
        self._set_order(examples, 0, 0)
        self._trace(program, examples, batch, step_rates)
        self._advance(program, examples, batch, step_rates, 0, 0, warmup // 2, steady=False)
        seconds = self._advance(program, examples, batch, step_rates, 0, warmup // 2, warmup, steady=False)
        wanted = math.ceil(config.window_seconds * (warmup - warmup // 2) / max(seconds, 1e-6))
        steps = self.session.strategy.broadcast(min(max(1, wanted), MOST_WINDOW_STEPS))
        before = self.session.gpus.energy_millijoules()
        for window in range(config.windows):
            start = warmup + window * steps
            self._advance(program, examples, batch, step_rates, 0, start, start + steps)
            self.measured.gpus += [{"rank": self.session.strategy.rank, "window": window, **reading}
                                   for reading in self.session.gpus.readings()]
            self._stop_if_asked()
        if before:
            self.measured.energy.append({
                "rank": self.session.strategy.rank, "start_millijoules": before,
                "end_millijoules": self.session.gpus.energy_millijoules(), "examples": config.windows * steps * batch})
        with self.watch.activity("evaluate"):
            program.settle()
            agreement.check_weights(self.session.strategy, program.variables, "after the timed windows")
        self.measured.equal_evaluations += 1
        with self.watch.activity("probe"):
            apart = step_parts.measure(program, examples.feed, config, step_rates, steps)
        self.measured.input_windows, self.measured.synthetic_windows, self.measured.own_windows = apart

    def _rates(self, steps: int) -> Any:
        return tf.constant(rates(self.config, steps))

    def _set_order(self, examples: Examples, epoch: int, base: int) -> None:
        with self.watch.activity("data"):
            config = self.config
            order = epoch_order(config.seed, epoch, config.train_examples, config.global_batch)
            examples.feed.set_order(order, base, (config.seed, epoch))

    def _trace(self, program: Program, examples: Examples, batch: int, step_rates: Any) -> None:
        """A call of no steps traces and optimises the graph without touching the weights."""
        with self.watch.activity("trace"):
            examples.feed.set_order(epoch_order(self.config.seed, 0, self.config.train_examples), 0)
            loop = program.loop(batch, examples.feed.layout(batch))
            for part in examples.feed.parts(0, 1, batch):
                advance(loop, [(*part[:3], 0, 0, 0)], step_rates)

    def _advance(self, program: Program, examples: Examples, batch: int, step_rates: Any, phase: int, start: int,
                 stop: int, steady: bool = True) -> float:
        """Train steps [start, stop) between two synchronisations, as one window. Returns its seconds."""
        loop = program.loop(batch, examples.feed.layout(batch))
        self.session.strategy.barrier()
        before = self.watch.seconds["train"]
        with self.watch.activity("train"):
            advance(loop, examples.feed.parts(start, stop, batch), step_rates)
        seconds = self.watch.seconds["train"] - before
        self.measured.windows.append({"rank": self.session.strategy.rank, "phase": phase, "start_step": start,
                                      "steps": program.steps_done(stop) - start, "seconds": seconds, "steady": steady})
        return seconds

    def _everyones(self, own: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [row for rows in self.session.strategy.gather(own) for row in rows]

    def _stop_if_asked(self) -> None:
        asked = [reason for reason in self.session.strategy.gather(self.session.interrupted()) if reason]
        if asked:
            raise Interrupted(asked[0])


def step_writer(attempt: Path, rank: int) -> Callable[[dict[str, Any]], None]:
    """Appends evaluations to steps.jsonl as they happen, on rank 0."""
    def write(row: dict[str, Any]) -> None:
        if rank == 0:
            with open(attempt / "steps.jsonl", "a") as file:
                file.write(json.dumps(finite(row)) + "\n")
    return write
