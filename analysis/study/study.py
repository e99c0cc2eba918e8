"""The study: the tables of one plan and everything that is computed from them, each once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from ...benchmarks.runs.run_warnings import WarningGroup
from ..tables.outcome import Outcome
from ..tables.results import experiments, Results
from ..tables.selections import timing_runs
from ..tables.tuned_rates import TunedBatch
from .arm_runs import main_placement
from .arms import Arm, load_arms
from .convergence import Convergence, convergences
from .critical import critical_batch, CriticalBatch
from .groups import Workload, workloads
from .learning.warned import warning_groups
from .memory_laws import memory_laws, MemoryGroup
from .timing.scaling import Scaling, scalings
from .timing.step_fits import step_fits, StepFit
from .tuning.rate_laws import tuned_laws, TunedLaw


@dataclass(frozen=True, eq=False)
class Study:
    """Tables of one plan and what is computed from them, each at its first use, and kept."""

    results: Results

    @property
    def outcomes(self) -> Mapping[str, Outcome]:
        """Return what each accuracy experiment is judged by."""
        return self.results.outcomes

    @property
    def tuned(self) -> tuple[TunedBatch, ...]:
        """Return the batches whose learning rate was tuned."""
        return self.results.tuned

    @cached_property
    def rate_laws(self) -> tuple[TunedLaw, ...]:
        """Return how the best rate grows with the batch, one for each experiment and placement with a tuned arm."""
        return tuned_laws(self.results)

    @cached_property
    def experiments(self) -> tuple[str, ...]:
        """Return the names of the accuracy experiments, in the plan's order."""
        return experiments(self.results)

    @cached_property
    def arms(self) -> tuple[Arm, ...]:
        """Return every experiment's arms, the constant rule first over all experiments."""
        return tuple(load_arms(self.results))

    @cached_property
    def arms_by_experiment(self) -> dict[str, list[Arm]]:
        """Return the arms of each accuracy experiment, in the plan's order of experiments."""
        return {name: [arm for arm in self.arms if arm.experiment == name] for name in self.experiments}

    @cached_property
    def run_warnings(self) -> tuple[WarningGroup, ...]:
        """Return what the runs' records warn of, in groups."""
        return warning_groups(self.results)

    @property
    def has_curves(self) -> bool:
        """Return whether any run was evaluated more than once; the claims are about the way, not only the end."""
        return bool(self.results.evaluations.duplicated(["run_id", "phase"]).any())

    @cached_property
    def workloads(self) -> tuple[Workload, ...]:
        """Return the groups of accuracy runs that share a panel."""
        return tuple(workloads(self.results))

    def is_compared(self, work: Workload) -> bool:
        """Return whether the experiment's arms are made of these runs, and not of those in another placement."""
        return work.placement == main_placement(self.results.accuracy[work.experiment][0])

    @cached_property
    def timing(self) -> pd.DataFrame:
        """Return the timing runs that have a step time."""
        return timing_runs(self.results)

    @cached_property
    def scalings(self) -> tuple[Scaling, ...]:
        """Return throughput against replicas, one curve for each group of timing runs that scales."""
        return scalings(self.results)

    @cached_property
    def steps(self) -> tuple[StepFit, ...]:
        """Return the fitted parts of a step, one fit for each model and strategy."""
        return step_fits(self.results)

    @cached_property
    def memory_laws(self) -> tuple[MemoryGroup, ...]:
        """Return peak memory as a law of the batch, one for each group of memory runs."""
        return tuple(memory_laws(self.results))

    @cached_property
    def critical(self) -> tuple[CriticalBatch, ...]:
        """Return the critical batch of each accuracy experiment, in the plan's order."""
        return tuple(critical_batch(self.results, name, arms) for name, arms in self.arms_by_experiment.items())

    @cached_property
    def convergences(self) -> tuple[Convergence, ...]:
        """Return the benchmarks among imported runs; none without such runs."""
        return convergences(self.results)
