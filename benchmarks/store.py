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

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from . import claims, endings
from .config import RunConfig, from_json, to_json, derived
from .errors import BatchscaleError, RecordError
from .json_files import MOST_BYTES, Unreadable, cannot_write, load_json, put
from .json_files import read_json as read_json
from .json_files import write_json as write_json
from .schema import RESULT_STATUSES, finite, problems
from .sealing import altered as altered
from .sealing import other_version as other_version
from .sealing import sealed as sealed

FINAL = (*RESULT_STATUSES, "invalid", "failed", "unreadable")
RETRYABLE = ("lost", "preempted", "timed_out")
FAILURES = (*RETRYABLE, "invalid", "failed", "out_of_memory")
MAX_ATTEMPTS = 3
ATTEMPT = re.compile(r"attempt-\d{2,6}")
CHECKPOINT = "checkpoint.json"
FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")


@dataclass(frozen=True)
class Run:
    """One run's folder."""

    folder: Path

    @property
    def run_id(self) -> str:
        return self.folder.name

    @cached_property
    def config(self) -> RunConfig:
        values = read_json(self.folder / "config.json")
        if not isinstance(values, dict) or not isinstance(values.get("config"), dict):
            raise RecordError(f"{self.folder / 'config.json'} is absent or cannot be read; run the plan again to "
                              "write it.")
        return from_json(values["config"])

    @property
    def record_path(self) -> Path:
        return self.folder / "record.json"

    @property
    def has_record(self) -> bool:
        """Whether its place is taken, be it by a link that leads nowhere."""
        return os.path.lexists(self.record_path)

    def attempts(self) -> list[Path]:
        """Their folders, the first one first."""
        found = [path for path in self.folder.glob("attempt-*") if ATTEMPT.fullmatch(path.name)]
        return sorted((path for path in found if path.is_dir() and not path.is_symlink()), key=attempt_number)

    def record(self) -> dict[str, Any] | None:
        """The record, or None. One that cannot be believed is set aside under another name and left for people."""
        if not self.has_record:
            return None
        record, wrong, seen = self._examine()
        if other_version(record):
            return None
        if wrong and seen:
            self._set_aside(self.record_path, wrong)
        return None if wrong else record

    def examine(self) -> tuple[dict[str, Any] | None, list[str]]:
        """What stands in record.json, and why it cannot be believed, one sentence each. Changes nothing."""
        return self._examine()[:2]

    def _examine(self) -> tuple[dict[str, Any] | None, list[str], bool]:
        """The same, and whether the content was seen: a file that cannot be opened today may be good tomorrow."""
        try:
            record = load_json(self.record_path)
        except RecordError as error:
            return None, [str(error)], not isinstance(error, Unreadable)
        wrong = problems(record)
        if not wrong and record["run_id"] != self.run_id:
            wrong = [f"it belongs to run {str(record['run_id'])[:80]!r}"]
        wrong = wrong or altered(record)
        return record if isinstance(record, dict) else None, wrong, True

    def _set_aside(self, path: Path, wrong: list[str]) -> None:
        for number in range(1, 100):
            target = path.with_name(f"record.corrupt-{number}.json")
            if not target.exists():
                try:
                    os.rename(path, target)
                    target.with_suffix(".txt").write_text("\n".join(wrong) + "\n")
                except OSError:
                    pass
                return

    def corrupt(self) -> list[Path]:
        """Records that were set aside because they could not be believed."""
        return sorted(self.folder.glob("record.corrupt-*.json"))

    def failure(self) -> dict[str, Any] | None:
        """The last attempt's failure, if it left one."""
        attempts = self.attempts()
        return endings.told(attempts[-1]) if attempts else None

    def status(self) -> str:
        """pending, running, a final status, or one of lost, preempted, timed_out (tried again)."""
        if (record := self.record()) is not None:
            return str(record["status"])
        if self.has_record:
            return "unreadable"  # of another version of the schema, or not to be opened now: kept as it is
        attempts = self.attempts()
        if not attempts:
            return "pending"
        failure = endings.told(attempts[-1])
        if failure is not None:
            status = str(failure["status"]) if failure.get("status") in FAILURES else "failed"
        else:
            status = "running" if claims.alive(attempts[-1] / "claim.json") else "lost"
        return "failed" if status in RETRYABLE and self._spent() else status

    def _spent(self) -> bool:
        """Whether three attempts since the last asked-for retry ended without a result, and without a step forward."""
        count = 0
        for attempt in reversed(self.attempts()):
            count += not (attempt / CHECKPOINT).exists()
            claim = read_json(attempt / "claim.json")
            if isinstance(claim, dict) and claim.get("retry"):
                break
        return count >= MAX_ATTEMPTS

    def claim(self, retry_before: float = 0.0) -> Path | None:
        """Take the run: the new attempt's folder, or None when it needs no attempt or another took it first.

        `retry_before`: also take invalid and failed runs whose last attempt began before this time (seconds since
        the epoch).
        """
        # The number comes first: whoever claims between the two looks makes this claim fail, instead of a second one.
        before = self.attempts()
        number = max(map(attempt_number, before), default=0) + 1
        status = self.status()
        retry = self.retry_due(status, retry_before)
        if status != "pending" and status not in RETRYABLE and not retry:
            return None
        taken = claims.take(self.folder / f"attempt-{number:02d}", retry_before if retry else 0.0)
        if taken and before:
            claims.end_halted(before[-1] / "claim.json")
        return taken

    def retry_due(self, status: str, retry_before: float) -> bool:
        """Whether a retry asked for at this time was not made: by its claim, since a node's clock may be behind."""
        return (status in ("invalid", "failed") and self.last_began() < retry_before
                and self.last_began("retry") < retry_before - 0.01)

    def last_began(self, name: str = "began") -> float:
        """This time in the last attempt's claim; 0 where there is none."""
        attempts = self.attempts()
        claim = read_json(attempts[-1] / "claim.json") if attempts else None
        value = claim.get(name) if isinstance(claim, dict) else None
        return float(value) if isinstance(value, (int, float)) and abs(value) < 2**53 else 0.0

    def finish(self, attempt: Path, record: dict[str, Any]) -> None:
        """Write the record with its hash, once. Raises RecordError when one is there or a later attempt has begun."""
        if (last := self.attempts()[-1:]) != [attempt]:
            by = f"taken over by {last[0].name}" if last else "removed"
            raise RecordError(f"{attempt} was {by}; its result is not used.")
        if (attempt / "failure.json").exists():
            raise RecordError(f"{attempt} was ended ({(self.failure() or {}).get('message')}); its result is not used.")
        if wrong := problems(finite(record)):
            raise RecordError(f"this record breaks the schema: {'; '.join(wrong[:3])}.")
        write_json(attempt / "record.json", sealed(record))
        if (size := (attempt / "record.json").stat().st_size) > MOST_BYTES:
            raise RecordError(f"{attempt / 'record.json'} has {size:,} bytes, more than the {MOST_BYTES:,} that are "
                              "ever read; take fewer windows or evaluations.")
        try:
            put(attempt / "record.json", self.record_path)
        except FileExistsError:
            raise RecordError(f"{self.record_path} exists and is never replaced.") from None
        except OSError as error:
            raise cannot_write(self.record_path, error) from None
        (attempt / "record.json").unlink(missing_ok=True)

    def fail(self, attempt: Path, status: str, rank: int, error: BaseException | str, trace: str = "",
             host: str = "") -> None:
        """Say why an attempt ended without a record; the first to say so is kept. `host`: the rank's, if not this."""
        endings.write_failure(attempt, status, rank, error, trace, host)


