"""Every format of the registry: help, documentation, a reader, a good sample, a fuzz target, kinds that all know."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from soak.fuzz_imports import IMPORTS
from support.foreign_files import bring, GOOD

from batchscale.analysis.columns import METRICS
from batchscale.analysis.decision.imported import CANNOT_DECIDE
from batchscale.analysis.importers import csv_table, reading, registry
from batchscale.analysis.importers.derived import completed
from batchscale.analysis.importers.imported_run import COLUMNS, Found, Options, parse_target
from batchscale.analysis.importers.registry import IMPORTERS, KINDS
from batchscale.analysis.importers.sources import Sources
from batchscale.analysis.report import page
from batchscale.analysis.report.findings import Findings
from batchscale.benchmarks.errors import RecordError

ROOT = Path(__file__).resolve().parents[3]
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("form", IMPORTERS)
def test_a_format_is_explained_sampled_and_fuzzed(form: str) -> None:
    assert IMPORTERS[form].help and f"| `{form}` | {IMPORTERS[form].help} |" in REFERENCE
    assert form in {target.name for target in IMPORTS}
    assert form in GOOD


@pytest.mark.parametrize("form", IMPORTERS)
def test_a_good_file_brings_runs_of_the_kinds_declared(form: str, tmp_path: Path) -> None:
    kinds = set(bring(GOOD[form](tmp_path / "sample"), form).runs["kind"])
    assert kinds and kinds <= set(IMPORTERS[form].kinds) <= set(KINDS)


@pytest.mark.parametrize("form", IMPORTERS)
def test_a_good_file_is_shown_and_not_only_named_in_the_report(form: str, tmp_path: Path) -> None:
    chapters = page.chapters_of(Findings.of(bring(GOOD[form](tmp_path / "sample"), form)))
    assert [one.anchor for one in chapters if one.has_data]


def test_a_timing_run_may_give_the_rate_or_the_time_of_a_step() -> None:
    run = {"kind": "throughput", "status": "completed", "global_batch": 64, "replicas": 2}
    assert completed({**run, "examples_per_second": 128.0})["step_seconds"] == 0.5
    assert completed({**run, "step_seconds": 0.5, "accumulation": 4}) == {
        **run, "step_seconds": 0.5, "examples_per_second": 128.0, "accumulation": 4, "replica_batch": 8,
        "strategy": "not told", "placement": "not told-2r"}
    lost = {**run, "status": "out_of_memory"}
    assert completed(lost) == lost


def test_every_kind_comes_from_a_format_of_its_own_and_needs_columns_that_are_known() -> None:
    assert {kind for one in IMPORTERS.values() for kind in one.kinds} == set(KINDS)
    for name, kind in KINDS.items():
        assert kind.needed and set((*kind.needed, *kind.one_of)) <= COLUMNS | set(METRICS)
        assert f"| {name} | " in csv_table.reference()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("accuracy", "memory")])
def test_of_every_kind_without_accuracy_it_is_said_what_it_cannot_decide(kind: str) -> None:
    """Runs with accuracy or memory have a decision like a study's."""
    assert any(kind in told for _, told in CANNOT_DECIDE), "no question is answered by this kind"
    assert any(kind not in told for _, told in CANNOT_DECIDE)


def test_only_kinds_that_exist_decide_something() -> None:
    assert {kind for _, told in CANNOT_DECIDE for kind in told} <= set(KINDS)


@pytest.mark.parametrize("form", IMPORTERS)
@pytest.mark.parametrize("option", [registry.TARGET, registry.SIZES])
def test_an_option_of_another_format_is_refused_with_the_formats_that_take_it(form: str, option: str,
                                                                              tmp_path: Path) -> None:
    if option in IMPORTERS[form].takes:
        assert form in registry.takers(option)
        return
    options = Options(train_examples=5) if option == registry.SIZES else Options(target=parse_target("loss<1"))
    with pytest.raises(RecordError, match=f"{option} belongs to .* and "):
        reading.read(form, tmp_path, options)


def test_a_new_format_needs_its_line_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def read(sources: Sources, options: Options) -> Found:
        raise RecordError(f"a toy at {sources.named(sources.path)}")
    monkeypatch.setattr(csv_table, "read", read)
    monkeypatch.setitem(IMPORTERS, "toy", registry.Importer(help="a toy", module="csv_table", kinds=("throughput",)))
    with pytest.raises(RecordError, match="a toy at"):
        reading.read("toy", GOOD["csv"](tmp_path), Options())


def test_the_names_of_the_formats_cost_the_command_line_nothing() -> None:
    program = ("import sys, batchscale.analysis.importers.registry; "
               "print([name for name in ('numpy', 'pandas', 'json') if name in sys.modules])")
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
