"""How a section is declared: its anchor, its title, what it needs, whose runs it is about, and what builds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from .blocks import Section
from .findings import CURVES, ENDS, Findings, FOREIGN, OWN

# What a section is about -> the origins of runs for which it stands in the report. "own": the running itself, which
# imported runs had elsewhere. "curves": the way of a training, which imported ends do not tell.
ORIGINS: dict[str, tuple[str, ...]] = {
    "any": (OWN, CURVES, ENDS, FOREIGN), "own": (OWN,), "imported": (CURVES, ENDS, FOREIGN), "foreign": (FOREIGN,),
    "study": (OWN, CURVES, ENDS), "curves": (OWN, CURVES)}
# Lines of a plan that measure what several sections are about.
ACCURACY_LINES = 'global_batches = [32, 512]; rules = ["constant", "linear"]; seeds = 6'
TIMING_LINES = 'kind = "throughput"; scaling = "weak"; replica_batches = [32, 512, 4096]'
SCALING_LINES = f'{TIMING_LINES}; strategies = ["mirrored"]; replicas = [1, 2]'
SEVERAL_RANKS_LINES = f'{TIMING_LINES}; strategies = ["multiworker"]; replicas = [1, 2]'
FROM_DISK_LINES = f'dataset = "tfrecord:FOLDER"; {TIMING_LINES}'
MEMORY_LINES = 'kind = "memory"; global_batches = [256, 1024, 4096, 16384]'
Build = Callable[[Findings], Section | None]


@dataclass(frozen=True, kw_only=True)
class SectionBuilder:
    """One section of the report, before it is built.

    needs: lines of a plan that would measure what `content` gives None without; "" where no plan would. origin: a key
    of ORIGINS. Figures' names begin with the workload's letter and number, and are unique in the report.
    """

    anchor: str
    title: str
    needs: str
    origin: str
    content: Build

    def __call__(self, findings: Findings) -> Section | None:
        """Return the section with its anchor and title, or None where nothing of it was measured."""
        made = self.content(findings)
        return None if made is None else replace(made, anchor=self.anchor, title=made.title or self.title)

    def shown(self, findings: Findings) -> Section | None:
        """Return the section where it stands in this report: imported runs have only those that they have data for."""
        if findings.origin not in ORIGINS[self.origin]:
            return None
        made = self(findings)
        if made is None or findings.origin == OWN or made.has_data or self.origin == "imported":
            return made
        return None

    def lacks(self, findings: Findings, made: Section | None) -> bool:
        """Return whether a plan's own runs could have been about this and were not; `made`: what `shown` returned."""
        return bool(self.needs) and findings.origin == OWN and OWN in ORIGINS[self.origin] and made is None


def section(anchor: str, title: str, *, needs: str = "", origin: str = "study") -> Callable[[Build], SectionBuilder]:
    """Declare the function below as what builds a section; the module's one line in SECTIONS puts it in its place."""
    def declare(build: Build) -> SectionBuilder:
        return SectionBuilder(anchor=anchor, title=title, needs=needs, origin=origin, content=build)
    return declare
