"""The format of TFRecord files: a record is a length, its checksum, a message and its checksum.

The checksum is CRC-32C (Castagnoli, RFC 3720) in a masked form. TensorBoard's event files are framed alike.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ...errors import DataError
from .encoded import LARGEST_IMAGE_BYTES, MAGIC

_POLYNOMIAL = 0x82F63B78  # reflected
_MASK_DELTA = 0xA282EAD8
_WORD = 0xFFFFFFFF


def _table() -> tuple[int, ...]:
    found = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        found.append(value)
    return tuple(found)


_TABLE = _table()


def crc32c(data: bytes) -> int:
    """Return the CRC-32C (RFC 3720) by one table look-up per byte: meant for record lengths and for writing small
    sets.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    value = _WORD
    for byte in data:
        value = _TABLE[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ _WORD


def masked_crc32c(data: bytes) -> int:
    """Return the CRC rotated right by 15 bits plus a constant, so that a CRC over data that contains CRCs stays
    useful."""
    value = crc32c(data)
    return ((value >> 15 | value << 17) + _MASK_DELTA) & _WORD


IMAGE, LABEL, TEXT = "image/encoded", "image/class/label", "image/class/text"
HEADER_BYTES, FOOTER_BYTES = 12, 4
WINDOW_BYTES = 8192  # small images come several at a time, of large ones only what stands before and after them
LONGEST_KEY = 256
MOST_FEATURES = 1000
MOST_FIELDS = 10_000
VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5


class Entry(NamedTuple):
    """One record: position and length of its encoded image in the file, and its label as stored."""

    offset: int
    length: int
    label: int


class Malformed(Exception):
    """Error in the format of a record; its message says in a few words what is wrong."""


class Window:
    """A file's bytes by position, a few kilobytes of it in memory at a time."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size
        self._start, self._held = 0, b""

    def bytes(self, at: int, count: int) -> bytes:
        """Return `count` bytes, at most WINDOW_BYTES. Raises Malformed where the file ends earlier."""
        first = at - self._start
        if first < 0 or first + count > len(self._held):
            self._start, self._held, first = at, os.pread(self._descriptor, WINDOW_BYTES, at), 0
            if count > len(self._held):
                raise Malformed("the file ends in the middle of it")
        return self._held[first:first + count]

    def varint(self, at: int) -> tuple[int, int]:
        """Return a variable-length whole number and the position after it."""
        value = 0
        for shift in range(0, 70, 7):
            byte = self.bytes(at, 1)[0]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, at
        raise Malformed("a number in it has more than ten bytes")


def entries(path: Path) -> Iterator[Entry]:
    """Yield every record of a file, in order. Raises DataError naming file and record."""
    record = 0
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            window, at = Window(descriptor), 0
            while at < window.size:
                start, stop = _message(window, at)
                yield _entry(window, start, stop)
                record, at = record + 1, stop + FOOTER_BYTES
        finally:
            os.close(descriptor)
    except Malformed as problem:
        raise DataError(f"{path}, record {record} (counted from 0): {problem}. It must be an uncompressed TFRecord "
                        f"file of Examples with {IMAGE} (JPEG or PNG) and {LABEL}.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None


def _message(window: Window, at: int) -> tuple[int, int]:
    """Start and stop of the message of the record at this position, its length checked."""
    header = window.bytes(at, HEADER_BYTES)
    length, check = struct.unpack("<QI", header)
    if masked_crc32c(header[:8]) != check:
        raise Malformed("the checksum of its length does not fit")
    start = at + HEADER_BYTES
    if length > window.size - start - FOOTER_BYTES:
        raise Malformed(f"its length of {length:,} bytes goes beyond the end of the file")
    return start, start + length


def _entry(window: Window, start: int, stop: int) -> Entry:
    """What is needed of the Example (field 1: Features (field 1: a map entry for each feature))."""
    found: dict[str, tuple[int, int]] = {}
    for first, last in _parts(window, start, stop, 1):
        for entry in _parts(window, first, last, 1):
            found.update(_feature(window, *entry))
            if len(found) > MOST_FEATURES:
                raise Malformed(f"it has more than {MOST_FEATURES:,} features")
    for key in (IMAGE, LABEL):
        if key not in found:
            raise Malformed(f"it lacks {key}; it has {', '.join(sorted(found)[:20]) or 'no features'}")
    offset, end = _only(window, found[IMAGE], 1, IMAGE, "bytes")
    if not 0 < end - offset <= LARGEST_IMAGE_BYTES:
        raise Malformed(f"{IMAGE} has {end - offset:,} bytes; expected: from 1 to {LARGEST_IMAGE_BYTES:,}")
    if not window.bytes(offset, min(4, end - offset)).startswith(tuple(MAGIC)):
        raise Malformed(f"{IMAGE} is neither {' nor '.join(MAGIC.values())}")
    return Entry(offset, end - offset, _label(window, found[LABEL]))


def _feature(window: Window, start: int, stop: int) -> dict[str, tuple[int, int]]:
    """A map entry: its key (field 1), and where its Feature (field 2) lies."""
    key, value = "", (stop, stop)
    for number, first, last in _fields(window, start, stop):
        if number == 1:
            if last - first > LONGEST_KEY:
                raise Malformed(f"a feature's name has {last - first:,} bytes")
            key = window.bytes(first, last - first).decode(errors="replace")
        elif number == 2:
            value = (first, last)
    return {key: value}


def _only(window: Window, feature: tuple[int, int], kind: int, name: str, what: str) -> tuple[int, int]:
    """The one value of a Feature's list (field `kind`: 1 bytes, 3 int64)."""
    values = [value for inner in _parts(window, *feature, kind) for value in _parts(window, *inner, 1)]
    if len(values) != 1:
        raise Malformed(f"{name} has {len(values)} values of {what}; it must have one")
    return values[0]


def _label(window: Window, feature: tuple[int, int]) -> int:
    """An int64 list of one value, packed or not."""
    found = []
    for inner in _parts(window, *feature, 3):
        for number, first, last in _fields(window, *inner, varints=True):
            while number == 1 and first < last:
                value, first = window.varint(first)
                found.append(value)
                if len(found) > 1:
                    raise Malformed(f"{LABEL} has several values; it must have one")
    if not found:
        raise Malformed(f"{LABEL} has no int64 value; it must have one")
    return found[0] - 2**64 if found[0] >= 2**63 else found[0]


def _parts(window: Window, start: int, stop: int, wanted: int) -> Iterator[tuple[int, int]]:
    """Where the length-delimited fields of this number lie."""
    return ((first, last) for number, first, last in _fields(window, start, stop) if number == wanted)


def _fields(window: Window, start: int, stop: int, varints: bool = False) -> Iterator[tuple[int, int, int]]:
    """Number, start and stop of each length-delimited field between two positions; of varints, too, where asked."""
    at, seen = start, 0
    while at < stop:
        tag, at = window.varint(at)
        seen += 1
        if tag < 8 or seen > MOST_FIELDS:
            raise Malformed("it is no protocol buffer message" if tag < 8 else f"a part of it has over {MOST_FIELDS:,} "
                            "fields")
        wire, first = tag & 7, at
        if wire == DELIMITED:
            length, first = window.varint(at)
            at = first + length
        elif wire == VARINT:
            at = window.varint(at)[1]
        elif wire in (FIXED64, FIXED32):
            at += 8 if wire == FIXED64 else 4
        else:
            raise Malformed("it is no protocol buffer message")
        if at > stop:
            raise Malformed("a field in it is longer than what holds it")
        if wire == DELIMITED or (wire == VARINT and varints):
            yield tag >> 3, first, at


def message(features: Mapping[str, bytes | int]) -> bytes:
    """Encode a tf.train.Example with one value for each feature."""
    entries = []
    for name, value in features.items():
        kind, item = (1, field(1, value)) if isinstance(value, bytes) else \
            (3, field(1, varint(value)))  # packed
        entries.append(field(1, field(1, name.encode()) + field(2, field(kind, item))))
    return field(1, b"".join(entries))


def framed(data: bytes) -> bytes:
    """Frame a message as a record of a TFRecord file: length, checksums and data."""
    length = struct.pack("<Q", len(data))
    return b"".join((length, struct.pack("<I", masked_crc32c(length)), data, struct.pack("<I", masked_crc32c(data))))


def field(number: int, value: bytes) -> bytes:
    """Encode length-delimited bytes as the field of this number of a protocol buffer message."""
    return varint(number << 3 | DELIMITED) + varint(len(value)) + value


def varint(value: int) -> bytes:
    """Encode a whole number, modulo 2^64, in groups of seven bits, the lowest first."""
    value &= 2**64 - 1
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*written, value))
