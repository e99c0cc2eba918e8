"""Keys of one experiment that must fit each other: what a number in one makes of another. Each raises PlanError."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..config.choices import GROUPS
from ..config.strategies import STRATEGIES
from ..errors import PlanError
from .derived_keys import ONLY_KEPT

# Nobody calls accuracies 20 points apart the same, or losses of which one is half as large again; whoever writes such a
# number means per cent.
LARGEST_MARGINS = {"margin": (0.2, "points of accuracy"), "loss_margin": (0.5, "% of the reference batch's loss")}
KEPT = {"weak": ("replica_batches", "global_batches"), "strong": ("global_batches", "replica_batches")}


def check_scaling(experiment: Mapping[str, Any], where: str) -> None:
    """Check that weak scaling has batches of each replica alone, and strong scaling global ones alone. Raises
    PlanError."""
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


def check_kept(experiment: Mapping[str, Any], own: Mapping[str, Any], where: str) -> None:
    """Check that an experiment that says by itself to time kept batches alone is a timing of global batches; what
    [defaults] say holds for those that are. Raises PlanError."""
    if own.get(ONLY_KEPT) and (experiment["kind"] != "throughput" or "replica_batches" in experiment):
        raise PlanError(f"{where}: {ONLY_KEPT} = true chooses by accuracy which global batches are timed; give it to "
                        "an experiment of kind = \"throughput\" with global_batches alone, or leave it out.")


def check_placements(experiment: Mapping[str, Any], where: str) -> None:
    """Check that every number of replicas and of nodes can be had with one of the strategies.

    Raises PlanError where one cannot, where nodes would be left without a replica, and where a list is empty.
    """
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
    if GROUPS in experiment["exchange"] and specs and not any(spec.exchanges for spec in specs.values()):
        able = [name for name, spec in STRATEGIES.items() if spec.exchanges]
        raise PlanError(f"{where}: exchange = {list(experiment['exchange'])} under strategies = {list(specs)}, of "
                        f"which none exchanges gradients; add one of {', '.join(able)}, or leave exchange out.")
    for name, values in (("strategies", specs), ("replicas", replicas), ("nodes", nodes),
                         ("exchange", experiment["exchange"])):
        if not values:
            raise PlanError(f"{where}: {name} = [] asks for no run; leave it out, or name at least one.")


def _without(where: str, key: str, count: int, given: Mapping[str, Any], able: Sequence[str]) -> PlanError:
    return PlanError(f"{where}: {key} = {count} gives no run under strategies = {list(given)}, each of which has one "
                     f"{key.removesuffix('s')}; add strategies = [\"{able[0]}\"]"
                     + (f" (or {', '.join(able[1:])})." if able[1:] else "."))


def check_margins(settings: Mapping[str, Any], where: str) -> None:
    """Check that both margins are fractions and more than nothing. Raises PlanError."""
    for name, (largest, unit) in LARGEST_MARGINS.items():
        value = settings[name]
        if value > largest:
            raise PlanError(f"{where}: {name} = {value:g} is a fraction, so {100 * value:g} {unit} would count as the "
                            f"same; the most is {largest:g}. If {value:g} {unit} are meant, write {name} = "
                            f"{value / 100:g}.")
        if not value > 0:
            raise PlanError(f"{where}: {name} = {value:g} lets nothing count as the same, so no batch could be shown "
                            f"to cost nothing; give a fraction above 0, such as {0.005 if name == 'margin' else 0.02}.")


def check_stand_ins(experiments: Sequence[Mapping[str, Any]], where: str) -> None:
    """Check that each data set has one stand-in in the whole plan, and that it is another data set. Raises PlanError.
    """
    declared: dict[str, str] = {}
    for experiment in experiments:
        dataset, stand_in = str(experiment["dataset"]), str(experiment["stand_in"])
        if stand_in == dataset:
            raise PlanError(f"{where}: stand_in = {stand_in!r} is the data set itself; name another one, or leave it "
                            "out.")
        if stand_in and declared.setdefault(dataset, stand_in) != stand_in:
            raise PlanError(f"{where}: {dataset} has two stand-ins, {declared[dataset]} and {stand_in}; one holds for "
                            "the whole plan.")


def merged(defaults: Mapping[str, Any], experiment: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of an experiment with those of [defaults]; a stand-in goes with the data set beside it."""
    found = {**defaults, **experiment}
    if "dataset" in experiment and "stand_in" not in experiment:
        found.pop("stand_in", None)
    return found
