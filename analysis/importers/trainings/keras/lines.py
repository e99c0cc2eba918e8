"""The lines that Keras prints of each epoch, in any other tool's output: `Epoch 1/5`, then ` - loss: 0.3 - ...`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator

from ...imported_run import as_number, LARGEST_LOSS

EPOCH = re.compile(r"Epoch (\d{1,9})/\d{1,9}\b")
VALUE = re.compile(r"- ([A-Za-z][\w/.]{0,60}): ([0-9.eE+-]{1,30}|nan|inf)(?= |$)")
MOST_VALUES = 100
LOST = ("nan", "inf")


def epochs_of(lines: Iterable[str]) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield the epochs done and the last values printed of each epoch, which are those of the whole epoch."""
    epoch, values = 0, dict[str, float]()
    for line in lines:
        if match := EPOCH.search(line):
            if epoch and values:
                yield epoch, values
            epoch, values = int(match[1]), {}
        elif epoch and " - " in line and (found := VALUE.findall(line)[:MOST_VALUES]):
            values = {name: value for name, text in found if (value := _figure(text)) is not None}
    if epoch and values:
        yield epoch, values


def _figure(text: str) -> float | None:
    """The number; NaN where the training printed that it has none, None for other text."""
    return math.nan if text in LOST else as_number(text, LARGEST_LOSS)
