"""`batchscale clean RESULTS`: list what nothing needs any more; remove it only when told.

Results are never listed: neither a record, nor the attempt that wrote it, nor what a living process works on.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ....benchmarks.errors import EXIT_OK, RecordError
from ....benchmarks.records import leases
from ....benchmarks.records.run_folder import attempt_number, Run
from ....benchmarks.records.store import open_stores, Store
from ....benchmarks.text import counted, plain
from ..options import add_results
from .verify import run_folders

ORPHAN_SECONDS = 600.0
# As json_files, claims and Run.fail name what they rename or remove at once, unless the process dies in between.
TEMPORARY = re.compile(r"\.[\w.-]+\.jsonl?\.\d+\.[0-9a-f]{6}|\.failure\.-?\d+\.[0-9a-f]{6}|\.(now|claim)-[0-9a-f]{32}")


@dataclass(frozen=True)
class Leftover:
    """A file or folder that may go, and why."""

    what: str
    path: Path
    consequence: str = ""

    @property
    def bytes(self) -> int:
        """Return the size on disk in bytes, of a folder with all that is inside."""
        if not self.path.is_dir() or self.path.is_symlink():
            return self.path.lstat().st_size
        return sum(p.lstat().st_size for p in self.path.rglob("*") if not p.is_dir())


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's own arguments to its parser."""
    add_results(parser)
    parser.add_argument("--yes", action="store_true", help="remove what is listed")


def run(arguments: Namespace) -> int:
    """List the leftovers, and with `--yes` remove them."""
    return show(arguments.results, arguments.yes)


def show(results: Path, remove: bool) -> int:
    """Print the leftovers; with `remove`, remove them. Raises RecordError for one that cannot be removed."""
    found = [leftover for store in open_stores(results) for leftover in leftovers(store)]
    if not found:
        print(f"{results}: nothing to clean")
        return EXIT_OK
    for leftover in found:
        note = f" ({leftover.consequence})" if leftover.consequence else ""
        print(plain(f"{leftover.what}: {leftover.path}{note}"))
    count = f"{counted(len(found), 'leftover')}, {sum(item.bytes for item in found):,} bytes"
    if not remove:
        print(f"{count}; nothing was removed. To remove: batchscale clean {results} --yes")
        return EXIT_OK
    gone = sum(_remove(leftover) for leftover in found)
    print(f"{count}; {gone} removed")
    return EXIT_OK


def leftovers(store: Store) -> list[Leftover]:
    """Return what may go from one plan's folder, in the order of paths."""
    found = [leftover for run in run_folders(store) for leftover in _of_run(run)]
    inside = {leftover.path for leftover in found}
    found += [item for item in _temporary(store.folder) if not inside & {item.path, *item.path.parents}]
    return sorted(found, key=lambda leftover: leftover.path)


def _of_run(run: Run) -> Iterator[Leftover]:
    record, wrong = run.examine()
    for path in run.corrupt():
        yield Leftover("set-aside record", path, "its run has no good record yet" if wrong else "")
        if path.with_suffix(".txt").exists():
            yield Leftover("set-aside record", path.with_suffix(".txt"), "the reason")
    for attempt in run.attempts():
        if leases.alive(attempt / "claim.json") or attempt.is_symlink():
            continue
        if not run.has_record:
            if not (attempt / "failure.json").exists():
                yield Leftover("stale claim", attempt, "its process is gone; this attempt will no longer count")
        elif record is not None and not wrong:  # one that cannot be believed is for `verify` to name first
            if record["attempt"] != attempt_number(attempt):
                yield Leftover("old attempt", attempt)
            elif (attempt / "record.json").exists():
                yield Leftover("copy of the record", attempt / "record.json")


def _temporary(folder: Path) -> Iterator[Leftover]:
    """Half-written files and claims that are too old to belong to a living process."""
    before = time.time() - ORPHAN_SECONDS
    for parent, folders, files in os.walk(folder):
        for path in (Path(parent, name) for name in (*folders, *files) if TEMPORARY.fullmatch(name)):
            if path.lstat().st_mtime < before:
                yield Leftover("orphan temporary file", path)


def _remove(leftover: Leftover) -> bool:
    """Whether it was removed: an attempt that came to life since it was listed stays."""
    path = leftover.path
    if leases.alive(path / "claim.json"):
        return False
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise RecordError(f"cannot remove {path}: {error.strerror}; what was listed after it is still there.") from None
    return True
