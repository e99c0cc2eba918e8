"""Input from disk: throughput three ways, and the difference by name."""

from __future__ import annotations

from .....benchmarks.text import counted, percent
from ....formatting import estimated, percentage, table
from ....statistics.estimate import geometric_mean
from ....statistics.ratio import LAUNCHES
from ....study.timing.input_bound import INPUT, LIMIT, OVERLAP, Halves
from ...blocks import Section
from ...builder import FROM_DISK_LINES, section
from ...findings import Findings

FIXES = {
    INPUT: "More cores per replica, images stored in the size they are used in, or a faster disk would speed it up; "
           "more replicas that read from the same place would not.",
    OVERLAP: "Where both halves need the same cores, as on a CPU, no more is to be had without more of them; "
             "else look for what makes one wait for the other."}


@section("input", "Input from disk", needs=FROM_DISK_LINES)
def build(findings: Findings) -> Section | None:
    """Return real runs beside their input alone and their model alone."""
    found = findings.input_halves
    if not found:
        return None
    text = ("Three throughputs of the same launch: real training; its input alone, read, decoded and put on the device "
            "with no model; and its model alone, the same compiled step on examples that are there already. Where they "
            "overlap perfectly, training is as fast as the slower half.",
            f"Compute bound: at least {percent(LIMIT)} of the model's own. Input bound: less, but at least "
            f"{percent(LIMIT)} of the input's own. Else they overlap badly. All launches must agree.",
            *(f"{_point(halves)}: {halves.sentence()}" for halves in found[:8]),
            *(FIXES[name] for name in FIXES if any(halves.verdict == name for halves in found)))
    return Section(text, (), table(
        ("timing point", "real, examples/s", "input alone", "model alone", "real of model", "verdict"),
        [(_point(halves), *(estimated(geometric_mean(values).per(LAUNCHES))
                            for values in (halves.real, halves.given, halves.model)),
          percentage(halves.of_model), halves.verdict) for halves in found],
        "Mean over launches, 95 % interval, n launches; each launch is the median of its steady windows.", (1, 2, 3, 4),
        "Numbers"))


def _point(halves: Halves) -> str:
    experiment, placement, nodes, batch = halves.place
    where = f" on {counted(int(nodes), 'node')}" if int(nodes) > 1 else ""
    return f"{experiment}, {placement}{where}, batch {int(batch):,}"
