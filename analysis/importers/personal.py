"""What names a person or a machine is not taken over from other tools' files: users, addresses, home folders, hosts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .imported_run import ImportedRun

NAMES = frozenset(("user", "username", "user_name", "user_id", "userid", "email", "e_mail", "mail", "author", "owner",
                   "entity", "login", "home", "host", "hostname", "host_name", "node", "nodename", "machine_name", "ip",
                   "ip_address", "address", "cwd"))
WORD = re.compile(r"[^A-Za-z0-9]+")
ADDRESS = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}\.[\w.-]{1,63}")
HOME = re.compile(r"(?:/home/|/Users/|/root\b|[A-Za-z]:\\Users\\|~[\w.-]*/)")


def is_personal(name: str, value: object) -> bool:
    """Return whether a word of a file, by its name or its value, tells who or which machine it was.

    >>> is_personal("params.user", "x"), is_personal("data", "/home/me/data"), is_personal("params.lr", "0.1")
    (True, True, False)
    """
    last = WORD.sub("_", name.rsplit(".", 1)[-1].rsplit("/", 1)[-1]).strip("_").lower()
    return last in NAMES or isinstance(value, str) and bool(ADDRESS.search(value) or HOME.search(value))


def without_personal(run: ImportedRun) -> ImportedRun:
    """Return a run without such words, and without such entries of its environment."""
    return replace(run, words=_impersonal(run.words), environment=_impersonal(run.environment))


def _impersonal(words: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _impersonal(value) if isinstance(value, Mapping) else value for name, value in words.items()
            if not is_personal(name, value)}
