"""The measured tables as CSV with a README."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ...benchmarks.records.json_files import cannot_write
from ..columns import FIGURE, RUN, readme
from ..figures.drawing import Figure
from ..tables.results import Results
from . import tidy

RUNS, README = "results.csv", "README.md"


def write(results: Results, folder: Path, with_tidy: bool = False) -> Path:
    """Write results.csv and, where they have rows, the long tables, with their README; return the folder. with_tidy:
    also the table of one number a row."""
    tables = {f"{name}.csv": frame for name, frame in long_tables(results).items() if not frame.empty}

    if with_tidy:
        tables[tidy.FILE] = tidy.tidy(results)
    described = {RUNS: RUN, **{name: list(map(str, frame.columns)) for name, frame in tables.items()}}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_runs(results, folder / RUNS)
        for name, frame in tables.items():
            frame.to_csv(folder / name, index=False)
        (folder / README).write_text(readme(described), encoding="utf-8")
    except OSError as error:
        raise cannot_write(folder, error, "another folder") from None
    return folder


def long_tables(results: Results) -> dict[str, pd.DataFrame]:
    """Return the tables with several rows for each run, by the name of their file without its ending."""
    return {"evaluations": results.evaluations, "windows": results.windows, "gradient_norms": results.gradient_norms,
            "memory": results.memory}


def write_runs(results: Results, path: Path) -> None:
    """Write one row per run and phase; runs without a record have their status alone."""
    bare = results.statuses[~results.statuses["run_id"].isin(results.all_runs["run_id"])]
    columns = [name for name in bare.columns if name in results.runs]
    rows = results.all_runs.reset_index(drop=True)
    if not bare.empty:
        rows = rows.reindex(np.arange(len(rows) + len(bare)))
        rows = rows.astype({name: object for name in columns})
        rows.loc[len(results.all_runs):, columns] = bare[columns].to_numpy()
    rows.to_csv(path, index=False)


def write_figures(figures: Iterable[Figure], folder: Path) -> None:
    """Write each figure's points, one a row, as NAME.csv; delete those of an earlier report."""
    for old in folder.glob("*.csv"):
        old.unlink()
    for figure in figures:
        with open(folder / f"{figure.name}.csv", "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(FIGURE)
            writer.writerows(map(_cells, figure.rows))


def _cells(row: Sequence[object]) -> list[object]:
    return ["" if isinstance(cell, float) and not np.isfinite(cell) else cell for cell in row]
