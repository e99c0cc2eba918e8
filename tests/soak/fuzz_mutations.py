"""How `fuzz` changes an input: bytes, lines, values, size and depth; all from one random generator."""

from __future__ import annotations

import io
import json
import random
import re
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Mutation = Callable[[random.Random, bytes], bytes]

NUMBERS = ("0", "-1", "1", "2", "3.5", "2147483648", "4294967296", "9007199254740993", "9223372036854775808", "1e308",
           "-1e308", "1e-320", "1" + "0" * 400, "9" * 5000, "nan", "inf", "-inf", "NaN", "Infinity", "0x10", "1_000")
TEXTS = ("", "x" * 100_000, "../../up", "/etc/passwd", "..", ".", "\0", "<script>alert(1)</script>", "a\nb", "é" * 70,
         "\u202eabc", "npz:../x.npz", "npz:~nobody/x", "npz:" + "x" * 5000, "npz:/dev/zero", "synthetic:9x9x9",
         "synthetic:" + "9" * 5000, "synthetic:99999999999x99999999999,examples=99999999999999", "all", "__class__",
         "os:system", "{{7*7}}", "%s%n", "'; rm -rf /", "adam", "sgd", "mirrored", "horovod", "single", "linear",
         "throughput", "memory", "completed", "float64", "cosine", "piecewise", "lars", "digits", "glyphs")
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**53 + 1, 2**63, 10**400, 1e308, -1e308, 1e-320, 0.5, float("nan"),
    float("inf"), [], {}, [[]], [None], [0, -1], {"a": {"b": [1]}}, [1] * 1000, *TEXTS)
MOST_MEMORY_BYTES = 4_000_000


def mutate(chance: random.Random, data: bytes, mutations: Sequence[Mutation]) -> bytes:
    """One to four changes, one after another."""
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4))):
        data = chance.choice(mutations)(chance, data)
    return data[:MOST_MEMORY_BYTES]


def _span(chance: random.Random, data: bytes, most: int = 64) -> tuple[int, int]:
    start = chance.randrange(len(data) + 1)
    return start, min(len(data), start + chance.randrange(1, most))


def flip(chance: random.Random, data: bytes) -> bytes:
    changed = bytearray(data or b"\0")
    for _ in range(chance.choice((1, 1, 2, 8))):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def remove(chance: random.Random, data: bytes) -> bytes:
    start, stop = _span(chance, data)
    return data[:start] + data[stop:]


def repeat(chance: random.Random, data: bytes) -> bytes:
    start, stop = _span(chance, data, 300)
    return data[:stop] + data[start:stop] * chance.choice((1, 2, 100)) + data[stop:]


def truncate(chance: random.Random, data: bytes) -> bytes:
    return data[:chance.randrange(len(data) + 1)]


def nest(chance: random.Random, data: bytes) -> bytes:
    """Brackets inside brackets, closed or not, at some place."""
    opening, closing = chance.choice(((b"[", b"]"), (b"{\"a\":", b"}"), (b"{a=", b"}"), (b"(", b")"), (b"a.", b"b")))
    depth = chance.choice((3, 30, 300, 3000, 30_000))
    at = chance.randrange(len(data) + 1)
    return data[:at] + opening * depth + b"1" + closing * (depth * chance.randrange(2)) + data[at:]


def grow(chance: random.Random, data: bytes) -> bytes:
    start, stop = _span(chance, data, 40)
    return data[:stop] + data[start:stop] * chance.choice((10, 1000, 20_000)) + data[stop:]


def number(chance: random.Random, data: bytes) -> bytes:
    """Another number in the place of one."""
    found = list(re.finditer(rb"-?\d+(\.\d+)?", data[:100_000]))
    if not found:
        return data
    spot = chance.choice(found)
    return data[:spot.start()] + chance.choice(NUMBERS).encode() + data[spot.end():]


def text(chance: random.Random, data: bytes) -> bytes:
    """Another text in the place of one in quotes."""
    found = list(re.finditer(rb"\"[^\"\n]*\"", data[:100_000]))
    if not found:
        return data
    spot = chance.choice(found)
    word = json.dumps(chance.choice(TEXTS)) if chance.random() < 0.7 else chance.choice(NUMBERS)
    return data[:spot.start()] + word.encode() + data[spot.end():]


def line(chance: random.Random, data: bytes) -> bytes:
    """Lines swapped, repeated or left out."""
    lines = data.split(b"\n")
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one] = chance.choice((lines[other], b"", lines[other] + b"\n" + lines[one], b"[[experiment]]"))
    return b"\n".join(lines)


BYTES: tuple[Mutation, ...] = (flip, remove, repeat, truncate, nest, grow)
TOML: tuple[Mutation, ...] = (*BYTES, number, number, number, text, text, text, line, line)


def value(chance: random.Random, data: bytes) -> bytes:
    """Another value at a random place of a JSON document."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return flip(chance, data)
    holder, key = document, None
    while isinstance(holder, (dict, list)) and holder:
        key = chance.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        if not isinstance(holder[key], (dict, list)) or not holder[key] or chance.random() < 0.25:
            break
        holder = holder[key]
    if key is None:
        return json.dumps(chance.choice(VALUES)).encode()
    if isinstance(holder, dict) and chance.random() < 0.15:
        del holder[key]
    else:
        holder[key] = chance.choice(VALUES)
    return json.dumps(document).encode()


JSON: tuple[Mutation, ...] = (*BYTES, number, text, *[value] * 8)


def header(chance: random.Random, data: bytes) -> bytes:
    """A whole archive in which one array says another type or shape than it has."""
    buffer = io.BytesIO()
    kind = chance.choice(("'|u1'", "'<f4'", "'<f8'", "'<i8'", "'|O'", "'<U9'", "'<M8[D]'", "'<m8[D]'", "'|V8'", "'<c8'",
                          "'<f2'", "'>i2'", "[('a','<f4')]", "'|b1'", "'<g'", "''", "5", "None", "'|S0'"))
    shape = chance.choice(("(4, 2)", "(4,)", "()", "(0, 2)", "(-1, 2)", "(10**9, 9)", "(99999999999, 9)", "(2**70,)",
                           "(4, 2, 1, 1, 1)", "(4, 1)", "5", "None", "(" * 900, "(1,)*99", "(" + "1," * 40 + ")"))
    head = f"{{'descr': {kind}, 'fortran_order': {chance.choice(('False', 'True', '3'))}, 'shape': {shape}, }}"
    head = head.ljust(117 if len(head) < 118 else len(head)) + "\n"
    array = b"\x93NUMPY\x01\x00" + (len(head) % 65536).to_bytes(2, "little") + head.encode() + b"\1\0\0\0" * 8
    spoilt = chance.randrange(4)
    compression = chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2))
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for index, name in enumerate(("x_train", "y_train", "x_test", "y_test")):
            good = np.zeros((4, 2), np.float32) if name[0] == "x" else np.arange(4) % 2
            plain = io.BytesIO()
            np.save(plain, good)
            archive.writestr(f"{name}.npy", array if index == spoilt else plain.getvalue())
    return buffer.getvalue()


def head(chance: random.Random, data: bytes) -> bytes:
    """Another number among the first bytes, where a format says what follows."""
    changed, size = bytearray(data.ljust(512, b"\0")), chance.choice((1, 2, 4))
    at = chance.randrange(chance.choice((16, 512)))
    changed[at:at + size] = chance.choice((b"\0", b"\xff", b"\x7f", b"7")) * size
    return bytes(changed[:max(len(data), at + size)])


NPZ: tuple[Mutation, ...] = (flip, flip, flip, remove, repeat, truncate, header, header, header)
