"""What timing runs were done on."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from ...laws.utilization import card, products
from ...tables.results import Results


def utilization_notes(results: Results, rows: pd.DataFrame) -> Iterator[str]:
    """Yield by which peak rate the model FLOPs utilisation of timing runs on each kind of GPU was taken, with its
    source, or why there is none."""
    kinds = rows[["environment", "precision", "tf32"]].dropna(subset="environment").drop_duplicates()
    told = dict.fromkeys((name, products(precision, tf32)) for at, precision, tf32 in kinds.itertuples(index=False)
                         for name in str(results.environments["gpus"].iloc[int(at)] or "").split(", ")[:1])
    for name, arithmetic in told:
        if not name or name in ("nan", "None"):
            continue
        known = card(name)
        if known is None:
            yield f"{name}: no utilisation, since no peak rate of this card is known here"
        elif arithmetic not in known.teraflops:
            yield f"{name}: no utilisation, since {known.source} gives no peak rate of {arithmetic or 'its arithmetic'}"
        else:
            yield f"{name}: {known.teraflops[arithmetic]:g} TFLOP/s of {arithmetic} ({known.source})"


def on_gpus(results: Results, rows: pd.DataFrame) -> bool:
    """Return whether runs may have been on GPUs: false where their devices are named and are CPUs alone."""
    places = results.environments.iloc[rows["environment"].dropna().astype(int).unique()]
    named = " ".join(str(text).lower() for name in ("devices", "gpus") for text in places[name].dropna())
    return "cpu" not in named or "gpu" in named or "cuda" in named
