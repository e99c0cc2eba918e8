"""TensorBoard's event files: scalars, as numbers or as tensors of one number, with their step and time.

Records are framed as in a TFRecord file; each is an Event message of tensorboard's event.proto: wall_time = 1 (double),
step = 2 (int64), summary = 5, whose value = 1 has tag = 1, simple_value = 2 (float) or tensor = 8 (TensorProto: dtype =
1, shape = 2, tensor_content = 4, float_val = 5, double_val = 6), as the protocol buffers of TensorFlow define them.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ....benchmarks.data.disk.tfrecord_format import DELIMITED, FIXED32, FIXED64, Malformed, masked_crc32c, VARINT
from ..sources import Sources

LARGEST_RECORD = 64 * 2 ** 20  # graphs and images, which are passed over
CHECKED_BYTES = 4096  # checksums of larger records, which hold no scalar alone, take too long
WIDTHS = {1: ("<f", 4), 2: ("<d", 8)}  # TensorFlow's types of a tensor: float and double


class Scalar(NamedTuple):
    """One value: its tag, the step that it was logged at and the seconds since 1970."""

    tag: str
    step: int
    wall_seconds: float
    value: float


def scalars(sources: Sources, path: Path, hint: str) -> Iterator[Scalar]:
    """Yield the scalars of an event file in order; a record that is cut off or damaged ends it, with a note.

    Raises RecordError as Sources.chunks does.
    """
    count = 0
    try:
        for count, record in enumerate(_records(sources, path, hint), 1):
            yield from _of_event(record)
    except (Malformed, struct.error, IndexError) as problem:
        why = str(problem) if isinstance(problem, Malformed) else "it is no protocol buffer message"
        sources.notes.append(f"{sources.short(path)}, after record {count:,}: {why}; what stands before was read.")


def _records(sources: Sources, path: Path, hint: str) -> Iterator[bytes]:
    held = b""
    for chunk in sources.chunks(path, hint):
        held += chunk
        at = 0
        while len(held) - at >= 12:
            length, check = struct.unpack_from("<QI", held, at)
            if masked_crc32c(held[at:at + 8]) != check or length > LARGEST_RECORD:
                raise Malformed("the length of the next one is damaged")
            if len(held) - at < 16 + length:
                break
            data = held[at + 12:at + 12 + length]
            if length <= CHECKED_BYTES:
                if masked_crc32c(data) != struct.unpack_from("<I", held, at + 12 + length)[0]:
                    raise Malformed("the checksum of the next one does not fit")
                yield data
            at += 16 + length
        held = held[at:]
    if held:
        raise Malformed("the file ends in the middle of the next one")


def _of_event(data: bytes) -> Iterator[Scalar]:
    wall, step, summaries = math.nan, 0, []
    for number, wire, value in fields(data):
        if number == 1 and wire == FIXED64:
            wall = struct.unpack("<d", value)[0]
        elif number == 2 and wire == VARINT:
            step = _whole(value)
        elif number == 5 and wire == DELIMITED:
            summaries.append(value)
    for summary in summaries:
        for number, wire, value in fields(summary):
            if number == 1 and wire == DELIMITED:
                tag, found = _value(value)
                if tag and found is not None and 0 <= step < 2 ** 53:
                    yield Scalar(tag, step, wall, found)


def _value(data: bytes) -> tuple[str, float | None]:
    tag, found = "", None
    for number, wire, value in fields(data):
        if number == 1 and wire == DELIMITED:
            tag = value.decode("utf-8", "replace")
        elif number == 2 and wire == FIXED32:
            found = struct.unpack("<f", value)[0]
        elif number == 8 and wire == DELIMITED:
            found = _tensor(value)
    return tag, found


def _tensor(data: bytes) -> float | None:
    """The number of a tensor of one float or double; None for any other tensor."""
    kind, content, dimensions = 0, b"", 0
    for number, wire, value in fields(data):
        if number == 1 and wire == VARINT:
            kind = _whole(value)
        elif number == 2 and wire == DELIMITED:
            dimensions = sum(1 for inner, _, _ in fields(value) if inner == 2)
        elif number in (4, 5, 6):  # packed or as one number
            content = value
    form, width = WIDTHS.get(kind, ("", 0))
    return float(struct.unpack(form, content)[0]) if form and len(content) == width and not dimensions else None


def fields(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield number, wire type and bytes of each field of a protocol buffer message; of a varint its own bytes.

    Raises Malformed for what is no such message.
    """
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        wire, start = tag & 7, at
        if wire == VARINT:
            at = _varint(data, at)[1]
        elif wire in (FIXED64, FIXED32):
            at += 8 if wire == FIXED64 else 4
        elif wire == DELIMITED:
            length, start = _varint(data, at)
            at = start + length
        else:
            raise Malformed("it is no protocol buffer message")
        if at > len(data):
            raise Malformed("a field in it is longer than what holds it")
        yield tag >> 3, wire, data[start:at]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(data[at:at + 10]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, at + index + 1
    raise Malformed("a number in it does not end")


def _whole(data: bytes) -> int:
    return _varint(data, 0)[0]
