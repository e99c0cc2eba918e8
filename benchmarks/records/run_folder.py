"""One run's folder: its configuration, attempts, failures and record, and the status that follows from them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import RecordError
from ..runs.run_config import from_json, RunConfig
from . import failures, leases
from .json_files import MOST_BYTES, cannot_write, load_json, put, read_json, Unreadable, write_json
from .schema import RESULT_STATUSES, finite, problems
from .seal import altered, other_version, sealed

FINAL = (*RESULT_STATUSES, "invalid", "failed", "unreadable")
RETRYABLE = ("lost", "preempted", "timed_out")
FAILURES = (*RETRYABLE, "invalid", "failed", "out_of_memory")
MAX_ATTEMPTS = 3
ATTEMPT = re.compile(r"attempt-\d{2,6}")
CHECKPOINT = "checkpoint.json"
ARRAYS = "checkpoint.npz"
BEFORE = "checkpoint-before.npz"  # of the state that is being replaced


@dataclass(frozen=True)
class Run:
    """One run's folder, RESULTS/<plan>/<run_id>."""

    folder: Path

    @property
    def run_id(self) -> str:
        """Name of the run, which is the folder's."""
        return self.folder.name

    @cached_property
    def config(self) -> RunConfig:
        """The run's configuration. Raises RecordError when config.json is absent or cannot be read."""
        values = read_json(self.folder / "config.json")
        if not isinstance(values, dict) or not isinstance(values.get("config"), dict):
            raise RecordError(f"{self.folder / 'config.json'} is absent or cannot be read; run the plan again to "
                              "write it.")
        return from_json(values["config"])

    @property
    def record_path(self) -> Path:
        """Path of the record, whether or not it exists."""
        return self.folder / "record.json"

    @property
    def has_record(self) -> bool:
        """Whether record.json exists, even as a link that leads nowhere: a new record could not be written then."""
        return os.path.lexists(self.record_path)

    def attempts(self) -> list[Path]:
        """Return the folders of all attempts, the first one first."""
        found = [path for path in self.folder.glob("attempt-*") if ATTEMPT.fullmatch(path.name)]
        return sorted((path for path in found if path.is_dir() and not path.is_symlink()), key=attempt_number)

    def record(self) -> dict[str, Any] | None:
        """Return the record, or None. A record that fails its checks is renamed and left for people to look at."""
        if not self.has_record:
            return None
        record, wrong, seen = self._examine()
        if other_version(record):
            return None
        if wrong and seen:
            self._set_aside(self.record_path, wrong)
        return None if wrong else record

    def examine(self) -> tuple[dict[str, Any] | None, list[str]]:
        """Return the content of record.json and why it fails its checks, one sentence each. Changes nothing."""
        return self._examine()[:2]

    def _examine(self) -> tuple[dict[str, Any] | None, list[str], bool]:
        """Return the record, why it fails its checks, and whether its content was seen.

        A file that cannot be opened today may be good tomorrow.
        """
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
        """Return the paths of records that were renamed because they failed their checks."""
        return sorted(self.folder.glob("record.corrupt-*.json"))

    def failure(self) -> dict[str, Any] | None:
        """Return the last attempt's failure, if it left one."""
        attempts = self.attempts()
        return failures.read_failure(attempts[-1]) if attempts else None

    def status(self) -> str:
        """Return pending, running, a final status, or one of lost, preempted, timed_out (which are tried again)."""
        if (record := self.record()) is not None:
            return str(record["status"])
        if self.has_record:
            return "unreadable"  # of another version of the schema, or not to be opened now: kept as it is
        attempts = self.attempts()
        if not attempts:
            return "pending"
        failure = failures.read_failure(attempts[-1])
        if failure is not None:
            status = str(failure["status"]) if failure.get("status") in FAILURES else "failed"
        else:
            status = "running" if leases.alive(attempts[-1] / "claim.json") else "lost"
        return "failed" if status in RETRYABLE and self._spent() else status

    def _spent(self) -> bool:
        """Return whether three attempts since the last requested retry ended without a result and without progress."""
        count = 0
        for attempt in reversed(self.attempts()):
            count += not (attempt / CHECKPOINT).exists()
            claim = read_json(attempt / "claim.json")
            if isinstance(claim, dict) and claim.get("retry"):
                break
        return count >= MAX_ATTEMPTS

    def claim(self, retry_before: float = 0.0) -> Path | None:
        """Claim the run; return the new attempt's folder, or None when no attempt is needed or another process was
        first.

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
        taken = leases.take(self.folder / f"attempt-{number:02d}", retry_before if retry else 0.0)
        if taken and before:
            leases.end_halted(before[-1] / "claim.json")
        return taken

    def retry_due(self, status: str, retry_before: float) -> bool:
        """Return whether a retry requested at this time is still to be made.

        The last claim's own retry time decides, since a node's clock may be behind.
        """
        return (status in ("invalid", "failed") and self.last_began() < retry_before
                and self.last_began("retry") < retry_before - 0.01)

    def last_began(self, name: str = "began") -> float:
        """Return the time of this name in the last attempt's claim, seconds since the epoch; 0 where there is none."""
        attempts = self.attempts()
        claim = read_json(attempts[-1] / "claim.json") if attempts else None
        value = claim.get(name) if isinstance(claim, dict) else None
        return float(value) if isinstance(value, (int, float)) and abs(value) < 2**53 else 0.0

    def finish(self, attempt: Path, record: dict[str, Any]) -> None:
        """Write the record with its hash, once. Raises RecordError when one exists or a later attempt has begun."""
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
        """Write why an attempt ended without a record; the first reason is kept. `host`: the rank's, if not this one.
        """
        failures.write_failure(attempt, status, rank, error, trace, host)


def attempt_number(folder: Path) -> int:
    """Return the number in the name of attempt-01, attempt-02, ..., attempt-100."""
    return int(folder.name.rpartition("-")[2])


def remove_states(run: Run) -> None:
    """Remove all kept states of a run from which nothing goes on any more."""
    for attempt in run.attempts():
        for name in (CHECKPOINT, ARRAYS, BEFORE):
            (attempt / name).unlink(missing_ok=True)
