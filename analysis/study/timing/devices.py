"""What timing runs were done on."""

from __future__ import annotations

import pandas as pd

from ...tables.results import Results


def on_gpus(results: Results, rows: pd.DataFrame) -> bool:
    """Return whether runs may have been on GPUs: false where their devices are named and are CPUs alone."""
    places = results.environments.iloc[rows["environment"].dropna().astype(int).unique()]
    named = " ".join(str(text).lower() for name in ("devices", "gpus") for text in places[name].dropna())
    return "cpu" not in named or "gpu" in named or "cuda" in named
