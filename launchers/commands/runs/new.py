"""`batchscale new FILE --model M --data D`: a commented plan for one's own model and data, a flag for every key."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import Any

from ....benchmarks.errors import EXIT_OK, PlanError
from ....benchmarks.planning import writing
from ....benchmarks.planning.key_view import ABSENT, EXPERIMENT, Key, PLAN, REQUIRED
from ....benchmarks.planning.plan import parse
from ....benchmarks.records.json_files import cannot_write

FIRST = ("model", "dataset", "global_batches", "rules", "loss", "metrics", "optimizer", "learning_rate", "epochs",
         "seeds", "strategies", "replicas")
OTHER_NAMES = {"dataset": "--data", "global_batches": "--batches"}
SET_BY_PLACE = ("name", "kind", "script", "script_args", "fit")
SEVERAL = ("texts", "wholes", "numbers", "batches")
WORDS = {"text": "NAME", "texts": "NAME", "whole": "N", "wholes": "N", "number": "X", "numbers": "X", "batch": "N",
         "batches": "N"}
STANDARD_OUTPUT = "-"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's own arguments to its parser: a flag for every key of a plan, what it means as its help."""
    parser.usage = "batchscale new FILE --model MODEL --data DATA [--KEY VALUE ...]"
    parser.add_argument("file", metavar="FILE", help="the plan to write, such as mine.toml; - is standard output")
    parser.add_argument("--name", default="", help="names the results folder (default: as the file)")
    parser.add_argument("--force", action="store_true", help="write over a file that is there")
    main = parser.add_argument_group("what most plans set")
    for name in FIRST:
        _add(main, name, EXPERIMENT[name])
    for title, known in (("every other key of an experiment", EXPERIMENT), ("keys of the whole plan", PLAN)):
        group = parser.add_argument_group(title)
        for name in known:
            if name not in (*FIRST, *SET_BY_PLACE):
                _add(group, name, known[name])


def _add(group: Any, name: str, key: Key) -> None:
    """Add the flag of one key, which takes words as the key's kind does."""
    default = writing.START.get(name, key.default)
    meaning = key.sentence
    if default not in (REQUIRED, ABSENT, "", ()):
        meaning += f" (default: {' '.join(map(str, default)) if isinstance(default, tuple) else default})"
    flags = [*filter(None, [OTHER_NAMES.get(name)]), f"--{name.replace('_', '-')}"]
    takes: dict[str, Any] = {"choices": ("true", "false")} if key.kind == "flag" else {"metavar": WORDS[key.kind]}
    if key.kind in SEVERAL:
        takes["nargs"] = "+"
    group.add_argument(*flags, dest=name, required=key.default is REQUIRED, help=meaning.replace("%", "%%"), **takes)


def run(arguments: Namespace) -> int:
    """Write the plan and say how to go on. Raises PlanError for a key that a plan would refuse, and writes nothing."""
    path = Path(arguments.file)
    name = arguments.name or (path.stem if arguments.file != STANDARD_OUTPUT else "mine")
    text = writing.text(name, chosen(arguments), arguments.file if arguments.file != STANDARD_OUTPUT else "")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PlanError("the command line holds bytes that are no UTF-8 text, which a plan cannot hold.") from None
    parse(text, "this plan")
    if arguments.file == STANDARD_OUTPUT:
        sys.stdout.write(text)
        return EXIT_OK
    if path.exists() and not arguments.force:
        raise PlanError(f"{path} is there already; choose another name, or write over it with --force.")
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise cannot_write(path, error, "another file") from None
    print(f"{path} is written. Next:\n  batchscale plan {path}    what it will run; builds the model and tries a step\n"
          f"  batchscale study {path}   runs it, then writes the report")
    return EXIT_OK


def chosen(arguments: Namespace) -> dict[str, Any]:
    """Return the keys whose flags were given, with values of a plan's types."""
    known = {**EXPERIMENT, **PLAN}
    return {name: _converted(getattr(arguments, name), known[name]) for name in known
            if name not in SET_BY_PLACE and getattr(arguments, name, None) is not None}


def _converted(value: Any, key: Key) -> Any:
    """The words of a flag as the key's kind has them; what is no number stays text, for the plan's check to refuse."""
    if key.kind == "flag":
        return value == "true"
    if key.kind in ("text", "texts"):
        return value
    return [_number(word) for word in value] if isinstance(value, list) else _number(value)


def _number(word: str) -> int | float | str:
    for kind in (int, float):
        with suppress(ValueError):
            if isfinite(found := kind(word)):
                return found
    return word
