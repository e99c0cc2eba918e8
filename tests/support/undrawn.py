"""Reports whose panels are laid out but not rendered, since rendering is most of a report's time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from batchscale.analysis.figures import bars, lines


@contextmanager
def undrawn() -> Iterator[None]:
    """Leave panels empty within the block."""
    with pytest.MonkeyPatch.context() as patched:
        for module in (lines, bars):
            patched.setattr(module, "svg", lambda figure, name, description, marks: "<svg></svg>")
        yield
