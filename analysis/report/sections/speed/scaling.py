"""Efficiency and speed-up against batch and replicas, weak and strong, per strategy."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ....figures.drawing import Figure
from ....figures.lines import Axis, draw_lines, Panel, Series
from ....figures.theme import role
from ....formatting import MARKERS, estimated, percentage, table
from ....laws.scalability import DISTINCT_COUNTS
from ....statistics.estimate import Estimate, without_interval
from ....study.groups import heading, MOST_PANELS, launches_text
from ....study.timing.scaling import Scaling
from ...blocks import Section
from ...builder import SCALING_LINES, section
from ...findings import Findings


@section("scaling", "Scaling over replicas", origin="any", needs=SCALING_LINES)
def build(findings: Findings) -> Section | None:
    """Return weak and strong efficiency against a named baseline; above 100 % is flagged, never clamped."""
    known = [item for item in findings.decided.scaling if len(item.points) > 1]
    if not known:
        return None
    made = efficiencies(known)
    return replace(made, text=(*findings.decided.topics.get("scaling", ()), *made.text))


def efficiencies(known: Sequence[Scaling]) -> Section:
    """Return the section of scalings at hand, each of two or more replica counts."""
    figures: list[Figure] = []
    for index, (experiment, kind) in enumerate(dict.fromkeys((item.experiment, item.kind) for item in known)):
        if index < MOST_PANELS // 2:
            own = [item for item in known if (item.experiment, item.kind) == (experiment, kind)]
            figures += list(_efficiency_panels(f"s{index}", experiment, kind, own))
    warnings = tuple(f"{item.experiment}, {item.strategy}, batch {item.fixed_batch:,}, {point.replicas} replicas: "
                     f"{point.warning}." for item in known for point in item.points if point.warning)
    text = ["Weak: the batch per replica is fixed, efficiency E = X(p) / (p X(1)). Strong: the global batch is fixed, "
            "E = T(1) / (p T(p)). The baseline is the same strategy on the fewest replicas measured, by the same "
            "code path. Values above 100 % are shown as they are and listed as suspect.", *_laws(known)]
    return Section(tuple(text), tuple(figures), table(
        ("experiment", "strategy", "fixed batch", "replicas", "baseline", "speed-up", "efficiency", "Karp-Flatt"),
        [row for item in known for row in _scaling_rows(item)],
        "Geometric mean of the launches' ratios, paired by launch, Student's 95 % interval of their logarithms; "
        "with launch_summary = \"median\" their median. Unstable: the launches of a point vary by more than 10 %, so "
        "no headline rests on it. Karp-Flatt: the serial share that explains the speed-up; negative where it is more "
        "than linear.", (2, 3), "Numbers"), warnings)


def _efficiency_panels(name: str, experiment: str, kind: str, found: Sequence[Scaling]) -> Iterator[Figure]:
    label = "batch per replica" if kind == "weak" else "global batch"
    largest = max(point.replicas for item in found for point in item.points)
    lines: dict[tuple[str, int], list[tuple[float, Estimate]]] = {}
    runs: dict[tuple[str, int], dict[float, str]] = {}
    for item in found:
        for point in item.points[1:]:
            key, batch = (item.strategy, point.replicas), float(item.fixed_batch)
            lines.setdefault(key, []).append((batch, point.efficiency))
            runs.setdefault(key, {})[batch] = item.runs[point.replicas]
    series = tuple(Series(f"{strategy}, {replicas}" if largest > 2 else strategy, role(strategy),
                          tuple(points), MARKERS[index % len(MARKERS)], runs=runs[strategy, replicas])
                   for index, ((strategy, replicas), points) in enumerate(lines.items()))
    batches = tuple(float(item.fixed_batch) for item in found)
    base = found[0].points[0].baseline_replicas
    counts = [point.efficiency.n for item in found for point in item.points]
    launches = launches_text(counts)
    title = f"{_heading(found)}: {kind} scaling, efficiency against {label}"
    panel = Panel(f"{name}-batch", title, Axis(f"{label}, examples", 2, batches), Axis("efficiency", percent=True),
                  series, (1.0, "ideal"))
    yield Figure(panel.name, title, draw_lines(panel),
                 f"{largest if largest == 2 else 'Several'} replicas against {base} of the same strategy. 95 % "
                 f"intervals of the ratio over launches, {launches}; experiment {experiment}.")
    yield _replica_panel(name, experiment, kind, found, launches)


def _replica_panel(name: str, experiment: str, kind: str, found: Sequence[Scaling], launches: str) -> Figure:
    """Speed-up against replicas at the smallest and the largest batch of each strategy."""
    series = []
    for strategy in dict.fromkeys(item.strategy for item in found):
        own = sorted((item for item in found if item.strategy == strategy), key=lambda item: item.fixed_batch)
        for item in dict.fromkeys((own[0].fixed_batch, own[-1].fixed_batch)):
            chosen = next(each for each in own if each.fixed_batch == item)
            series.append(Series(f"{strategy}, {item:,}", role(strategy), tuple(
                (float(point.replicas), point.speedup) for point in chosen.points),
                "o" if item == own[-1].fixed_batch else "v", opacity=1.0 if item == own[-1].fixed_batch else 0.6,
                runs={float(count): selected for count, selected in chosen.runs.items()}))
    counts = sorted({point.replicas for item in found for point in item.points})
    base = counts[0]
    ideal = Series("ideal", role("single"), tuple((float(p), without_interval(p / base, 0)) for p in counts), "")
    title = f"{_heading(found)}: {kind} scaling, speed-up against replicas"
    panel = Panel(f"{name}-replicas", title, Axis("replicas", 2, tuple(map(float, counts))),
                  Axis(f"throughput against {base} replica{'s' * (base > 1)}"), (*series, ideal))
    return Figure(panel.name, title, draw_lines(panel), f"Labels: strategy, {_fixed(kind)}; the smallest and the "
                  f"largest batch measured. 95 % intervals of the ratio over launches, {launches}; experiment "
                  f"{experiment}.")


def _heading(found: Sequence[Scaling]) -> str:
    return heading(found[0].optimizer, found[0].model, found[0].experiment)


def _fixed(kind: str) -> str:
    return "batch per replica" if kind == "weak" else "global batch"


def _scaling_rows(item: Scaling) -> Iterator[tuple[str, ...]]:
    for point in item.points:
        if point.replicas != point.baseline_replicas:
            yield (f"{item.experiment} ({item.kind})", item.strategy, f"{item.fixed_batch:,}", str(point.replicas),
                   item.baseline, estimated(point.speedup),
                   percentage(point.efficiency) + (", above 100 %" if point.warning else "")
                   + (", unstable" if point.unstable else ""),
                   estimated(point.karp_flatt))


def _peak(replicas: Estimate) -> str:
    return f"throughput peaks at {estimated(replicas)} replicas" if math.isfinite(replicas.value) else \
        "no peak of throughput is seen"


def _sentence(note: str) -> str:
    return f"{note[:1].upper()}{note[1:].rstrip('.')}." if note else ""


def _laws(known: Sequence[Scaling]) -> list[str]:
    """Amdahl and USL where enough replica counts were measured."""
    sentences = []
    for item in known:
        if item.usl is None or item.amdahl is None or math.isnan(item.usl.contention.value):
            continue
        sentences.append(f"{item.experiment}, {item.strategy}, batch {item.fixed_batch:,}: Universal Scalability Law "
                         f"contention {estimated(item.usl.contention)}, coherency {estimated(item.usl.coherency)}, "
                         f"{_peak(item.usl.peak_replicas)}; Amdahl's serial share "
                         f"{estimated(item.amdahl.contention)}. {_sentence(item.usl.note)}".strip())
        sentences[-1] += "".join(f" {name} fitted to fewer replicas predicts {error.size:g} with an error of "
                                 f"{percentage(error.relative_error)}." for name, error in item.held_out.items()
                                 if math.isfinite(error.relative_error.value))
    if sentences and not any("predicts" in sentence for sentence in sentences):
        sentences = [*sentences[:MOST_PANELS - 1], "Neither law was tested on replica counts left out of its fit: that "
                     f"takes {DISTINCT_COUNTS + 1} counts."]
    return sentences[:MOST_PANELS]
