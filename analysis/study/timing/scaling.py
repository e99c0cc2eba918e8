"""Weak and strong scaling of the timing runs, each against a named baseline, and how many replicas
are worth having."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ....benchmarks.config.strategies import STRATEGIES, strategy_name
from ....benchmarks.text import counted
from ...laws.efficiency import Kind, Launches, Ratio, ScalingPoint, strong_scaling, weak_scaling
from ...laws.scalability import fit_amdahl, fit_usl, ScalabilityLaw
from ...statistics.estimate import Estimate, mean_estimate
from ...statistics.held_out import held_out_error, HeldOutError
from ...statistics.ratio import log_ratio, median_ratio
from ...tables.results import Results
from ...tables.selections import timing_runs
from ..arm_runs import conditions
from .steadiness import by_launch

RATIOS: Mapping[str, Ratio] = {"mean": log_ratio, "median": median_ratio}
"""Comparison of two replica counts, by the plan's launch_summary."""
SAME = ["experiment", "dataset", "model", "optimizer", "strategy", "transport", "exchange",
        "cores_per_replica", "accumulation", "precision", "tf32"]


def strategy_names(rows: pd.DataFrame) -> pd.Series[str]:
    """Return the strategy of each row with its transport and exchange, on the index of the rows."""
    names = zip(rows["strategy"], rows["transport"], rows["exchange"])
    return pd.Series([strategy_name(*each) for each in names], rows.index, dtype=str)


@dataclass(frozen=True)
class Scaling:
    """One strategy at one fixed batch (per replica where weak, global where strong).

    `marginal`: replicas -> share of a baseline replica's throughput that each replica added since the previous count
    brought, paired by launch; `held_out`: law -> its error at the most replicas, predicted from fewer; `note` says what
    is not known.
    """

    kind: Kind
    experiment: str
    model: str
    optimizer: str
    strategy: str
    fixed_batch: int
    baseline: str
    points: tuple[ScalingPoint, ...]
    marginal: Mapping[int, Estimate]
    usl: ScalabilityLaw | None
    amdahl: ScalabilityLaw | None
    held_out: Mapping[str, HeldOutError]
    note: str
    runs: Mapping[int, str] = field(default_factory=dict)

    @property
    def steady(self) -> bool:
        """Return whether the launches of no point vary too widely to rest a headline on it."""
        return not any(point.unstable for point in self.points)

    def largest_worthwhile(self, threshold: float) -> int | None:
        """Return the largest replica count up to which every increase is shown to bring at least `threshold`, a share
        of a baseline replica's throughput; None with one count alone."""
        if not self.marginal:
            return None
        largest = self.points[0].replicas
        for replicas, share in sorted(self.marginal.items()):
            if not brings(share, threshold):
                break
            largest = replicas
        return largest

    def to_json(self) -> dict[str, Any]:
        """Return the points, the marginal efficiency and the fitted laws; a law that was not fitted is None."""
        points = [{"replicas": p.replicas, "speedup": p.speedup.to_json(),
                   "efficiency": p.efficiency.to_json(), "karp_flatt": p.karp_flatt.to_json(),
                   "warning": p.warning, "unstable": p.unstable} for p in self.points]
        return {"kind": self.kind, "experiment": self.experiment, "model": self.model,
                "optimizer": self.optimizer, "strategy": self.strategy,
                "fixed_batch": self.fixed_batch, "baseline": self.baseline, "points": points,
                "marginal_efficiency": {str(n): e.to_json() for n, e in self.marginal.items()},
                "universal_scalability_law": self.usl.to_json() if self.usl else None,
                "amdahls_law": self.amdahl.to_json() if self.amdahl else None,
                "note": self.note}


def scalings(results: Results) -> tuple[Scaling, ...]:
    """Return every group of timing runs that scales; a single replica count is listed with a note. A strategy that
    cannot have more than one replica is left out."""
    runs = timing_runs(results)
    runs = runs[~runs["strategy"].isin([name for name, spec in STRATEGIES.items() if not spec.many_replicas])]
    ratio = RATIOS.get(str(results.settings.get("launch_summary")), log_ratio)
    found = []
    for kind, fixed in (("weak", "replica_batch"), ("strong", "global_batch")):
        own = runs[runs["scaling"] == kind]
        for keys, rows in own.groupby([*SAME, fixed], sort=False, dropna=False):
            found += [_scaling("weak" if kind == "weak" else "strong", part, int(keys[-1]), ratio, nodes)
                      for nodes, part in _by_nodes(rows)]
    return tuple(found)


