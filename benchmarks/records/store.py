"""The results folder: its paths, claims, attempts and statuses. Launchers, ranks and analysis all ask here.

    RESULTS/<plan>/plan.json                        the plan's runs in order, its text, what was skipped
    RESULTS/<plan>/<run_id>/config.json             before the run
    RESULTS/<plan>/<run_id>/attempt-NN/claim.json   who runs it; the folder appears whole, by rename
                                      /steps.jsonl  evaluations as they happen
                                      /failure.json the first failing rank's, created exclusively
                                      /launcher.json what the launcher saw of its end
    RESULTS/<plan>/<run_id>/record.json             last; never replaced

One writer per file and exclusive creation instead of locks, which shared file systems break.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import BatchscaleError, RecordError
from ..runs.derived import derived
from ..runs.run_config import RunConfig, to_json
from .json_files import write_json
from .manifest import Manifest, read as read_manifest
from .run_folder import Run

FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")


@dataclass(frozen=True)
class Store:
    """The folder RESULTS/<plan> with the runs of one plan."""

    folder: Path

    @property
    def manifest(self) -> Manifest:
        """Content of plan.json. Raises RecordError where it is absent or cannot be believed."""
        return read_manifest(self.folder)

    def run(self, run_id: str) -> Run:
        """Return the run of this id, directly inside the plan's folder. Raises RecordError for an id that cannot name
        a folder."""
        if not FOLDER.fullmatch(run_id):
            raise RecordError(f"{self.folder / 'plan.json'} lists a run {run_id[:80]!r}, which cannot name a folder; "
                              "run the plan again to write it.")
        return Run(self.folder / run_id)

    def runs(self) -> list[Run]:
        """Return the runs that the plan lists, in the plan's order."""
        return [self.run(run_id) for run_id in self.manifest.runs]

    def others(self) -> list[Run]:
        """Return runs in the folder that the plan, in its present form, does not list."""
        own = set(self.manifest.runs)
        return [Run(p.parent) for p in sorted(self.folder.glob("*/config.json")) if p.parent.name not in own]

    def prepare(self, configs: list[RunConfig], facts: dict[str, Any]) -> None:
        """Write the plan and every run's configuration before any rank starts; existing runs stay as they are."""
        for config in configs:
            path = self.folder / config.run_id / "config.json"
            if not path.exists():
                write_json(path, {"run_id": config.run_id, "config": to_json(config), "derived": derived(config)})
        write_json(self.folder / "plan.json", {"runs": [c.run_id for c in configs], **facts})

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield the record of every run of the plan that has one, in the plan's order."""
        for run in self.runs():
            if (record := run.record()) is not None:
                yield record

    @staticmethod
    def claim_next(runs: list[Run], retry_before: float = 0.0) -> tuple[Run, Path] | None:
        """Claim the first of `runs` that needs an attempt; None when none does."""
        for run in runs:
            if run.has_record:
                continue
            if (attempt := run.claim(retry_before)) is not None:
                return run, attempt
        return None


def open_store(results: Path) -> Store:
    """Return the store in RESULTS/<plan>, or in RESULTS when it holds one plan only.

    Raises RecordError when there is none, BatchscaleError when there are several.
    """
    found = open_stores(results)
    if len(found) == 1:
        return found[0]
    names = ", ".join(str(store.folder) for store in found)
    raise BatchscaleError(f"{results} holds {len(found)} plans; name one: {names}.")


def open_stores(results: Path) -> list[Store]:
    """Return the store in RESULTS/<plan>, or all those in RESULTS. Raises RecordError when there is none."""
    try:
        if (results / "plan.json").exists():
            return [Store(results)]
        found = [Store(path.parent) for path in sorted(results.glob("*/plan.json"))]
    except (OSError, ValueError) as error:
        raise RecordError(f"{str(results)[:200]!r} cannot be opened: {error}.") from None
    if not found:
        raise RecordError(f"{results} holds no results (no plan.json); give the folder that `batchscale run` wrote.")
    return found
