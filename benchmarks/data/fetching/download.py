"""Files from the web: gone on with where a connection broke, by HTTP's Range, within limits; proxies by urllib."""

from __future__ import annotations

import fcntl
import http
import http.client
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.request import build_opener, Request

from ...errors import BatchscaleError, DataError, EnvironmentUnusable, Unfinished
from ...text import byte_count
from .members import MOST_BYTES

CHUNK_BYTES = 2**16
TIMEOUT_SECONDS = 30.0
PAUSES_SECONDS = (1.0, 2.0, 4.0, 8.0)  # before each further connection that brings nothing new
MOST_DIGITS = 16
RANGE = re.compile(r"bytes (?:(\d{1,15})-\d+|\*)/(\d{1,15})")
OFFLINE = "without a network, give a folder or an archive by --from"

Progress = Callable[[int, int], None]
"""Called with the bytes that are there and those in all, 0 where that is not known."""


def download(url: str, partial: Path, progress: Progress) -> bool:
    """Bring the file at `url` to `partial`, which may hold its beginning; return whether it did.

    Raises EnvironmentUnusable where the address cannot be reached or answers with an error, Unfinished where the
    connection broke again and again, which leaves what has come, and DataError for more than any data set has.
    """
    with _alone(partial) as file:
        begun = before = _size(file)
        barren, problem = 0, ""
        while barren <= len(PAUSES_SECONDS):
            try:
                if _receive(url, file, progress):
                    return begun > 0
                problem = "the answer ended early"
            except HTTPError as error:
                raise EnvironmentUnusable(f"{url} answers {error.code} {error.reason}; {OFFLINE}.") from None
            except (OSError, http.client.HTTPException) as error:
                problem = _reason(error)
                if _size(file) == begun:
                    raise EnvironmentUnusable(f"{url} cannot be reached: {problem}; {OFFLINE}.") from None
            barren = 0 if _size(file) > before else barren + 1
            before = _size(file)
            time.sleep(PAUSES_SECONDS[min(barren, len(PAUSES_SECONDS) - 1)])
        raise Unfinished(f"the connection to {url} broke after {byte_count(before)} ({problem}); they are kept, and "
                         f"the same command goes on; {OFFLINE}.")


@contextmanager
def _alone(partial: Path) -> Iterator[IO[bytes]]:
    """The file, open for reading and writing at its end, which no other process writes meanwhile."""
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        file = partial.open("ab", buffering=0)
    except OSError as error:
        raise cannot_write(partial.parent, error) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BatchscaleError(f"another process is fetching {partial.name}; wait until it has ended.") from None
        try:
            yield file
        except BaseException:
            if not _size(file):
                partial.unlink()
            raise


def _size(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size


def cannot_write(folder: Path, error: OSError) -> DataError:
    """Return the error for a folder of the cache that the system refuses."""
    return DataError(f"cannot write in {folder}: {error.strerror}. Free space, or set BATCHSCALE_CACHE to a folder "
                     "that you can write.")


def _receive(url: str, file: IO[bytes], progress: Progress) -> bool:
    """Ask once for what is missing and write what comes. Whether all has come."""
    start = _size(file)
    headers = {"User-Agent": "batchscale", "Accept-Encoding": "identity"}
    request = Request(url, headers=headers | ({"Range": f"bytes={start}-"} if start else {}))
    try:
        answer = build_opener().open(request, timeout=TIMEOUT_SECONDS)  # by the environment as it is now
    except HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not start:
            raise
        if _told(error.headers.get("Content-Range"))[1] == start:
            return True
        file.truncate(0)  # what is there is longer than the file, so it is the beginning of another one
        return _receive(url, file, progress)
    with answer:
        begins, total = _told(answer.headers.get("Content-Range"))
        if answer.status != http.HTTPStatus.PARTIAL_CONTENT or begins != start:
            file.truncate(0)  # the whole file comes again
            told = answer.headers.get("Content-Length") or ""
            total = int(told) if told.isdecimal() and len(told) < MOST_DIGITS else 0
        _write(url, answer, file, total, progress)
    return _size(file) >= total


def _write(url: str, answer: IO[bytes], file: IO[bytes], total: int, progress: Progress) -> None:
    done = _size(file)
    while chunk := answer.read(CHUNK_BYTES):
        done += len(chunk)
        if max(done, total) > MOST_BYTES:
            file.truncate(0)
            raise DataError(f"{url} is larger than {MOST_BYTES // 2**20} MiB, which no data set here is; nothing is "
                            "kept.")
        try:
            file.write(chunk)
        except OSError as error:
            raise cannot_write(Path(str(file.name)).parent, error) from None
        progress(done, total)


def _told(content_range: str | None) -> tuple[int, int]:
    """Where the part begins and how long the whole file is, by the answer's Content-Range; -1, 0 without one."""
    match = RANGE.fullmatch(content_range or "")
    return (int(match[1]) if match[1] else -1, int(match[2])) if match else (-1, 0)


def _reason(error: Exception) -> str:
    reason = error.reason if isinstance(error, URLError) else error
    return str(getattr(reason, "strerror", None) or reason or type(reason).__name__).rstrip(".")
