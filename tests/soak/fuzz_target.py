"""What `fuzz` needs to know of one format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from soak.fuzz_mutations import Mutation

TABLE_EVERY = 20  # inputs; making data frames takes longer than all the rest
Seeds = Sequence[bytes]


@dataclass(frozen=True)
class Target:
    """One format. `prepare` makes what is there before an input and returns good files; `write` puts an input in its
    place; `read` is what is tested."""

    name: str
    mutations: Sequence[Mutation]
    prepare: Callable[[Path], Seeds]
    write: Callable[[Path, bytes], Path]
    read: Callable[[Path], None]
