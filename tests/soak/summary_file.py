"""RELIABILITY.md: what long runs found, each in a section of its own that only its own script writes."""

from __future__ import annotations

import os
import platform
import re
import time
from pathlib import Path

from batchscale.benchmarks.records import environment

TITLE = "# Reliability\n\nWhat the long runs found that are too long for every change, as their scripts wrote it.\n"


def write_section(path: Path, name: str, text: str) -> None:
    """Replace the section `name`, or add it at the end."""
    whole = path.read_text() if path.exists() else TITLE
    kept = re.sub(rf"\n## {re.escape(name)}\n.*?(?=\n## |\Z)", "", whole, flags=re.DOTALL)
    path.write_text(f"{kept.rstrip()}\n\n## {name}\n\n{text.rstrip()}\n")


def machine() -> str:
    """Where and when, in a few words."""
    return (f"{time.strftime('%Y-%m-%d')}, {environment.processor()}, {os.cpu_count()} cores, {platform.system()}, "
            f"Python {platform.python_version()}")
