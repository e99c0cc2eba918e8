"""`batchscale verify RESULTS`: every record against the schema, its hash and its configuration. Changes nothing."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ....benchmarks.errors import EXIT_OK, EXIT_RUNS_FAILED, BatchscaleError, RecordError
from ....benchmarks.records.json_files import read_bytes, read_json
from ....benchmarks.records.run_folder import Run
from ....benchmarks.records.seal import other_version
from ....benchmarks.records.store import open_stores, Store
from ....benchmarks.text import plain
from ..options import add_results

LONGEST_REASON = 300


@dataclass
class Findings:
    """Results of verifying one plan's folder. `corrupt` and `notes`: a path and the reason each."""

    good: int = 0
    corrupt: list[tuple[Path, str]] = field(default_factory=list)
    notes: list[tuple[Path, str]] = field(default_factory=list)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's own arguments to its parser."""
    add_results(parser)


def run(arguments: Namespace) -> int:
    """Print what is corrupt; return 1 where something is."""
    return show(arguments.results)


def show(results: Path) -> int:
    """Print what is corrupt, by name and with the reason. 0: all can be believed; 1: something cannot."""
    code = EXIT_OK
    for store in open_stores(results):
        found = examine(store)
        for path, reason in found.corrupt:
            print(plain(f"corrupt: {path}: {reason}"))
        for path, reason in found.notes:
            print(plain(f"note: {path}: {reason}"))
        records = found.good + len(found.corrupt)
        print(f"{store.folder}: {found.good} of {records} files can be believed")
        code = EXIT_RUNS_FAILED if found.corrupt else code
    return code


def examine(store: Store) -> Findings:
    """Look at the plan's list of runs and at every run in its folder, listed or not."""
    found = Findings()
    try:
        listed = {run.run_id for run in store.runs()}
        found.good += 1
    except RecordError as error:
        listed = set()
        found.corrupt.append((store.folder / "plan.json", str(error)))
    else:
        _examine_import(store, found)
    for run in run_folders(store):
        _examine_run(run, found)
        if listed and run.run_id not in listed:
            found.notes.append((run.folder, "the plan, as it stands now, does not list this run"))
    return found


def _examine_import(store: Store, found: Findings) -> None:
    """The runs that another tool's file left, each against the columns of our table."""
    if store.manifest.imported is None:
        return
    from ....analysis.importers import imported_store as imported
    try:
        found.good += sum(1 for _ in imported.runs(store)) > 0
    except RecordError as error:
        found.corrupt.append((store.folder / imported.FILE, str(error)))


def run_folders(store: Store) -> Iterator[Run]:
    """Yield every run in the folder, in the order of their names; links are not followed."""
    for path in sorted(store.folder.iterdir()):
        if path.is_dir() and not path.is_symlink() and ((path / "config.json").exists()
                                                        or Run(path).has_record):
            yield Run(path)


def _examine_run(run: Run, found: Findings) -> None:
    try:
        assert run.config
    except BatchscaleError as error:
        found.corrupt.append((run.folder / "config.json", str(error)))
    if not run.has_record:
        _set_aside(run, found, replaced=False)
        return
    record, wrong = run.examine()
    if other_version(record):
        found.notes.append((run.record_path, f"schema version {(record or {})['schema_version']}; left as it is"))
        return
    wrong = wrong or _another_configuration(run, record or {})
    if wrong:
        more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        found.corrupt.append((run.record_path, "; ".join(wrong[:3]) + more))
    else:
        found.good += 1
        if "content_hash" not in (record or {}):
            found.notes.append((run.record_path, "no hash: only the schema was checked"))
    _set_aside(run, found, replaced=not wrong)


def _another_configuration(run: Run, record: dict[str, object]) -> list[str]:
    values = read_json(run.folder / "config.json")
    if isinstance(values, dict) and values.get("config") != record.get("config"):
        return ["its configuration is not that of config.json beside it"]
    return []


def _set_aside(run: Run, found: Findings, replaced: bool) -> None:
    """Records that were set aside earlier: corrupt as long as no good record has taken their place."""
    for path in run.corrupt():
        try:
            text = read_bytes(path.with_suffix(".txt"), LONGEST_REASON).decode(errors="replace")
            reason = text.strip().replace("\n", "; ")
        except (OSError, RecordError):
            reason = "no reason was written"
        where = found.notes if replaced else found.corrupt
        where.append((path, f"set aside: {reason}{'; the run was done again' if replaced else ''}"))