def _by_nodes(rows: pd.DataFrame) -> list[tuple[int, pd.DataFrame]]:
    """(nodes or 0, rows): one curve for each node count where the same replicas were spread over several; all begin
    with the fewest replicas on the fewest nodes."""
    nodes = rows["nodes"].clip(lower=1)
    if rows.groupby("replicas")["nodes"].nunique().max() <= 1:
        return [(0, rows)]
    fewest = rows["replicas"] == rows["replicas"].min()
    base = fewest & (nodes == nodes[fewest].min())
    return [(int(count), rows[base | ((nodes == count) & ~fewest)]) for count in sorted(nodes.unique())]


def _scaling(kind: Kind, rows: pd.DataFrame, fixed: int, ratio: Ratio, nodes: int = 0) -> Scaling:
    counts = {int(count): own for count, own in rows.groupby("replicas")}
    rates, seconds = ({count: by_launch(own, column) for count, own in counts.items()}
                      for column in ("examples_per_second", "step_seconds"))
    launches = rates if kind == "weak" else seconds
    points = weak_scaling(launches, ratio=ratio) if kind == "weak" else strong_scaling(launches, ratio=ratio)
    first = rows.iloc[0]
    strategy = strategy_names(rows).iloc[0] + (f" on {counted(nodes, 'node')}" if nodes else "")
    base = min(launches)
    note = "" if len(launches) > 1 else (
        f"only {base} replica{'s' * (base > 1)} measured: no efficiency; measure another number")
    baseline = ", ".join((f"{strategy}, {base} replica{'s' * (base > 1)}", *_cores(first["cores_per_replica"]),
                          counted(len(launches[base]), "launch", "launches")))
    return Scaling(kind, str(first["experiment"]), str(first["model"]), str(first["optimizer"]),
                   strategy, fixed, baseline, points if len(launches) > 1 else (),
                   replica_shares(rates, ratio), *_laws(kind, rows), note,
                   {count: conditions(own) for count, own in counts.items()})


def _cores(cores: float) -> tuple[str, ...]:
    """Of imported runs they may be not told."""
    return (f"{counted(int(cores), 'core')} each",) if math.isfinite(cores) else ()


def replica_shares(rates: Launches, ratio: Ratio = log_ratio) -> dict[int, Estimate]:
    """Return what each replica added since the previous count brings, as a share of a replica's throughput at the
    fewest replicas, by count.

    rates: replicas -> launch -> throughput in any unit. Per launch, so that what all shapes of a launch share falls
    away.
    """
    counts = sorted(rates)
    found = {}
    for small, large in zip(counts, counts[1:]):
        each = counts[0] / (large - small)
        if small == counts[0]:
            found[large] = ratio(rates[large], rates[small]).transformed(lambda growth: (growth - 1) * each)
            continue
        shared = rates[large].keys() & rates[small].keys() & rates[counts[0]].keys()
        gained = [(rates[large][launch] - rates[small][launch]) / rates[counts[0]][launch] * each
                  for launch in sorted(shared)]
        # A throughput is positive: no more can be lost than the fewer replicas had.
        had = ratio(rates[small], rates[counts[0]])
        found[large] = mean_estimate(gained).within(-(had.high if had.has_interval else math.inf) * each, math.inf)
    return {count: share.per("launches") for count, share in found.items() if not math.isnan(share.value)}


def brings(share: Estimate, threshold: float) -> bool:
    """Return whether replicas are shown to bring at least `threshold` of their share: the interval lies above it."""
    return share.has_interval and share.low >= threshold


def _laws(kind: Kind, rows: pd.DataFrame) -> tuple[ScalabilityLaw | None, ScalabilityLaw | None,
                                                   dict[str, HeldOutError]]:
    """The laws are about a fixed amount of work, so strong scaling alone gives them."""
    if kind == "weak":
        return None, None, {}
    given = (rows["replicas"].tolist(), rows["examples_per_second"].tolist())
    errors = {name: held_out_error(law, *given) for name, law in
              (("Universal Scalability Law", fit_usl), ("Amdahl's law", fit_amdahl))}
    return fit_usl(*given), fit_amdahl(*given), errors
