"""Weak and strong scaling of the timing runs, each against a named baseline, and how many replicas
are worth having."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ....benchmarks.config.strategies import STRATEGIES, strategy_name
from ....benchmarks.text import counted, listed
from ...laws.efficiency import Kind, ScalingPoint, strong_scaling, weak_scaling
from ...laws.scalability import fit_amdahl, fit_usl, ScalabilityLaw
from ...statistics.estimate import UNSTABLE_ABOVE, Estimate, Floats, mean_estimate, relative_spread, unstable
from ...statistics.held_out import held_out_error, HeldOutError
from ...tables.results import Results
from ...tables.selections import DRIFT_GUARD, timing_runs

DRIFT_LIMIT = 0.10
SAME = ["experiment", "dataset", "model", "optimizer", "strategy", "transport",
        "cores_per_replica", "accumulation", "precision"]


def strategy_names(rows: pd.DataFrame) -> pd.Series[str]:
    """The strategy of each row, with its transport."""
    return pd.Series([strategy_name(*both) for both in zip(rows["strategy"], rows["transport"])], rows.index, dtype=str)


@dataclass(frozen=True)
class Scaling:
    """One strategy at one fixed batch (per replica where weak, global where strong). `marginal`:
    replicas -> share of a baseline replica's throughput that each replica added since the
    previous count brought; `held_out`: law -> the most replicas, predicted from fewer; `note`
    says what is not known."""

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

    def largest_worthwhile(self, threshold: float) -> int | None:
        """The largest count up to which every step brings at least `threshold`; None with one
        count alone."""
        if not self.marginal:
            return None
        largest = self.points[0].replicas
        for replicas, share in sorted(self.marginal.items()):
            if not share.value >= threshold:
                break
            largest = replicas
        return largest

    def to_json(self) -> dict[str, Any]:
        points = [{"replicas": p.replicas, "speedup": p.speedup.to_json(),
                   "efficiency": p.efficiency.to_json(), "karp_flatt": p.karp_flatt.to_json(),
                   "warning": p.warning} for p in self.points]
        return {"kind": self.kind, "experiment": self.experiment, "model": self.model,
                "optimizer": self.optimizer, "strategy": self.strategy,
                "fixed_batch": self.fixed_batch, "baseline": self.baseline, "points": points,
                "marginal_efficiency": {str(n): e.to_json() for n, e in self.marginal.items()},
                "note": self.note}


def scalings(results: Results) -> tuple[Scaling, ...]:
    """All groups of timing runs that scale; a single replica count is listed with a note. A strategy that has no more
    than one replica is timed beside the others and scales nowhere."""
    runs = timing_runs(results)
    runs = runs[~runs["strategy"].isin([name for name, spec in STRATEGIES.items() if not spec.many_replicas])]
    found = []
    for kind, fixed in (("weak", "replica_batch"), ("strong", "global_batch")):
        own = runs[runs["scaling"] == kind]
        for keys, rows in own.groupby([*SAME, fixed], sort=False, dropna=False):
            found += [_scaling("weak" if kind == "weak" else "strong", part, int(keys[-1]), nodes)
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


def _scaling(kind: Kind, rows: pd.DataFrame, fixed: int, nodes: int = 0) -> Scaling:
    column = "examples_per_second" if kind == "weak" else "step_seconds"
    launches: dict[int, Floats] = {int(n): own[column].to_numpy(np.float64)
                                   for n, own in rows.groupby("replicas")}
    points = weak_scaling(launches) if kind == "weak" else strong_scaling(launches)
    first = rows.iloc[0]
    strategy = strategy_name(first["strategy"], first["transport"]) + (f" on {counted(nodes, 'node')}" if nodes else "")
    base = min(launches)
    note = "" if len(launches) > 1 else (
        f"only {base} replica{'s' * (base > 1)} measured: no efficiency; measure another number")
    baseline = ", ".join((f"{strategy}, {base} replica{'s' * (base > 1)}", *_cores(first["cores_per_replica"]),
                          counted(len(launches[base]), "launch", "launches")))
    return Scaling(kind, str(first["experiment"]), str(first["model"]), str(first["optimizer"]),
                   strategy, fixed, baseline, points if len(launches) > 1 else (),
                   _marginal(rows), *_laws(kind, rows), note)


def _cores(cores: float) -> tuple[str, ...]:
    """Of imported runs they may be not told."""
    return (f"{counted(int(cores), 'core')} each",) if math.isfinite(cores) else ()


def _marginal(rows: pd.DataFrame) -> dict[int, Estimate]:
    """Per launch, so that what all shapes of a launch share falls away."""
    table = rows.pivot_table(index="launch", columns="replicas", values="examples_per_second")
    table = table.dropna()
    counts = sorted(int(n) for n in table.columns)
    if table.empty:
        return {}
    alone = table[counts[0]] / counts[0]
    return {large: mean_estimate(((table[large] - table[small]) / (large - small) / alone
                                  ).to_numpy(np.float64))
            for small, large in zip(counts, counts[1:])}


def _laws(kind: Kind, rows: pd.DataFrame) -> tuple[ScalabilityLaw | None, ScalabilityLaw | None,
                                                   dict[str, HeldOutError]]:
    """The laws are about a fixed amount of work, so strong scaling alone gives them."""
    if kind == "weak":
        return None, None, {}
    given = (rows["replicas"].tolist(), rows["examples_per_second"].tolist())
    errors = {name: held_out_error(law, *given) for name, law in
              (("Universal Scalability Law", fit_usl), ("Amdahl's law", fit_amdahl))}
    return fit_usl(*given), fit_amdahl(*given), errors


def timing_warnings(results: Results) -> list[str]:
    """Unsteady launches, and drift between the first and last run of the plan."""
    found, runs = _unsteady(results), results.runs
    guard = runs[(runs["experiment"] == DRIFT_GUARD) & (runs["step_seconds"] > 0)]
    guard = guard.sort_values("launch")
    if len(guard) > 1:
        ratio = float(guard["step_seconds"].iloc[-1] / guard["step_seconds"].iloc[0])
        if abs(math.log(ratio)) > DRIFT_LIMIT:
            found.append(f"The machine drifted: the same run took {ratio:.2f} times as long per "
                         "step at the end as at the start. Close other programs and measure again.")
    return found


def _unsteady(results: Results) -> list[str]:
    """One sentence, however many points spread too widely over their launches."""
    groups = timing_runs(results).groupby(["experiment", "model", "placement", "global_batch"], sort=False)
    wide = {key: rows for key, rows in groups if relative_spread(rows["examples_per_second"].tolist()) > UNSTABLE_ABOVE}
    worst = max(wide, key=lambda key: relative_spread(wide[key]["examples_per_second"].tolist()), default=None)
    if worst is None:
        return []
    _, model, placement, batch = worst
    text = unstable(f"Throughput of {model} at batch {batch:,} on {placement} over {len(wide[worst])} launches",
                    wide[worst]["examples_per_second"].tolist())
    others = listed(f"{place} at {size:,}" for _, _, place, size in wide if (place, size) != (placement, batch))
    return [text + (f" Less so, of {len(groups)} timing points: {others}." if others else "")]
