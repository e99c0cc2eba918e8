"""Machine and software of the runs."""

from __future__ import annotations

import math

import pandas as pd

from .....benchmarks.text import counted
from ....formatting import Table, table
from ...blocks import Section
from ...builder import section
from ...findings import Findings


@section("provenance", "Provenance", origin="own")
def build(findings: Findings) -> Section | None:
    """Return machine and software of the runs, one column of facts per environment."""
    found = findings.results.environments
    if found.empty:
        return None
    same: list[tuple[str, list[str]]] = []
    differing: list[tuple[str, list[str]]] = []
    for name in found.columns:
        values = [_fact(value) for value in found[name]]
        if name != "runs" and any(values):
            (same if len(set(values)) == 1 else differing).append((name.replace("_", " "), values))
    tables = table(("fact", "all runs"), ((name, values[0]) for name, values in same))
    shown = min(len(found), 6)
    tables += table(("fact", *(counted(int(n), "run") for n in found["runs"][:shown])),
                    ((name, *values[:shown]) for name, values in differing),
                    "Facts that differ between runs." + (f" {len(found) - shown} more environments are not shown."
                                                         if len(found) > shown else ""))
    dirty = found["dirty"].astype(str).str.lower().isin(["true", "1", "1.0"]) if "dirty" in found else pd.Series()
    warnings = ("Some runs come from a checkout with uncommitted changes; the commit does not identify them.",
                ) if bool(dirty.any()) else ()
    return Section((), (), (*tables, *_slots(findings.by_run)), warnings)


def _fact(value: object) -> str:
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else str(value)


def _slots(runs: pd.DataFrame) -> tuple[Table, ...]:
    """Affinity and slot of the runs, where the tables hold them."""
    names = [name for name in ("slot", "affinity") if name in runs]
    if not names:
        return ()
    rows = [(*(_fact(value) for value in (key if isinstance(key, tuple) else (key,))), count)
            for key, count in runs.groupby(names, dropna=False).size().items()]
    return table((*names, "runs"), rows, "Slots: runs packed side by side, each on its own cores.",
                 (len(names),))
