"""`batchscale export RESULTS`: the measured tables as CSV with a README, and the curves for TensorBoard."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ...benchmarks.errors import EXIT_OK, RecordError
from ...benchmarks.records.store import open_store
from ..columns import FIGURE, RUN, readme
from ..figures.drawing import Figure
from ..tables.reading import read
from ..tables.results import Results
from . import tensorboard

RUNS, README = "results.csv", "README.md"


def run(results: Path, output: Path | None, events: Path | None) -> int:
    """The command. Raises RecordError when a folder cannot be written or holds no plan."""
    store = open_store(results)
    found = read(store)
    folder = write(found, output or store.folder / "export")
    print(f"tables: {folder}, described in {folder / README}")
    if events is not None:
        count = _guarded(events, lambda: tensorboard.write(found, events))
        print(f"TensorBoard: {count:,} event files; to see them: tensorboard --logdir {events}")
    return EXIT_OK


def write(results: Results, folder: Path) -> Path:
    """results.csv and, where they have rows, the long tables, with their README. Returns the folder."""
    tables = {f"{name}.csv": frame for name, frame in long_tables(results).items() if not frame.empty}

    def written() -> int:
        folder.mkdir(parents=True, exist_ok=True)
        write_runs(results, folder / RUNS)
        for name, frame in tables.items():
            frame.to_csv(folder / name, index=False)
        (folder / README).write_text(readme({RUNS: RUN, **{name: list(map(str, frame.columns))
                                                           for name, frame in tables.items()}}), encoding="utf-8")
        return len(tables)

    _guarded(folder, written)
    return folder


def _guarded(folder: Path, write_all: Callable[[], int]) -> int:
    try:
        return write_all()
    except OSError as error:
        raise RecordError(f"cannot write {folder}: {error.strerror}. Free space or choose another folder.") from None


def long_tables(results: Results) -> dict[str, pd.DataFrame]:
    return {"evaluations": results.evaluations, "windows": results.windows, "gradient_norms": results.gradient_norms,
            "memory": results.memory}


def write_runs(results: Results, path: Path) -> None:
    """One row per run and phase; runs without a record have their status alone."""
    bare = results.statuses[~results.statuses["run_id"].isin(results.all_runs["run_id"])]
    columns = [name for name in bare.columns if name in results.runs]
    rows = results.all_runs.reset_index(drop=True)
    if not bare.empty:
        rows = rows.reindex(np.arange(len(rows) + len(bare)))
        rows = rows.astype({name: object for name in columns})
        rows.loc[len(results.all_runs):, columns] = bare[columns].to_numpy()
    rows.to_csv(path, index=False)


def write_figures(figures: Iterable[Figure], folder: Path) -> None:
    """Each figure's points, one a row, as NAME.csv; those of an earlier report go."""
    for old in folder.glob("*.csv"):
        old.unlink()
    for figure in figures:
        with open(folder / f"{figure.name}.csv", "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(FIGURE)
            writer.writerows(map(_cells, figure.rows))


def _cells(row: Sequence[object]) -> list[object]:
    return ["" if isinstance(cell, float) and not np.isfinite(cell) else cell for cell in row]
