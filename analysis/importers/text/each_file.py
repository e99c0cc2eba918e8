"""Many files of one format, of which an odd one does not refuse the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from ....benchmarks.errors import RecordError
from ..imported_run import ImportedRun
from ..sources import Sources, TooMuch

MOST_NAMED = 3
Item = TypeVar("Item")


def read_each(sources: Sources, paths: Sequence[Path], runs_of: Callable[[Path], Iterable[ImportedRun]],
              hint: str) -> list[ImportedRun]:
    """Return the runs of each file; the notes of the sources name those that were left out, with the first's reason.

    Raises RecordError where no file is left, the path is a single file that cannot be believed, or the files are too
    much in all.
    """
    runs, reason = believed(sources, paths, runs_of)
    if not runs:
        why = f" ({reason})" if reason else ""
        raise RecordError(f"{sources.named(sources.path)} holds no such file{why}; give {hint}.")
    return runs


def believed(sources: Sources, paths: Sequence[Path], of: Callable[[Path], Iterable[Item]]) -> tuple[list[Item], str]:
    """Return what each file of a folder holds, and why the first that cannot be believed was left out, "" where none
    was; a note names those. Of a file that turns out odd nothing is kept, whatever came before.

    Raises RecordError where the path is a single file that cannot be believed, or the files are too much in all.
    """
    found, odd = list[Item](), dict[str, str]()
    for path in paths:
        try:
            found += list(of(path))
        except TooMuch:
            raise
        except RecordError as error:
            if not sources.is_folder():
                raise
            odd[sources.named(path)] = str(error).rstrip(".")
    reason = next(iter(odd.values()), "")
    if odd and found:
        more = f" and {len(odd) - MOST_NAMED:,} more" if len(odd) > MOST_NAMED else ""
        sources.notes.append(f"{', '.join(list(odd)[:MOST_NAMED])}{more} left out: {reason}.")
    return found, reason


def run_name(sources: Sources, path: Path, parts: Sequence[str] = ()) -> tuple[str, str]:
    """Return the name of a file's run, and where it lies below the import; parts: of the path that say nothing, such
    as `files`, which the name leaves out."""
    if not sources.is_folder():
        return path.stem, ""
    inside = path.relative_to(sources.path)
    kept = [part for part in inside.parts[:-1] if part not in parts]
    return "/".join(kept) or sources.path.absolute().name, str(inside)
