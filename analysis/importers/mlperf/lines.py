"""The lines of MLPerf's training logs: `:::MLLOG {json}`, and in round 0.6 `:::MLL <seconds> key: {json}`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ....benchmarks.errors import RecordError
from ..sources import json_value

TOKEN = ":::MLLOG"
ROUND_06 = ":::MLL "
ROUND_05 = ":::MLPv0."
MARKS = (TOKEN, ROUND_06, ROUND_05)
FIRST_READ = "0.6"
EVENT_06 = re.compile(r":::MLL +([0-9.]{1,30}) +([^\s:]{1,100}): *")


@dataclass
class Reading:
    """Lines seen that make no run: the number of damaged ones, and the last round too old to be read."""

    damaged: int = 0
    old: str = ""


def event_of(line: str, seen: Reading) -> dict[str, Any] | None:
    """Return the event of a line with its key, value, metadata and time; None for other text.

    Damaged lines are counted in `seen`.
    """
    start = line.find(TOKEN)
    if start >= 0:
        event = _json(line[start + len(TOKEN):])
    elif ROUND_06 in line:
        event = _event_06(line)
    else:
        seen.old = seen.old or ("0.5" if ROUND_05 in line else "")
        return None
    key = None if event is None else event.get("key")
    if event is None or not isinstance(key, str) or len(key) > 100 or not key.isprintable():
        seen.damaged += 1
        return None
    return event


def _event_06(line: str) -> dict[str, Any] | None:
    """An event of round 0.6, whose clock counts seconds, in the words of later rounds."""
    match = EVENT_06.search(line)
    event = None if match is None else _json(line[match.end():])
    return None if match is None or event is None else {**event, "time_s": match[1], "key": match[2]}


def _json(text: str) -> dict[str, Any] | None:
    try:
        event = json_value(text, whole_text=False)
    except RecordError:
        return None
    return event if isinstance(event, dict) else None
