"""Completion in the shell by argcomplete, where it is installed: commands, options, choices, plans and files."""

from __future__ import annotations

import os
from argparse import Action, ArgumentParser
from collections.abc import Callable
from importlib import import_module
from typing import Any

from .registry import COMMANDS

ASKED = "_ARGCOMPLETE"  # what the shell's function sets


def called() -> str:
    """Return the command on the line that is being completed; "" while it has none."""
    names = {command.name for command in COMMANDS}
    return next((word for word in os.environ.get("COMP_LINE", "").split()[1:] if word in names), "")


def complete(parser: ArgumentParser) -> None:
    """Answer the shell and end the process; without argcomplete there is nothing to say to it."""
    try:
        argcomplete = import_module("argcomplete")
    except ImportError:
        raise SystemExit(1) from None
    argcomplete.autocomplete(parser, default_completer=_values(argcomplete))


def _values(argcomplete: Any) -> Callable[..., list[str]]:
    """What a word that is no option may be: a plan by name or file, else any file."""
    def found(prefix: str, action: Action, **more: Any) -> list[str]:
        if action.dest != "plan":
            return list(argcomplete.FilesCompleter()(prefix=prefix, action=action, **more))
        from ...benchmarks.planning.plan import bundled
        files = argcomplete.FilesCompleter(("toml", "json"))(prefix=prefix, action=action, **more)
        return [*(name for name in bundled() if name.startswith(prefix)), *files]
    return found
