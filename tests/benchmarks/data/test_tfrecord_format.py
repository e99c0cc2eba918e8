"""TFRecord files: records as others write them, and one clear sentence for each thing that can be wrong with one."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchscale.benchmarks.data.disk import tfrecord_format
from batchscale.benchmarks.data.disk.tfrecord_format import IMAGE, LABEL, crc32c, Entry, framed, masked_crc32c, message
from batchscale.benchmarks.errors import DataError

PNG = b"\x89PNG not really"


def one_record(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "train-00000-of-00001"
    path.write_bytes(content)
    return path


def example(label: int = 3, image: bytes = PNG) -> bytes:
    return message({IMAGE: image, LABEL: label})


def test_crc32c_is_that_of_rfc_3720() -> None:
    """Appendix B.4."""
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert crc32c(bytes(range(31, -1, -1))) == 0x113FDB5C


def test_the_mask_can_be_taken_off_again() -> None:
    masked = (masked_crc32c(b"123456789") - 0xA282EAD8) % 2**32
    assert (masked << 15 | masked >> 17) % 2**32 == 0xE3069283


def test_a_record_is_a_length_and_a_message_each_with_its_checksum() -> None:
    data = message({LABEL: 300})
    written = framed(data)
    assert struct.unpack("<QI", written[:12]) == (len(data), masked_crc32c(written[:8]))
    assert written[12:-4] == data and struct.unpack("<I", written[-4:]) == (masked_crc32c(data),)


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=20_000), st.integers(-2**63, 2**63 - 1)), max_size=4))
@settings(max_examples=25, deadline=None)
def test_what_was_written_is_found_byte_for_byte(tmp_path_factory: pytest.TempPathFactory,
                                                 items: list[tuple[bytes, int]]) -> None:
    content = b"".join(framed(example(label, PNG + image)) for image, label in items)
    path = one_record(tmp_path_factory.mktemp("one"), content)
    found = [(content[e.offset:e.offset + e.length], e.label) for e in tfrecord_format.entries(path)]
    assert found == [(PNG + image, label) for image, label in items]


def test_an_unpacked_label_and_other_features_in_any_order_are_read(tmp_path: Path) -> None:
    """The wire format by hand: field 1, varint 5, in an Int64List; a float list, and the image last."""
    def entry(key: bytes, feature: bytes) -> bytes:
        body = b"\x0a" + bytes([len(key)]) + key + b"\x12" + bytes([len(feature)]) + feature
        return b"\x0a" + bytes([len(body)]) + body
    features = (entry(b"image/class/label", b"\x1a\x02\x08\x05") + entry(b"box", b"\x12\x06\x0a\x04" + b"\0\0\0\0")
                + entry(b"image/encoded", b"\x0a" + bytes([len(PNG) + 2]) + b"\x0a" + bytes([len(PNG)]) + PNG))
    content = framed(b"\x0a" + bytes([len(features)]) + features)
    found, = tfrecord_format.entries(one_record(tmp_path, content))
    assert found == Entry(content.index(PNG), len(PNG), 5)


DAMAGE: dict[str, tuple[Callable[[], bytes], str]] = {
    "length": (lambda: b"\x01" + framed(example())[1:], "the checksum of its length"),
    "hostile length": (lambda: (n := struct.pack("<Q", 2**62)) + struct.pack("<I", masked_crc32c(n)), "beyond the end"),
    "cut": (lambda: framed(example())[:-8], "beyond the end"),
    "cut header": (lambda: framed(example())[:5], "ends in the middle"),
    "gzip": (lambda: b"\x1f\x8b" + bytes(30), "uncompressed"),
    "other features": (lambda: framed(message({"x": b"a", "y": 1})), "lacks image/encoded; it has x, y"),
    "no features": (lambda: framed(b""), "it has no features"),
    "no message": (lambda: framed(b"\x0f\xff"), "no protocol buffer"),
    "long field": (lambda: framed(b"\x0a\xff\xff\xff\xff\x0f"), "longer than what holds it"),
    "many fields": (lambda: framed(b"\x08\x00" * 20_000), "over 10,000 fields"),
    "endless number": (lambda: framed(b"\xff" * 30), "more than ten bytes"),
    "text label": (lambda: framed(message({IMAGE: PNG, LABEL: b"three"})), "no int64 value"),
    "number for an image": (lambda: framed(message({IMAGE: 3, LABEL: 3})), "0 values of bytes"),
    "bitmap": (lambda: framed(example(image=b"BM" + bytes(20))), "neither JPEG nor PNG"),
    "empty image": (lambda: framed(example(image=b"")), "has 0 bytes"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_record_is_named(tmp_path: Path, name: str) -> None:
    make, expected = DAMAGE[name]
    path = one_record(tmp_path, framed(example()) + make())
    with pytest.raises(DataError) as raised:
        list(tfrecord_format.entries(path))
    said = str(raised.value)
    assert expected in said and f"{path}, record 1 (counted from 0)" in said and "\n" not in said


@given(st.binary(max_size=300), st.booleans())
@settings(max_examples=200, deadline=None)
def test_any_bytes_end_in_entries_or_a_data_error(tmp_path_factory: pytest.TempPathFactory, content: bytes,
                                                  as_message: bool) -> None:
    path = one_record(tmp_path_factory.mktemp("fuzz"), framed(content) if as_message else content)
    try:
        list(tfrecord_format.entries(path))
    except DataError as error:
        assert str(path) in str(error)


def test_reading_takes_memory_for_a_few_kilobytes_of_a_file_of_any_size(tmp_path: Path) -> None:
    """A sparse file whose record says that it is a thousand gigabytes long, truly; its message is nonsense."""
    length = struct.pack("<Q", 2**40)
    path = one_record(tmp_path, length + struct.pack("<I", masked_crc32c(length)) + b"\x0a\x05\x0a\x03\x0a\x01a")
    try:
        os.truncate(path, 2**40 + 16)
    except OSError:
        pytest.skip("this file system has no sparse files of a terabyte")
    with pytest.raises(DataError, match="no protocol buffer message"):
        next(tfrecord_format.entries(path))