@dataclass(frozen=True)
class Store:
    """RESULTS/<plan>: the runs of one plan."""

    folder: Path

    @property
    def manifest(self) -> dict[str, Any]:
        value = read_json(self.folder / "plan.json")
        runs = value.get("runs") if isinstance(value, dict) else None
        if not isinstance(runs, list) or not all(isinstance(run_id, str) for run_id in runs):
            raise RecordError(f"{self.folder / 'plan.json'} is absent or cannot be read; give the folder that "
                              "`batchscale run` wrote, RESULTS/<plan>.")
        return dict(value)

    def run(self, run_id: str) -> Run:
        """The run's folder, directly inside the plan's. Raises RecordError for what cannot name one."""
        if not FOLDER.fullmatch(run_id):
            raise RecordError(f"{self.folder / 'plan.json'} lists a run {run_id[:80]!r}, which cannot name a folder; "
                              "run the plan again to write it.")
        return Run(self.folder / run_id)

    def runs(self) -> list[Run]:
        """The plan's own runs, in the plan's order."""
        return [self.run(run_id) for run_id in self.manifest["runs"]]

    def others(self) -> list[Run]:
        """Runs in the folder that the plan, as it stands now, does not list."""
        own = set(self.manifest["runs"])
        return [Run(p.parent) for p in sorted(self.folder.glob("*/config.json")) if p.parent.name not in own]

    def prepare(self, configs: list[RunConfig], facts: dict[str, Any]) -> None:
        """Write the plan and every run's configuration before any rank starts; existing runs stay as they are."""
        for config in configs:
            path = self.folder / config.run_id / "config.json"
            if not path.exists():
                write_json(path, {"run_id": config.run_id, "config": to_json(config), "derived": derived(config)})
        write_json(self.folder / "plan.json", {"runs": [c.run_id for c in configs], **facts})

    def records(self) -> Iterator[dict[str, Any]]:
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


def attempt_number(folder: Path) -> int:
    """Of attempt-01, attempt-02, ..., attempt-100."""
    return int(folder.name.rpartition("-")[2])


def open_store(results: Path) -> Store:
    """The store in RESULTS/<plan>, or in RESULTS when it holds one plan only."""
    found = open_stores(results)
    if len(found) == 1:
        return found[0]
    names = ", ".join(str(store.folder) for store in found)
    raise BatchscaleError(f"{results} holds {len(found)} plans; name one: {names}.")


def open_stores(results: Path) -> list[Store]:
    """The store in RESULTS/<plan>, or all those in RESULTS. Raises RecordError when there is none."""
    try:
        if (results / "plan.json").exists():
            return [Store(results)]
        found = [Store(path.parent) for path in sorted(results.glob("*/plan.json"))]
    except (OSError, ValueError) as error:
        raise RecordError(f"{str(results)[:200]!r} cannot be opened: {error}.") from None
    if not found:
        raise RecordError(f"{results} holds no results (no plan.json); give the folder that `batchscale run` wrote.")
    return found
