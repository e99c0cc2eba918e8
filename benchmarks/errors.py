"""The exceptions of this project, each with the exit code its command ends with.

A message states the rule that was broken, the value that broke it, the valid choices and the fix.
"""

from __future__ import annotations

import linecache
import re
import sysconfig
import traceback
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

EXIT_OK = 0
EXIT_RUNS_FAILED = 1
EXIT_USAGE = 2
EXIT_ENVIRONMENT = 3
EXIT_UNDECIDED = 4
EXIT_INCOMPLETE = 75


LONGEST_MESSAGE = 4000
OWN_FRAMES = 3
MOST_SUGGESTED = 3
MOST_LISTED, MOST_NAMED = 20, 5  # choices of a value that is none of them
SLIP = 0.85  # how alike a name and what was meant to be it are
SHORTEST_WORD = 4  # that is taken for the beginning of another
# What runs a user's code, as a stack names it: frames within it are the user's start.
RUNNERS = ("rank/script/running.py", "data/user_function.py")
FRAME = re.compile(r'^ +File "([^"\n]+)", line (\d+),? in ', re.MULTILINE)  # of a traceback, and of faulthandler
NEWEST_FIRST = "(most recent call first)"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


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


class AbsentData(DataError):
    """A data set whose files are not on this machine."""


class RecordError(BatchscaleError):
    """A record or results folder that cannot be believed or written."""


class EnvironmentUnusable(BatchscaleError):
    """This machine cannot run what was asked."""

    exit_code = EXIT_ENVIRONMENT


class Unfinished(BatchscaleError):
    """Something that the same command goes on with."""

    exit_code = EXIT_INCOMPLETE


class RanksDisagree(BatchscaleError):
    """The ranks of one run do not train together: the run is `invalid`."""

    exit_code = EXIT_RUNS_FAILED


def one_of(what: str, value: object, choices: Iterable[str]) -> str:
    """Return the sentence for a value that is not among its choices, with the nearest ones suggested; of very many
    choices the most alike are named alone."""
    names = sorted(choices)
    near = _near(str(value), names)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    start = f"{what}={value!r} is not known; "
    if len(names) > MOST_LISTED:
        alike = dict.fromkeys([*near, *get_close_matches(str(value), names, n=MOST_NAMED, cutoff=0.3), *names])
        return f"{start}it is one of {len(names)}, such as {', '.join(list(alike)[:MOST_NAMED])}.{hint}"
    return f"{start}choose one of: {', '.join(name or 'none (empty)' for name in names)}.{hint}"


def _near(value: str, names: Sequence[str]) -> Sequence[str]:
    """The same name in other letters or number or all but the same, else those whose initials (lr) or a word of which
    are the value's first word, else the most alike."""
    same = [name for name in names if name.lower().rstrip("s") == value.lower().rstrip("s")]
    first = value.lower().replace("-", "_").partition("_")[0]
    within = [name for name in names if _begins(first, name.lower().split("_"))]
    slip = get_close_matches(value, names, n=1, cutoff=SLIP)
    return same or slip or within[:MOST_SUGGESTED] or get_close_matches(value, names, n=1)


def _begins(first: str, words: Sequence[str]) -> bool:
    """Whether one of a name's words is this word, or longer by an ending, or the name's initials are."""
    longer = len(first) >= SHORTEST_WORD and any(word.startswith(first) for word in words)
    return bool(first) and (first in words or longer or first == "".join(word[:1] for word in words if len(words) > 1))


def said(error: BaseException) -> str:
    """Return what a user's code raised: the kind and the whole message on one line, without colours."""
    if isinstance(error, SystemExit):
        text = f"ended Python by sys.exit({'' if error.code is None else repr(error.code)})"
    else:
        lines = [line.strip() for line in COLOURS.sub("", str(error)).splitlines() if line.strip()]
        text = f"raised {type(error).__name__}: {' '.join(lines) or 'no message'}"
    return text.rstrip(".")


def frames(error: BaseException) -> str:
    """Return the last frames of a traceback that are neither of installed packages nor of the suite, each as indented
    lines with file, line and function; "" where none are."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if is_users(frame.filename)]
    if isinstance(error, SyntaxError) and error.filename:
        return f'\n  File "{error.filename}", line {error.lineno}\n    {(error.text or "").strip()}'
    return "".join(f'\n  File "{frame.filename}", line {frame.lineno}, in {frame.name}\n    {frame.line}'
                   for frame in own[-OWN_FRAMES:])


def is_users(filename: str) -> bool:
    """Return whether the file of a frame is neither of an installed package nor of the suite."""
    suite = str(Path(__file__).resolve().parent)
    installed = (sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib", "scripts"))
    return not filename.startswith((suite, "<", *installed)) and not str(Path(filename).resolve()).startswith(
        suite + "/")


def start_line(stack: str) -> str:
    """Return the innermost line of a user's own code in a printed stack, with its file, where the process was running
    that code for its model or data; "" where it was not."""
    found = [(match[1], int(match[2])) for match in FRAME.finditer(stack)]
    if NEWEST_FIRST in stack:
        found.reverse()
    runner = next((at for at, (name, _) in enumerate(found) if name.endswith(RUNNERS)), len(found))
    own = [(name, line) for name, line in found[runner:] if is_users(name)]
    if not own:
        return ""
    name, line = own[-1]
    return f'File "{name}", line {line}: {linecache.getline(name, line).strip()}'.rstrip(": ")
