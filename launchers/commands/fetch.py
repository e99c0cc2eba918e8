"""`batchscale fetch NAME`: a published data set into the cache, from the web or from a folder or archive."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

from ...benchmarks.data.fetching import fetch
from ...benchmarks.data.sources.official import OFFICIAL, own_folder, paths
from ...benchmarks.errors import AbsentData, EXIT_OK, one_of, PlanError
from ...benchmarks.text import byte_count

BAR_WIDTH = 24
LINE_SECONDS = 5.0  # between two lines in a log


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's own arguments to its parser."""
    parser.add_argument("name", nargs="?", default="", help=f"{', '.join(OFFICIAL)}; without one, which are here is "
                        "listed")
    parser.add_argument("--from", dest="source", type=Path, metavar="PATH", help="take it from a folder, a .tar.gz, "
                        ".tgz or .zip archive or a file, of IDX, gz or npz files (cifar10: its batches) instead of "
                        "from the web")
    parser.add_argument("--force", action="store_true", help="fetch it though it is here")


def run(arguments: Namespace) -> int:
    """Fetch the data set, or say that it is here; return the exit code. Raises BatchscaleError, having kept nothing
    that is not whole."""
    if not arguments.name:
        return _list()
    if arguments.name not in OFFICIAL:
        raise PlanError(one_of("name", arguments.name, OFFICIAL))
    here = _place(arguments.name)
    if here and not arguments.force and not arguments.source:
        print(f"{arguments.name} is here: {here} (--force fetches it again)")
        return EXIT_OK
    _fetch(arguments.name, arguments.source)
    return EXIT_OK


def _list() -> int:
    for name in OFFICIAL:
        print(f"{name:15}{_place(name) or f'not here; batchscale fetch {name}'}")
    return EXIT_OK


def _place(name: str) -> str:
    """Where the data set lies; "" where it is not on this machine."""
    try:
        first, *others = paths(name)
    except AbsentData:
        return ""
    return str(first.parent if others else first)


def _fetch(name: str, source: Path | None) -> None:
    """Fetch and say what came: each file with its size, and that it is what was published."""
    if source is None:
        shown = Transfer(name)
        for address in fetch.ADDRESSES[name]:
            print(f"{name}: {address.url}", flush=True)
        try:
            kept = fetch.from_web(name, shown.update)
        finally:
            shown.end()
    else:
        kept = fetch.from_path(name, source)
    official = OFFICIAL[name]
    for file, size in kept.items():
        print(f"  {file:24} {size:>11,} bytes  {official.digests[file]}")
    print(f"{name}: {official.source}; {official.size.train_examples:,} to train on and "
          f"{official.size.test_examples:,} to test on, as published; kept in {own_folder(name)}")


class Transfer:
    """Display of a download: a moving bar in a terminal, a line now and then in a log."""

    def __init__(self, name: str) -> None:
        self._name, self._live = name, sys.stdout.isatty()
        self._said = time.monotonic()

    def update(self, done: int, total: int) -> None:
        """Show how many bytes are there of how many; 0 in all where that is not known."""
        text = byte_count(done) + (f" of {byte_count(total)}, {done / total:.0%}" if total else "")
        if self._live:
            full = BAR_WIDTH * done // total if total else 0
            print(f"\r\033[K{'█' * full}{'░' * (BAR_WIDTH - full)} {text}", end="", flush=True)
        elif time.monotonic() - self._said >= LINE_SECONDS or done == total:
            self._said = time.monotonic()
            print(f"{self._name}: {text}", flush=True)

    def end(self) -> None:
        """Leave a clean line."""
        if self._live:
            print("\r\033[K", end="", flush=True)
