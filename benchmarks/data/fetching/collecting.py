"""The files of a published data set out of those that are offered, each known by what it holds, however packed."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ...errors import DataError
from ...text import counted, plain
from ..sources import idx
from ..sources.npz import read_archive
from ..sources.official import digest_of, OFFICIAL
from .members import Member, MOST_BYTES

SHOWN_DIGITS = 12


def collected(name: str, offered: Iterable[Member], source: str) -> dict[str, bytes]:
    """Return the data set's files by name, as they were published. Raises DataError, saying what is missing and why
    another file was refused."""
    digests, found, refused = OFFICIAL[name].digests, dict[str, bytes](), list[str]()
    for member in offered:
        try:
            for file, content in _contents(name, member):
                if (digest := digest_of(content, digests[file])) == digests[file]:
                    found[file] = content
                else:
                    refused.append(f"{member.place} has another content than the {file} that was published "
                                   f"({_short(digest)}, not {_short(digests[file])})")
        except DataError as error:
            refused.append(str(error).rstrip("."))
        if len(found) == len(digests):
            return {file: found[file] for file in digests}
    raise DataError(_sentence(name, source, [file for file in digests if file not in found], refused))


def _sentence(name: str, source: str, missing: Sequence[str], refused: Sequence[str]) -> str:
    why = plain(refused[0]) if refused else f"there is no {missing[0]}, packed or not"
    more = f", and so for {counted(len(missing) - 1, 'file')} more" if len(missing) > 1 else ""
    own = "; files of your own in IDX form are the data set idx:FOLDER" if name != "cifar10" else ""
    return f"{source} does not hold {name} as it was published: {why}{more}{own}. Nothing is kept."


def _short(digest: str) -> str:
    algorithm, _, digits = digest.partition(":")
    return f"{algorithm} {digits[:SHOWN_DIGITS]}..."


def _contents(name: str, member: Member) -> Iterator[tuple[str, bytes]]:
    """Yield what a file holds of the data set, by the names that its files have in the cache."""
    digests = OFFICIAL[name].digests
    if name == "cifar10":
        if member.name in digests:
            yield member.name, member.read()
    elif member.name.endswith(".npz"):
        arrays = read_archive(io.BytesIO(member.read()), member.place)
        yield from ((file, _idx(arrays[part], member)) for part, file in zip(idx.PARTS, digests))
    elif part := idx.part_of(member.name):
        with member.open() as opened:
            array = idx.read(opened, member.place, MOST_BYTES)
        yield list(digests)[list(idx.PARTS).index(part)], _idx(array, member)


def _idx(array: idx.Array, member: Member) -> bytes:
    if array.dtype != np.uint8:
        raise DataError(f"{member.place} holds {array.dtype}, not the bytes of pictures and labels")
    return idx.written(array)
