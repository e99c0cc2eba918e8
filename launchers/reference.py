"""The tables of docs/reference.md: `python -m batchscale.launchers.reference > docs/reference.md`, `make reference`."""

from __future__ import annotations

from ..analysis import columns
from ..analysis.importers import csv_table
from ..analysis.importers.registry import IMPORTERS
from ..benchmarks.planning import keys
from ..benchmarks.records import manifest, schema

PAGE = """# Reference

Generated from the code by `make reference`. Units stand in the names: seconds, bytes, examples.

## The plan

A plan is a TOML file. Every key is checked before anything starts; a key that is not known is an error.

{plan}
## The record

What one run leaves behind, raw: `RESULTS/<plan>/<run_id>/record.json`. What was not measured is null or absent, never
0.

{record}
## The manifest

What a results folder holds: `RESULTS/<plan>/plan.json`.

{manifest}
## Formats that are imported

`batchscale import FORMAT PATH`. What a format lacks stays empty.

{formats}
## results.csv

One row per run and phase, beside every report and export; `batchscale import csv` takes any of these columns. Fractions
are from 0 to 1, and an empty cell was not measured.

{needed}
{columns}"""


def page() -> str:
    """Return docs/reference.md as Markdown."""
    rows = "\n".join(f"| `{name}` | {one.help} |" for name, one in IMPORTERS.items())
    return PAGE.format(plan=keys.reference(), record=schema.reference(),
                       manifest=manifest.reference(), columns=columns.reference(),
                       needed=csv_table.reference(), formats=f"| format | what it is |\n|---|---|\n{rows}\n")


if __name__ == "__main__":
    print(page(), end="")
