"""The exceptions of this project, each with the exit code its command ends with.

A message states the rule that was broken, the value that broke it, the valid choices and the fix.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

EXIT_OK = 0
EXIT_RUNS_FAILED = 1
EXIT_USAGE = 2
EXIT_ENVIRONMENT = 3
EXIT_UNDECIDED = 4
EXIT_INCOMPLETE = 75


LONGEST_MESSAGE = 2000


class BatchscaleError(Exception):
    """Root of all errors that a user can mend; printed without a traceback, and readable whatever value it names."""

    exit_code = EXIT_USAGE

    def __str__(self) -> str:
        text = super().__str__()
        if len(text) <= LONGEST_MESSAGE:
            return text
        return f"{text[:LONGEST_MESSAGE * 3 // 4]} ... {text[-LONGEST_MESSAGE // 5:]}"


class PlanError(BatchscaleError):
    """A plan, a configuration or a command line that breaks a rule."""


class DataError(BatchscaleError):
    """A data set that is absent, malformed or cannot be written."""


class RecordError(BatchscaleError):
    """A record or results folder that cannot be believed or written."""


class EnvironmentUnusable(BatchscaleError):
    """This machine cannot run what was asked."""

    exit_code = EXIT_ENVIRONMENT


class RanksDisagree(BatchscaleError):
    """The ranks of one run do not train together: the run is `invalid`."""

    exit_code = EXIT_RUNS_FAILED


def one_of(what: str, value: object, choices: Iterable[str]) -> str:
    """The sentence for a value that is not among its choices, with the nearest one suggested."""
    names = sorted(choices)
    close = get_close_matches(str(value), names, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"{what}={value!r} is not known; choose one of: {', '.join(names)}.{hint}"
