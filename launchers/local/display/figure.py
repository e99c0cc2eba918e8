"""The figure of a run that a person looks for first: its accuracy or loss, or its speed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ....benchmarks.records.run_folder import Run


@dataclass(frozen=True)
class Figure:
    """A number with its name. more_is_better: whether a larger one is the better run."""

    name: str
    value: float
    more_is_better: bool = True

    def __str__(self) -> str:
        return f"{self.value:,.0f} {self.name}" if self.name == "examples/s" else f"{self.name} {self.value:.4g}"


def figure(record: Mapping[str, Any]) -> Figure | None:
    """Return what was measured on the test data at the end, else the throughput of the steady windows."""
    if record["evaluations"]:
        last = record["evaluations"][-1]
        found = [Figure(f"test {name}", last[f"test_{name}"], name == "accuracy") for name in ("accuracy", "loss")
                 if last.get(f"test_{name}") is not None]
        return found[0] if found else None
    steady = [w for w in record["windows"] if w["steady"] and w["rank"] == 0]
    seconds = sum(w["seconds"] for w in steady)
    rate = sum(w["steps"] for w in steady) * record["config"]["global_batch"] / seconds if seconds else 0.0
    return Figure("examples/s", rate) if rate else None


def summary(run: Run) -> str:
    """Return the run's figure or the message of its failure, set off from what stands before it; "" for neither."""
    record = run.record()
    if record is None:
        failure = run.failure()
        return f" ({failure['message'][:200]})" if failure and failure.get("message") else ""
    found = figure(record)
    return f", {found}" if found else ""
