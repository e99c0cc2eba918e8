"""STRATEGIES: everything that the suite knows of each way in which replicas train together, apart from the way itself.

How ranks are started belongs to the launchers, and what they exchange to rank/strategies.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class StrategySpec:
    """One strategy.

    `words`: its name in a sentence. `process_per_replica`: each replica is a rank of its own, else one rank has all.
    `transports`: the ways its ranks can talk, the fastest last; empty: one way that has no name. `many_replicas`,
    `many_nodes`: whether it can have more than one. `advice`: what to check where its ranks do not find each other.
    """

    words: str
    process_per_replica: bool = False
    transports: tuple[str, ...] = ()
    many_replicas: bool = True
    many_nodes: bool = False
    advice: str = ""


STRATEGIES: dict[str, StrategySpec] = {
    "single": StrategySpec(words="one replica", many_replicas=False),
    "mirrored": StrategySpec(words="MirroredStrategy"),
    "horovod": StrategySpec(
        words="Horovod", process_per_replica=True, transports=("gloo", "mpi"), many_nodes=True,
        advice="The launcher and Horovod's MPI do not belong together; `batchscale doctor` tells which to use."),
    "multiworker": StrategySpec(
        words="MultiWorkerMirroredStrategy", process_per_replica=True, many_nodes=True,
        advice="Each rank needs TF_CONFIG with all of them in it; start them by `batchscale run`, or by hand with "
               "python -m batchscale.launchers.local.rank_group."),
}


def strategy_name(strategy: str, transport: str) -> str:
    """Return the strategy with its transport, which is another way for its ranks to talk.

    >>> strategy_name("horovod", "mpi"), strategy_name("mirrored", "")
    ('horovod-mpi', 'mirrored')
    """
    return "-".join(part for part in (strategy, transport) if part)


def strategy_variants(strategy: str) -> tuple[str, ...]:
    """Return the names under which the strategy runs, one for each transport.

    >>> strategy_variants("horovod"), strategy_variants("single")
    (('horovod-gloo', 'horovod-mpi'), ('single',))
    """
    return tuple(strategy_name(strategy, way) for way in STRATEGIES[strategy].transports) or (strategy,)


def has_process_per_replica(strategy: str) -> bool:
    """Return whether each replica of the strategy is a process of its own; False for one that is not known."""
    return strategy in STRATEGIES and STRATEGIES[strategy].process_per_replica
