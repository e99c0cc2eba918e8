"""A user's script as what a run trains: its path, its arguments, and which of its calls of `fit` is meant, as one text.

The text stands in a run's configuration for data, model, loss and optimizer: what the script gives to `fit`.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

PREFIX = "script:"
_NUMBERED = re.compile(r"(.+)@(\d+)", re.DOTALL)


@dataclass(frozen=True)
class ScriptCall:
    """One script with its command line. `path`: as it was given; `fit`: the number of the call that is taken, from 1.
    """

    path: str
    arguments: tuple[str, ...] = ()
    fit: int = 1

    @property
    def reference(self) -> str:
        """Return the call as a text.

        >>> ScriptCall("train.py", ("--width", "64"), fit=2).reference
        'script:train.py@2 --width 64'
        """
        path = self.path if self.fit == 1 and not _NUMBERED.fullmatch(self.path) else f"{self.path}@{self.fit}"
        return PREFIX + shlex.join([path, *self.arguments])


def shown(name: str) -> str:
    """Return the name of a model or a data set as people read it: a script's is its command line.

    >>> shown("script:train.py --width 64")
    'train.py --width 64'
    """
    return name.removeprefix(PREFIX)


def is_script(reference: str) -> bool:
    """Return whether a text names a script."""
    return reference.startswith(PREFIX)


def parse(reference: str) -> ScriptCall:
    """Return the call that a text names.

    >>> parse("script:train.py@2 --width 64").arguments
    ('--width', '64')
    """
    path, *arguments = shlex.split(reference.removeprefix(PREFIX))
    numbered = _NUMBERED.fullmatch(path)
    return ScriptCall(numbered[1], tuple(arguments), int(numbered[2])) if numbered else \
        ScriptCall(path, tuple(arguments))
