"""Studies that several test files write to disk and read back."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from support.synthetic_records import ADAM, SGD, Memory, Study, Timing, records, write_store

SMALL = Study(experiments=(replace(SGD, as_published=True, batches=(32, 512)), replace(ADAM, batches=(32, 512))),
              seeds=5, epochs=3, timing=Timing(replica_batches=(32, 512), global_batches=(512,)))
TIMING = Timing(replica_batches=(32, 512), global_batches=(), strategies=("mirrored",), launches=6)
STUDY = Study(experiments=(SGD,), timing=TIMING, memory=Memory(), seeds=6, epochs=2)


def folder(path: Path, change: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda record: record,
           study: Study = STUDY) -> Path:
    """A results folder from the study's records, each changed, or left out where the change gives None."""
    made = [changed for record in records(study) if (changed := change(copy.deepcopy(record))) is not None]
    write_store(path, made)
    return path
