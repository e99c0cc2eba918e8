"""The results folder: its paths, claims, attempts and statuses. Launchers, ranks and analysis all ask here.

    RESULTS/<plan>/plan.json                        the plan's runs in order, its text, what was skipped
    RESULTS/<plan>/<run_id>/config.json             before the run
    RESULTS/<plan>/<run_id>/attempt-NN/claim.json   who runs it; the folder appears whole, by rename
                                      /steps.jsonl  evaluations as they happen
                                      /failure.json the first failing rank's, created exclusively
    RESULTS/<plan>/<run_id>/record.json             last; never replaced

One writer per file and exclusive creation instead of locks, which shared file systems break.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from . import claims
from .config import RunConfig, from_json, to_json, derived
from .errors import BatchscaleError, RecordError
from .schema import RESULT_STATUSES, SCHEMA_VERSION, finite, problems

FINAL = (*RESULT_STATUSES, "invalid", "failed", "unreadable")
RETRYABLE = ("lost", "preempted", "timed_out")
MAX_ATTEMPTS = 3


def write_json(path: Path, value: Any) -> None:
    """Write by rename, so that a reader sees the whole file or none. Raises RecordError if the folder refuses."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:6]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "w") as file:
            json.dump(finite(value), file, indent=1, allow_nan=False)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True) if temporary.parent.is_dir() else None
        raise RecordError(f"cannot write {path}: {error.strerror}. Free space or choose another folder with "
                          "--results.") from None


def read_json(path: Path) -> Any:
    """The JSON in `path`; None when it is absent, truncated or not JSON."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return None


def other_version(record: Any) -> bool:
    """Whether this is a record by another version of the schema, which is none of ours to set aside."""
    version = record.get("schema_version") if isinstance(record, dict) else None
    return isinstance(version, int) and version != SCHEMA_VERSION


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

    def attempts(self) -> list[Path]:
        return sorted(p for p in self.folder.glob("attempt-[0-9][0-9]") if p.is_dir())

    def record(self) -> dict[str, Any] | None:
        """The record, or None. One that cannot be believed is set aside under another name and left for people."""
        path = self.folder / "record.json"
        if not path.exists():
            return None
        record = read_json(path)
        if other_version(record):
            return None
        wrong = problems(record) if record is not None else ["it is not whole JSON"]
        if not wrong and record["run_id"] != self.run_id:
            wrong = [f"it belongs to run {str(record['run_id'])[:80]!r}"]
        if not wrong:
            return dict(record)
        self._set_aside(path, wrong)
        return None

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
        value = read_json(attempts[-1] / "failure.json") if attempts else None
        return value if isinstance(value, dict) else None

    def status(self) -> str:
        """pending, running, a final status, or one of lost, preempted, timed_out (tried again)."""
        if (record := self.record()) is not None:
            return str(record["status"])
        if (self.folder / "record.json").exists():
            return "unreadable"  # whole, but of another version of the schema: kept as it is
        attempts = self.attempts()
        if not attempts:
            return "pending"
        failure = read_json(attempts[-1] / "failure.json")
        if isinstance(failure, dict):
            status = str(failure.get("status", "failed"))
        else:
            status = "running" if claims.alive(attempts[-1] / "claim.json") else "lost"
        return "failed" if status in RETRYABLE and self._spent() else status

    def _spent(self) -> bool:
        """Whether three attempts since the last asked-for retry ended without a result."""
        count = 0
        for attempt in reversed(self.attempts()):
            count += 1
            claim = read_json(attempt / "claim.json")
            if isinstance(claim, dict) and claim.get("retry"):
                break
        return count >= MAX_ATTEMPTS

    def claim(self, retry_before: float = 0.0) -> Path | None:
        """Take the run: the new attempt's folder, or None when it needs no attempt or another took it first.

        `retry_before`: also take invalid and failed runs whose last attempt began before this time (seconds since
        the epoch).
        """
        status = self.status()
        retry = status in ("invalid", "failed") and self.last_began() < retry_before
        if status != "pending" and status not in RETRYABLE and not retry:
            return None
        number = len(self.attempts()) + 1
        return claims.take(self.folder / f"attempt-{number:02d}", retry=retry)

    def last_began(self) -> float:
        attempts = self.attempts()
        claim = read_json(attempts[-1] / "claim.json") if attempts else None
        return float(claim.get("began", 0.0)) if isinstance(claim, dict) else 0.0

    def finish(self, attempt: Path, record: dict[str, Any]) -> None:
        """Write the record, once. Raises RecordError when one is there or a later attempt has begun."""
        if self.attempts()[-1] != attempt:
            raise RecordError(f"{attempt} was taken over by {self.attempts()[-1].name}; its result is not used.")
        if wrong := problems(finite(record)):
            raise RecordError(f"this record breaks the schema: {'; '.join(wrong[:3])}.")
        write_json(attempt / "record.json", record)
        try:
            os.link(attempt / "record.json", self.folder / "record.json")
        except FileExistsError:
            raise RecordError(f"{self.folder / 'record.json'} exists and is never replaced.") from None
        (attempt / "record.json").unlink()

    def fail(self, attempt: Path, status: str, rank: int, error: BaseException | str, trace: str = "") -> None:
        """Say why an attempt ended without a record; the first rank to say so is the one that is kept."""
        first = str(error).strip().splitlines() or [type(error).__name__]
        kind = type(error).__name__ if isinstance(error, BaseException) else ""
        value = {"status": status, "rank": rank, "host": claims.host(), "error": kind, "message": first[0],
                 "details": trace[-20_000:]}
        temporary = attempt / f".failure.{rank}.{uuid.uuid4().hex[:6]}"
        try:
            temporary.write_text(json.dumps(value, indent=1))
            os.link(temporary, attempt / "failure.json")
        except OSError:
            pass
        finally:
            temporary.unlink(missing_ok=True)


@dataclass(frozen=True)
class Store:
    """RESULTS/<plan>: the runs of one plan."""

    folder: Path

    @property
    def manifest(self) -> dict[str, Any]:
        value = read_json(self.folder / "plan.json")
        if not isinstance(value, dict) or not isinstance(value.get("runs"), list):
            raise RecordError(f"{self.folder / 'plan.json'} is absent or cannot be read; give the folder that "
                              "`batchscale run` wrote, RESULTS/<plan>.")
        return value

    def run(self, run_id: str) -> Run:
        return Run(self.folder / Path(run_id).name)

    def runs(self) -> list[Run]:
        """The plan's own runs, in the plan's order."""
        return [self.run(str(run_id)) for run_id in self.manifest["runs"]]

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
            if (run.folder / "record.json").exists():
                continue
            if (attempt := run.claim(retry_before)) is not None:
                return run, attempt
        return None


def open_store(results: Path) -> Store:
    """The store in RESULTS/<plan>, or in RESULTS when it holds one plan only."""
    if (results / "plan.json").exists():
        return Store(results)
    found = sorted(p.parent for p in results.glob("*/plan.json"))
    if len(found) == 1:
        return Store(found[0])
    if not found:
        raise RecordError(f"{results} holds no results (no plan.json); give the folder that `batchscale run` wrote.")
    names = ", ".join(str(p) for p in found)
    raise BatchscaleError(f"{results} holds {len(found)} plans; name one: {names}.")
