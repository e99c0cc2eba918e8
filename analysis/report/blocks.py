"""What a report is made of, before it is HTML or Markdown: sections of sentences, figures and tables."""

from __future__ import annotations

from dataclasses import dataclass

from ..figures.drawing import Figure
from ..formatting import Table


@dataclass(frozen=True)
class Section:
    """One heading of the report, about something that was measured.

    `listing`: a file's text, such as a plan, set as it stands. title: only where it depends on what was measured;
    else it and the anchor are the section's builder's.
    """

    text: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    warnings: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    listing: str = ""
    listing_title: str = ""
    title: str = ""
    anchor: str = ""

    @property
    def has_data(self) -> bool:
        """Return whether there is more than sentences."""
        return bool(self.figures or self.tables)
