"""The lines of MLPerf's training logs: `:::MLLOG {json}`, in round 0.6 `:::MLL <seconds> key: {json}`, and in round 0.5
`:::MLPv0.5.0 <benchmark> <seconds> (<place>) key: value`, all as events of the later rounds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ....benchmarks.errors import RecordError
from ..sources import json_value

TOKEN = ":::MLLOG"
ROUND_06 = ":::MLL "
ROUND_05 = ":::MLPv0.5"
MARKS = (TOKEN, ROUND_06, ROUND_05)
EVENT_05 = re.compile(r":::MLPv0\.5\S{0,10} +(\S{1,60}) +([0-9.]{1,30}) +\(.{0,300}?\) +([a-zA-Z]\w{0,99})\s*"
                      r"(?::(.*))?$")
# What later rounds call it.
WORDS_05 = {"preproc_num_train_examples": "train_samples"}
EVENT_06 = re.compile(r":::MLL +([0-9.]{1,30}) +([^\s:]{1,100}): *")


@dataclass
class Reading:
    """The number of lines seen that are damaged."""

    damaged: int = 0


def event_of(line: str, seen: Reading) -> dict[str, Any] | None:
    """Return the event of a line with its key, value, metadata and time; None for other text.

    Damaged lines are counted in `seen`.
    """
    start = line.find(TOKEN)
    if start >= 0:
        event = _json(line[start + len(TOKEN):])
    elif ROUND_06 in line:
        event = _event_06(line)
    elif ROUND_05 in line:
        event = _event_05(line)
    else:
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


def _event_05(line: str) -> dict[str, Any] | None:
    """An event of round 0.5, in the words of later rounds: a value of JSON, or none; its benchmark stands in each."""
    match = EVENT_05.search(line)
    if match is None:
        return None
    value: Any = None
    if match[4] and match[4].strip():
        try:
            value = json_value(match[4], constants=True)
        except RecordError:
            value = match[4].strip()[:100]
    key, about = match[3], dict[str, Any]()
    if key == "run_stop" and isinstance(value, dict) and "success" in value:
        about, value = {"status": "success" if value["success"] in (True, "true") else "aborted"}, None
    elif key == "eval_accuracy" and isinstance(value, dict):
        about, value = {"epoch_num": value.get("epoch")}, value.get("value")
    return {"key": WORDS_05.get(key, key), "value": value, "metadata": about, "time_s": match[2], "benchmark": match[1]}


def _json(text: str) -> dict[str, Any] | None:
    try:
        event = json_value(text, whole_text=False)
    except RecordError:
        return None
    return event if isinstance(event, dict) else None
