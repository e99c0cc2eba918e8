"""The tables of docs/reference.md: `python -m batchscale.launchers.reference > docs/reference.md`, `make reference`."""

from __future__ import annotations

from ..benchmarks import plan_keys, schema

PAGE = """# Reference

Generated from the code by `make reference`. Units stand in the names: seconds, bytes, examples.

## The plan

A plan is a TOML file. Every key is checked before anything starts; a key that is not known is an error.

{plan}
## The record

What one run leaves behind, raw: `RESULTS/<plan>/<run_id>/record.json`. What was not measured is null or absent, never
0.

{record}"""


def page() -> str:
    return PAGE.format(plan=plan_keys.reference(), record=schema.reference())


if __name__ == "__main__":
    print(page(), end="")
