"""CRC-32C (Castagnoli, RFC 3720), and the masked form of it that TFRecord files hold."""

from __future__ import annotations

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
    """One table look-up a byte: made for record lengths and for writing small sets.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    value = _WORD
    for byte in data:
        value = _TABLE[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ _WORD


def masked_crc32c(data: bytes) -> int:
    """The CRC turned right by 15 bits, plus a constant: so that a CRC over data with CRCs in it stays useful."""
    value = crc32c(data)
    return ((value >> 15 | value << 17) + _MASK_DELTA) & _WORD
