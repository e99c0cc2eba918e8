"""STRATEGIES: everything that the suite knows of each way in which replicas train together, apart from the way itself.

The commands that start ranks belong to the launchers, and what ranks exchange to rank/strategies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .choices import ONE

Start = Literal["process", "cluster", "launcher"]


@dataclass(frozen=True, kw_only=True)
class StrategySpec:
    """One strategy.

    `words`: its name in a sentence. `start`: how its ranks come to be and find each other: one plain process, a cluster
    whose ranks read each other's addresses in TF_CONFIG, or a group that Horovod's launcher or mpirun starts.
    `transports`: the ways its ranks can talk, the fastest last; empty: one way that has no name. `many_replicas`,
    `many_nodes`: whether it can have more than one. `mark`: what stands in the text of a script that trains by it, for
    an audit that is to start it; "": nothing of its own. `advice`: what to check where ranks do not find each other.
    """

    words: str
    start: Start = "process"
    transports: tuple[str, ...] = ()
    many_replicas: bool = True
    many_nodes: bool = False
    mark: str = ""
    advice: str = ""

    @property
    def process_per_replica(self) -> bool:
        """Whether each replica is a rank of its own; else one rank has them all."""
        return self.start != "process"

    @property
    def exchanges(self) -> bool:
        """Whether its replicas exchange gradients: more than one may be there."""
        return self.many_replicas


# A new strategy goes to the end: the colours of the figures go by position.
STRATEGIES: dict[str, StrategySpec] = {
    "single": StrategySpec(words="one replica", many_replicas=False),
    "mirrored": StrategySpec(words="MirroredStrategy", mark="MirroredStrategy"),
    "horovod": StrategySpec(
        words="Horovod", start="launcher", transports=("gloo", "mpi"), many_nodes=True, mark="horovod",
        advice="The launcher and Horovod's MPI do not belong together; `batchscale doctor` tells which to use."),
    "multiworker": StrategySpec(
        words="MultiWorkerMirroredStrategy", start="cluster", many_nodes=True,
        advice="Each rank needs TF_CONFIG with all of them in it; start them by `batchscale run`, or by hand with "
               "python -m batchscale.launchers.local.rank_group."),
}


def strategy_name(strategy: str, transport: str, exchange: str = "") -> str:
    """Return the strategy with its transport, which is another way for its ranks to talk, and with the way of its
    exchange where that is not one for all gradients; "" where that is not told.

    >>> strategy_name("horovod", "mpi"), strategy_name("mirrored", "", "one"), strategy_name("horovod", "mpi", "groups")
    ('horovod-mpi', 'mirrored', 'horovod-mpi-groups')
    """
    return "-".join(part for part in (strategy, transport, exchange if exchange != ONE else "") if part)


def strategy_variants(strategy: str) -> tuple[str, ...]:
    """Return the names under which the strategy runs, one for each transport.

    >>> strategy_variants("horovod"), strategy_variants("single")
    (('horovod-gloo', 'horovod-mpi'), ('single',))
    """
    return tuple(strategy_name(strategy, way) for way in STRATEGIES[strategy].transports) or (strategy,)


def variants() -> dict[str, tuple[str, str]]:
    """Return strategy and transport of every name under which a strategy runs, in the registry's order.

    >>> variants()["horovod-mpi"], variants()["single"]
    (('horovod', 'mpi'), ('single', ''))
    """
    return {strategy_name(strategy, way): (strategy, way) for strategy, spec in STRATEGIES.items()
            for way in spec.transports or ("",)}


def waiting_for_others(strategy: str) -> int:
    """Return what a step waits for beside its own work: 0 nothing, 1 replicas of its process, 2 other processes.

    A strategy that is not known, of an imported result for instance, counts as 2.
    """
    spec = STRATEGIES.get(strategy.partition("-")[0])
    return 2 if spec is None or spec.process_per_replica else int(spec.many_replicas)


def has_process_per_replica(strategy: str) -> bool:
    """Return whether each replica of the strategy is a process of its own; False for one that is not known."""
    return strategy in STRATEGIES and STRATEGIES[strategy].process_per_replica
