"""One run, read top to bottom: reset, check, train in segments, evaluate, record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ..planning.expected_time import EXAMPLE_SECONDS
from ..records.schema import SCHEMA_VERSION, finite
from ..runs.derived import derived, instabilities
from ..runs.run_config import to_json
from ..schedules import phases
from . import agreement
from .checkpoint import Checkpoint, Checkpoints
from .continuation import Ended
from .evaluation import memory
from .gpus import arithmetic
from .in_progress import MOST_WINDOW_STEPS, RunInProgress, Segment
from .recorder import Interrupted
from .timing_run import time_windows
from .training.compiled import NOT_TAKEN

NOTES = "notes"  # in workloads.json: what is not taken over of a script's data, which is told as warnings
OF_DESCRIPTIONS = ("files", "identity", NOTES, EXAMPLE_SECONDS)  # of workloads.json alone
MONITORED = "monitored"  # in a checkpoint: what callbacks of a script saw in the phase, epoch by epoch
STRETCH_SECONDS = 20.0  # of training, after which ranks ask each other whether to stop


@dataclass
class Execution(RunInProgress):
    """One run from its first check to its record."""

    write_step: Callable[[dict[str, Any]], None]
    checkpoints: Checkpoints
    earlier: Ended | None = None
    resumed: list[dict[str, Any]] = field(default_factory=list)
    stretch_steps: int = MOST_WINDOW_STEPS
    ordered: tuple[int, int] | None = None
    followed: list[str] = field(default_factory=list)  # what callbacks of a script did

    @property
    def variables(self) -> list[Any]:
        """The program's variables, weights and statistics."""
        return list(self.program.variables)

    def record(self, run_id: str, attempt: int, workload: dict[str, Any]) -> dict[str, Any]:
        """Do the run. The record is complete on rank 0; the others only take part. Raises RanksDisagree."""
        agreement.check_size(self.strategy, self.config)
        program = self.program
        with self.watch.activity("evaluate"):
            agreement.check_described(self.strategy, self.config, self.session.trained(self.config), workload)
            agreement.check_weights(self.strategy, program.variables, "after the broadcast")
            agreement.check_shards(self.strategy, self.config)
        self._measure()
        return finite({
            "schema_version": SCHEMA_VERSION, "run_id": run_id, "status": self.recorder.status, "attempt": attempt,
            "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"), "config": to_json(self.config),
            "derived": {**derived(self.config), "ghost_batch": program.ghost_batch(self.config),
                        "exchanged_bytes": program.exchange.group_bytes if self.strategy.replicas > 1 else []},
            "workload": {name: value for name, value in workload.items() if name not in OF_DESCRIPTIONS},
            "environment": {**self.session.environment(), "input": self.examples.feed.kind},
            "agreement": self._agreement(), **self.recorder.fields(self.strategy),
            "timing": {**self.watch.timing(), **self.session.start_seconds()},
            "continues": self._continues(), "resumed": self.resumed,
            "warnings": self._warnings(workload.get(NOTES, ())),
        })

    def _continues(self) -> str:
        """The run from whose end this one goes on."""
        shorter = [place["run"] for place in self.resumed if "run" in place]
        return self.earlier.run_id if self.earlier else shorter[-1] if shorter else ""

    def _agreement(self) -> dict[str, Any]:
        return {"size_expected": self.session.size_expected, "size": self.strategy.size,
                "replicas": self.strategy.replicas, "equal_after_broadcast": True,
                "shards_disjoint_and_complete": True, "equal_at_evaluations": self.recorder.equal_evaluations}

    def _warnings(self, of_data: Sequence[str]) -> list[str]:
        sharpness = next(meter.values["sharpness"] for meter in self.recorder.meters if "sharpness" in meter.fields)
        return [*derived(self.config)["flags"], *arithmetic.warnings(self.config),
                *(NOT_TAKEN.format(note=note) for note in of_data),
                *self.program.notes(self.config), *self.followed,
                *instabilities(self.config, sharpness), *filter(None, [self.checkpoints.problem])]

    def _measure(self) -> None:
        for meter in self.recorder.meters:
            meter.begin(self)
        if self.config.kind == "accuracy":
            self._train_and_evaluate()
        elif self.config.kind == "throughput":
            time_windows(self)
        else:
            self.set_order(0, 0)
            self.advance(Segment(self.config.global_batch, 0, 0, self.config.memory_steps, steady=False),
                         self.rates(self.config.steps))
        for meter in self.recorder.meters:
            meter.end(self)

    def _train_and_evaluate(self) -> None:
        begun = self._begun()
        for phase in phases.phases(self.config):
            if begun and phase.index < begun.phase:
                continue
            if self.earlier and phase.index == 0:
                self._continue(self.earlier)
                continue
            self._train_phase(phase, begun if begun and phase.index == begun.phase else None)
            if self.recorder.status != "completed":
                return
        for meter in self.recorder.meters:
            meter.after_training(self)

    def _train_phase(self, phase: phases.Phase, begun: Checkpoint | None) -> None:
        program, step_rates, first, seconds = self.program, self.rates(phase.steps, phase.global_batch), 0, 0.0
        self.trace(phase.global_batch, step_rates, phase.last)
        self.use_once(phase.global_batch, step_rates, phase.last)
        program.reset_optimizer()  # a later phase compiles again, which makes a new optimizer
        if begun:
            first, seconds = begun.step, begun.train_seconds
            begun.restore(program.state, self.strategy)
            agreement.check_weights(self.strategy, program.state, f"after the checkpoint of step {first}")
        if program.monitors:
            program.monitors.begin(self.strategy.broadcast(begun.measured.get(MONITORED, []) if begun else []))
        for start, stop in phases.segments(phase):
            if stop > first:
                scaled = program.monitors.scaled(step_rates) if program.monitors else step_rates
                seconds = self._train_segment(phase, scaled, max(start, first), stop, seconds)
                self.evaluate(phase, program.steps_done(stop), seconds)
                if self.recorder.status != "completed" or program.finished:
                    return
                if self._is_last(phase, stop, seconds):
                    return
                self.agree_to_go_on(phase, stop, seconds, at_epoch_end=stop % phase.steps_per_epoch == 0)
        if phase.stops_after:  # a longer run goes on from here
            self.save(phase, phase.end, seconds)

    def _is_last(self, phase: phases.Phase, step: int, seconds: float) -> bool:
        """Let what follows the epochs see the one that ended; return whether it ends the phase, after weights of an
        earlier epoch were restored and evaluated where it asks for that."""
        monitors = self.program.monitors
        if monitors is None or step % phase.steps_per_epoch:
            return False
        monitors.after_epoch(self.strategy.broadcast(self.evaluations[-1]))
        if not monitors.stopped and step < phase.steps:
            return False
        if monitors.end(phase.epochs):
            self.evaluations[-1] = self._evaluated(phase, step, seconds)
            self.write_step(self.evaluations[-1])
        self.followed += monitors.sentences
        return True

    def _train_segment(self, phase: phases.Phase, step_rates: Any, start: int, stop: int, seconds: float) -> float:
        """Train steps [start, stop) in stretches short enough to stop in between. Return the phase's train seconds."""
        epoch = start // phase.steps_per_epoch
        if self.ordered != (place := (phase.index, epoch)):
            self.set_order(phase.index * phase.epochs + epoch, epoch * phase.steps_per_epoch)
            self.ordered = place
        while start < stop and not self.program.finished:
            until = min(stop, start + self.stretch_steps)
            segment = Segment(phase.global_batch, phase.index, start, until, last=phase.last_of(until))
            seconds += self.advance(segment, step_rates)
            start = until
            if start < stop and not self.program.finished:
                self.agree_to_go_on(phase, start, seconds)
        return seconds

    def _begun(self) -> Checkpoint | None:
        """Return where an earlier attempt left off, and take over what it measured; None where there is none."""
        shapes = [tuple(variable.shape) for variable in self.program.state]
        found = self.checkpoints.agreed(self.strategy, shapes)
        if found is None or (self.earlier and found.phase == 0):
            return None
        self.recorder.take_over(found.measured)
        for row in self.evaluations:
            self.write_step(row)
        self.resumed = [*found.resumed, found.place]
        return found

    def agree_to_go_on(self, phase: phases.Phase, step: int, seconds: float, at_epoch_end: bool = False) -> None:
        """Stop all ranks when one is asked to; the state is kept then, and at epoch ends when it is time."""
        last = self.recorder.windows[-1]
        own = (self.session.interrupted(), last["seconds"] / last["steps"], at_epoch_end and self.checkpoints.due())
        answers = self.session.strategy.gather(own)
        asked = [reason for reason, _, _ in answers if reason]
        self.stretch_steps = max(1, int(STRETCH_SECONDS / max(1e-9, *(pace for _, pace, _ in answers))))
        if step == phase.end:
            return  # what is done is worth more than a few seconds; a phase that follows asks for itself
        if asked or answers[0][2]:
            self.save(phase, step, seconds)
        if asked:
            raise Interrupted(asked[0])

    def save(self, phase: phases.Phase, step: int, seconds: float) -> None:
        """Keep the state after `step` steps of the phase, by rank 0. All ranks call it."""
        with self.watch.activity("evaluate"):
            self.program.settle()
            kept = self.recorder.kept(self.strategy)
            if self.program.monitors:
                kept[MONITORED] = self.program.monitors.seen
            if self.strategy.rank == 0:
                state = Checkpoint(self.checkpoints.name, phase.index, step, seconds, kept, self.resumed)
                self.checkpoints.save(state, self.program.state)
            self.strategy.barrier()  # a launcher ends all ranks once one has left

    def _continue(self, earlier: Ended) -> None:
        earlier.restore(self.program.variables, self.strategy)
        self.evaluations.extend(earlier.evaluations)
        for row in earlier.evaluations:
            self.write_step(row)

    def evaluate(self, phase: phases.Phase, step: int, seconds: float) -> None:
        """Evaluate after `step` steps of the phase, on equal weights, and let the meters read there."""
        row = self._evaluated(phase, step, seconds)
        self.evaluations.append(row)
        self.write_step(row)
        if memory.diverged({name: value for name, value in row.items() if name.endswith(("_loss", "_accuracy"))}):
            self.recorder.status = "diverged"
            return
        for meter in self.recorder.meters:
            meter.at_evaluation(self, row)

    def _evaluated(self, phase: phases.Phase, step: int, seconds: float) -> dict[str, Any]:
        program = self.program
        with self.watch.activity("evaluate"):
            program.settle()
            agreement.check_weights(self.strategy, program.variables, f"after step {step}")
            metrics = self.examples.evaluation.metrics(program)
        self.recorder.equal_evaluations += 1
        examples = phase.examples_after(step)
        return {"phase": phase.index, "global_batch": phase.global_batch, "step": step,
                "epoch": examples / phase.examples_per_epoch, "examples": examples,
                "train_seconds": seconds, **program.scaling(), **metrics,
                **(program.gains.row() if program.gains else {})}
