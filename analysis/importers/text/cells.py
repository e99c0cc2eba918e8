"""The text of one cell as the value of its column: for tables, and for what the command line adds."""

from __future__ import annotations

import math
from typing import Any

from ....benchmarks.config.choices import LARGEST
from ....benchmarks.errors import RecordError
from ...columns import CHECKS, METRICS, WHOLE_KEYS
from ..imported_run import as_number, label, largest, TEXTS

WHOLE = frozenset((*WHOLE_KEYS, "last_step", "best_validation_step"))
FRACTIONS = frozenset(name for name in METRICS if name.endswith("accuracy"))
NEVER_NEGATIVE = ("_bytes", "_seconds", "_per_second", "_per_example", "_learning_rate", "_to_target")
LONGEST_FLAGS = 2000


def cell_value(name: str, cell: str, where: str) -> Any:
    """Return the value of a column that text gives: a name, a whole number or a number.

    where: row or option for messages. Raises RecordError for what the column cannot hold.
    """
    if name in TEXTS:
        if len(cell) > LONGEST_FLAGS:
            raise RecordError(f"{where}: {name} has {len(cell):,} characters; at most {LONGEST_FLAGS:,} are read.")
        return _sentence(cell) if name in ("flags", "source") else label(cell)
    value = {"True": 1.0, "False": 0.0}.get(cell) if name in CHECKS else None
    value = as_number(cell, largest(name)) if value is None else value
    low = 0.0 if name in WHOLE and name != "trial" or name.endswith(NEVER_NEGATIVE) else -math.inf
    low = 1.0 if name == "global_batch" else low
    whole = name in WHOLE
    if value is None or value < low or (whole and (value > LARGEST or value != int(value))) or (
            name in FRACTIONS and not 0 <= value <= 1):
        kind = "a whole number" if whole else "a fraction from 0 to 1" if name in FRACTIONS else "a number"
        raise RecordError(f"{where}: {name}={cell[:40]!r} must be {kind}{f' of {low:g} or more' if low >= 0 else ''}"
                          f"{', at most 2^53' if whole else ''}.")
    return int(value) if whole else value


def _sentence(cell: str) -> str:
    return "".join(letter for letter in " ".join(cell.split()) if letter.isprintable())
