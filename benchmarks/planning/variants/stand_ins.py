"""Stand-ins: a plan names the data set that it is about, and one that serves where that is not on the machine.

It is decided before the first run and for the whole plan, is recorded, and holds for as long as the results folder:
runs on the one and on the other are never one result set.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ...data.sources.official import OFFICIAL
from ...errors import DataError
from ..plan import Plan, StandIn
from ..writing import of_tables

Absent = Callable[[str], str]
"""Why a data set is not on this machine; "" where it is."""


def settled(plan: Plan, absent: Absent, begun: Mapping[str, str], folder: object) -> Plan:
    """Return the plan on the data sets that are used.

    begun: the data set that is used in the place of each, by what the runs in the results folder were made of. Raises
    DataError where neither a data set nor its stand-in is here, and where a folder was begun on one that is gone.
    """
    declared = {str(e["dataset"]): str(e["stand_in"]) for e in plan.experiments if e["stand_in"]}
    found = [_decided(asked, stand_in, absent, begun.get(asked, ""), folder) for asked, stand_in in declared.items()]
    used = {one.asked: one.used for one in found if one.used != one.asked}
    experiments = tuple({**e, "dataset": used.get(str(e["dataset"]), e["dataset"])} for e in plan.experiments)
    text = _text(plan, used) if used else plan.text
    return replace(plan, experiments=experiments, text=text, stand_ins=tuple(found))


def _decided(asked: str, stand_in: str, absent: Absent, begun: str, folder: object) -> StandIn:
    why = absent(asked)
    used = begun if begun in (asked, stand_in) else stand_in if why else asked
    if used == asked and why:
        raise DataError(f"{folder} was begun on {asked}, for which {stand_in} is not taken now, so that both are never "
                        f"mixed: {why}")
    if used == stand_in and (lacking := absent(stand_in)):
        raise DataError(f"{asked} is not here, and {stand_in}, which would stand in for it, neither: {lacking}")
    return StandIn(asked, stand_in, used, here=not why)


def sentences(found: Sequence[StandIn], folder: object) -> list[str]:
    """Return what was decided, a sentence for each data set that has a stand-in."""
    said = []
    for one in found:
        brings = f"; `batchscale fetch {one.asked}` brings it" if one.asked in OFFICIAL else ""
        if one.used == one.asked:
            said.append(f"data: {one.asked} (where it is absent, {one.stand_in} stands in for it)")
        elif one.here:
            said.append(f"data: {one.used} stands in for {one.asked}, as {folder} was begun; {one.asked} is here now: "
                        "give another --results to begin with it")
        else:
            said.append(f"data: {one.used} stands in for {one.asked}, which is not on this machine{brings}")
    return said


def _text(plan: Plan, used: Mapping[str, str]) -> str:
    """The plan as it is run, which names the data sets that are used."""
    tables = tomllib.loads(plan.text)
    for table in (tables.get("defaults", {}), *tables["experiment"]):
        if table.get("dataset") in used:
            table["dataset"] = used[table["dataset"]]
        table.pop("stand_in", None)
    words = ", ".join(f"{stand_in} stands in for {asked}" for asked, stand_in in used.items())
    return of_tables(tables, f"{plan.name} as it was run: {words}.")
