"""Keys of one experiment that must fit each other: what a number in one makes of another. Each raises PlanError."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..config.strategies import STRATEGIES
from ..errors import PlanError

DEFAULT_REFERENCE = 32
LARGEST_MARGIN = 0.2
LARGEST_LOSS_MARGIN = 0.5
KEPT = {"weak": ("replica_batches", "global_batches"), "strong": ("global_batches", "replica_batches")}


def check_scaling(experiment: Mapping[str, Any], where: str) -> None:
    """Weak scaling keeps the batch of each replica, strong scaling the global one."""
    kept, other = KEPT.get(experiment["scaling"], ("", ""))
    if kept and (other in experiment or kept not in experiment):
        raise PlanError(f"{where}: scaling = {experiment['scaling']!r} keeps the batches of {kept} fixed over the "
                        f"replica counts; give {kept}" + (f", and not {other}." if other in experiment else "."))


def scaling(experiment: Mapping[str, Any], where: str) -> str:
    """Return what stays fixed over the replica counts that are timed: what the plan says, else what its batches say."""
    said = str(experiment["scaling"])
    if said or experiment["kind"] != "throughput" or len(set(experiment["replicas"])) < 2:
        return said
    fitting = [way for way, (kept, other) in KEPT.items() if kept in experiment and other not in experiment]
    if len(fitting) != 1:
        raise PlanError(f"{where}: replicas = {list(experiment['replicas'])} are compared with each other, and batches "
                        "are given both for each replica and in all; give replica_batches alone (weak scaling) or "
                        "global_batches alone (strong scaling).")
    return fitting[0]


def check_placements(experiment: Mapping[str, Any], where: str) -> None:
    """Every number of replicas and of nodes can be had with one of the strategies."""
    specs = {name: STRATEGIES[name.partition("-")[0]] for name in experiment["strategies"]}
    replicas, nodes = experiment["replicas"], experiment["nodes"]
    for count in replicas:
        if count != 1 and not any(spec.many_replicas for spec in specs.values()):
            raise _without(where, "replicas", count, specs, [n for n, spec in STRATEGIES.items() if spec.many_replicas])
    for count in nodes:
        if count > 1 and not any(spec.many_nodes for spec in specs.values()):
            raise _without(where, "nodes", count, specs, [n for n, spec in STRATEGIES.items() if spec.many_nodes])
        if count > max(replicas, default=0):
            raise PlanError(f"{where}: nodes = {count} with replicas = {list(replicas)} leaves nodes without a "
                            "replica; raise replicas, or lower nodes.")
    for name, values in (("strategies", specs), ("replicas", replicas), ("nodes", nodes)):
        if not values:
            raise PlanError(f"{where}: {name} = [] asks for no run; leave it out, or name at least one.")


def _without(where: str, key: str, count: int, given: Mapping[str, Any], able: Sequence[str]) -> PlanError:
    return PlanError(f"{where}: {key} = {count} gives no run under strategies = {list(given)}, each of which has one "
                     f"{key.removesuffix('s')}; add strategies = [\"{able[0]}\"]"
                     + (f" (or {', '.join(able[1:])})." if able[1:] else "."))


def reference_batch(experiment: Mapping[str, Any], examples: int) -> int:
    """Return B0: the plan's, else 32, or the smallest batch of the experiment where 32 is not among them.

    examples: those trained on, which "all" stands for.
    """
    if "reference_batch" in experiment:
        return int(experiment["reference_batch"])
    batches = all_batches(experiment, examples)
    return DEFAULT_REFERENCE if DEFAULT_REFERENCE in batches else min(batches, default=DEFAULT_REFERENCE)


def all_batches(experiment: Mapping[str, Any], examples: int) -> set[int]:
    """Return the experiment's global batches, over all its replica counts."""
    given = {examples if batch == "all" else int(batch) for batch in experiment.get("global_batches", ())}
    return given | {batch * replicas * experiment["accumulation"] for batch in experiment.get("replica_batches", ())
                    for replicas in experiment["replicas"]}


def check_margins(settings: Mapping[str, Any], where: str) -> None:
    """The margins are fractions, not points or per cent."""
    if (margin := settings["margin"]) > LARGEST_MARGIN:
        raise PlanError(f"{where}: margin = {margin:g} would count a loss of {100 * margin:g} points of accuracy as "
                        f"none; it is a fraction, at most {LARGEST_MARGIN}. For half a point write margin = 0.005.")
    if (margin := settings["loss_margin"]) > LARGEST_LOSS_MARGIN:
        raise PlanError(f"{where}: loss_margin = {margin:g} would count a loss {100 * margin:g} % larger as the "
                        f"same; it is a fraction, at most {LARGEST_LOSS_MARGIN}. For 2 % write loss_margin = 0.02.")
