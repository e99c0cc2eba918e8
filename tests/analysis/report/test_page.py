"""The report of made-up studies: whole, escaped, self-contained, and honest where data is missing."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from support.html_page import Page
from support.report_sections import built
from support.stored_study import SMALL
from support.synthetic_records import SGD, Study, Timing, change, manifest, records, results, write_store
from support.undrawn import undrawn as without_drawing

from batchscale.analysis.report import page as report
from batchscale.analysis.report.findings import Findings
from batchscale.analysis.report.first_screen import first_screen
from batchscale.analysis.report.sections.runs import agreement
from batchscale.analysis.tables.reading import from_records

DRAWN = True  # but for the tests that ask for `undrawn`
HOSTILE = "<script>alert('x')</script>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of a study in which large batches end worse unless the rate is scaled."""
    study = change(SMALL, "sgd", "constant", accuracy_gap={512: 0.05}, loss_gap={512: 0.2})
    return report.write_findings(Findings.of(results(study)), tmp_path_factory.mktemp("report"))


@pytest.fixture
def undrawn() -> Iterator[None]:
    with without_drawing():
        yield


TINY = replace(SMALL, experiments=(replace(SGD, batches=(32, 512), noise_batches=(1, 8)),), seeds=2, epochs=1,
               timing=None, memory=None)


def html_of(study_or_results: Any, folder: Path) -> str:
    found = results(study_or_results) if isinstance(study_or_results, Study) else study_or_results
    return (report.write_findings(Findings.of(found), folder) / "index.html").read_text(encoding="utf-8")


def test_four_files_and_every_section(folder: Path) -> None:
    assert {"index.html", "report.md", "README.md", "results.csv", "decision.json", "next.toml", "figures"} == {
        p.name for p in folder.iterdir()}
    page = Page((folder / "index.html").read_text(encoding="utf-8"))
    for anchor in ("decision", "claims", "accuracy", "as-published", "curves", "throughput", "scaling", "noise",
                   "step", "critical", "memory", "time", "drift", "agreement", "provenance", "repeat", "answer",
                   "verdicts", "not-measured"):
        assert anchor in page.ids


def test_the_page_is_well_formed_and_needs_nothing_but_itself(folder: Path) -> None:
    text = (folder / "index.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert page.loaded == [] and not {"link", "iframe", "img"} & set(page.tags)
    beside = [link for link in page.links if not link.startswith("#")]
    assert all(link[1:] in page.ids for link in page.links if link.startswith("#"))
    assert beside and all(re.fullmatch(r"figures/[\w-]+\.csv", link) and (folder / link).is_file() for link in beside)
    assert "@import" not in text and not re.search(r"url\((?!#)", text)
    assert len(page.ids) == len(set(page.ids))
    assert len(text) < 3_000_000


def test_the_first_screen_comes_before_everything_else(folder: Path) -> None:
    text = unescape((folder / "index.html").read_text(encoding="utf-8"))
    first = text[:text.index("<nav")]
    decision = json.loads((folder / "decision.json").read_text(encoding="utf-8"))
    assert "mlp_128 on glyphs" in first  # the plan asks no question
    assert "5 seeds" in first and "4,096 are trained on" in first
    assert len(decision["cards"]) == 2
    for card in decision["cards"]:
        for said in (card["heading"], card["trained"], *card["settings"].values(), *card["facts"].values()):
            assert said in first
    for claim in decision["claims_in_words"]:
        assert not claim["in_words"] or claim["in_words"] in first


def test_ten_claims_stand_in_the_page_and_in_the_decision(folder: Path) -> None:
    decision = json.loads((folder / "decision.json").read_text(encoding="utf-8"))
    assert [claim["number"] for claim in decision["claims"]] == list(range(1, 11))
    text = (folder / "index.html").read_text(encoding="utf-8")
    for claim in decision["claims"]:
        judged = claim["estimate"]["value"] is not None
        assert claim["claim"] in text and (claim["tested"] if judged else claim["reason"]) in unescape(text)


def test_results_have_one_row_per_run_and_phase(folder: Path) -> None:
    with open(folder / "results.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    phases = [(row["run_id"], row["phase"]) for row in rows]
    assert len(phases) == len(set(phases))
    published = [row for row in rows if row["rule"] == "as_published"]
    assert {row["global_batch"] for row in published} == {"32", "512"}


def test_markdown_refers_to_figures_that_are_there(folder: Path) -> None:
    text = (folder / "report.md").read_text(encoding="utf-8")
    names = re.findall(r"\]\((figures/[^)]+)\)", text)
    assert names and all((folder / name).is_file() for name in names)
    for line in text.splitlines():
        assert line.count("```") in (0, 1)


def test_tables_in_markdown_keep_their_columns(folder: Path) -> None:
    width = 0
    for line in (folder / "report.md").read_text(encoding="utf-8").splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert not width or not cells or cells == width
        width = cells


@pytest.mark.usefixtures("undrawn")
def test_a_second_report_replaces_the_first_one_s_figures(tmp_path: Path) -> None:
    html_of(TINY, tmp_path)
    assert list((tmp_path / "figures").glob("w0-accuracy.svg"))
    html_of(replace(TINY, experiments=(replace(SGD, batches=(32,), noise_batches=()),)), tmp_path)
    assert not list((tmp_path / "figures").glob("w0-accuracy.svg"))


@pytest.mark.usefixtures("undrawn")
def test_names_from_records_stay_text(tmp_path: Path) -> None:
    made = records(TINY)
    for record in made:
        record["config"] |= {"dataset": HOSTILE, "model": HOSTILE}
        record["environment"] |= {"host": HOSTILE, "processor": "a | b\n# c"}
        record["warnings"] = [HOSTILE]
    facts = manifest(SMALL, made) | {"name": HOSTILE, "text": f"```\n{HOSTILE}", "skipped": [
        {"experiment": HOSTILE, "what": "all", "reason": HOSTILE}]}
    facts["settings"] |= {"question": HOSTILE, "leaves_out": [HOSTILE]}
    text = html_of(from_records(made, facts), tmp_path)
    assert "<script>alert" not in text and Page(text).tags.count("script") == 2
    assert "&lt;script&gt;" in text
    values = json.loads(re.findall(r'id="live">(.*?)</script>', text)[0])
    assert all(HOSTILE in table["who"] for table in values["tables"])
    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    fences = re.split(r"^```\w*$", markdown, flags=re.MULTILINE)
    assert not any(re.search(r"(?<!\\)<script", part) for part in fences[::2])


@pytest.mark.usefixtures("undrawn")
def test_without_any_record_the_report_says_so(tmp_path: Path) -> None:
    made = records(replace(SMALL, timing=None, memory=None))
    text = html_of(from_records([], manifest(SMALL, made)), tmp_path)
    assert "No run of " in text and "has left a record yet" in text
    assert f"{len(made)} of {len(made)} runs have no result yet" in text
    assert "<figure>" not in text


@pytest.mark.usefixtures("undrawn")
def test_a_partial_report_names_what_is_missing(tmp_path: Path) -> None:
    made = records(TINY)
    store = write_store(tmp_path / "results", made, skipped=[
        {"experiment": "scaling", "what": "horovod-mpi with 2 replicas", "reason": "no MPI"}],
        settings={"question": "Why?", "leaves_out": ["tuned rates"]})
    for record in made[:3]:
        (store.folder / record["run_id"] / "record.json").unlink()
    text = (report.write(store, tmp_path / "out") / "index.html").read_text(encoding="utf-8")
    assert f"3 of {len(made)} runs have no result yet" in text
    for sentence in ("Skipped: scaling, horovod-mpi with 2 replicas: no MPI.", "Left out by the plan: tuned rates.",
                     "Why?"):
        assert sentence in text


@pytest.mark.usefixtures("undrawn")
def test_failed_and_invalid_runs_are_named_with_their_message(tmp_path: Path) -> None:
    made = records(TINY)
    store = write_store(tmp_path / "results", made)
    for record, status in zip(made, ("failed", "invalid")):
        run = store.run(record["run_id"])
        (run.folder / "record.json").unlink()
        run.fail(run.attempts()[-1], status, 1, ValueError(f"broken {status}"))
    text = (report.write(store, tmp_path / "out") / "index.html").read_text(encoding="utf-8")
    for record, status in zip(made, ("failed", "invalid")):
        assert f"1 run {status}: {record['run_id']}." in text
        assert f"ValueError: broken {status}" in text
    rows = (tmp_path / "out" / "results.csv").read_text(encoding="utf-8")
    assert all(record["run_id"] in rows for record in made)


@pytest.mark.usefixtures("undrawn")
def test_one_seed_has_no_interval_and_no_invented_one(tmp_path: Path) -> None:
    text = html_of(replace(SMALL, seeds=1), tmp_path)
    assert "no interval, n = 1" in text
    assert ">supported<" not in text[text.index('id="claims"'):text.index("Reasons")].split("memory", 1)[0]


@pytest.mark.usefixtures("undrawn")
def test_runs_that_all_diverged_are_drawn_and_counted(tmp_path: Path) -> None:
    study = replace(SMALL, timing=None, memory=None)
    for experiment in ("sgd", "adam"):
        study = change(study, experiment, diverged=(32, 512))
    text = html_of(study, tmp_path)
    assert "diverged" in text and "no finite values" not in text


def test_nan_everywhere_gives_a_report_without_a_figure_of_nan(tmp_path: Path) -> None:
    made = records(SMALL)
    for record in made:
        for row in (*record["evaluations"], *record["gradient_norms"]):
            row.update({name: None for name in row if name.endswith(("loss", "accuracy", "squared", "of_mean"))})
        record["memory"] = dict.fromkeys(record["memory"])
        record["windows"] = []
    text = html_of(from_records(made, manifest(SMALL, made)), tmp_path)
    assert "no finite values" not in text
    for figure in re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL):
        assert not re.search(r"\b(nan|inf)\b", figure)
    json.loads((tmp_path / "decision.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)


def test_agreement_checks_are_added_up_over_runs_with_several_replicas() -> None:
    found = results(replace(TINY, timing=Timing(replica_batches=(32,), global_batches=(), strategies=("mirrored",))))
    several = int((found.runs["replicas"] > 1).sum())
    runs = found.runs.assign(size_expected=1.0, size=1.0, equal_after_broadcast=1.0, equal_at_evaluations=4.0,
                             shards_disjoint_and_complete=1.0)
    section = built(agreement.build, replace(found, runs=runs))
    assert f"{several} runs with several replicas" in section.text[0]
    assert f"{4 * several} times" in section.text[0]
    bare = built(agreement.build, replace(found, runs=runs.drop(columns="size")))
    assert "hold no agreement checks" in bare.text[0]


@pytest.mark.usefixtures("undrawn")
def test_drift_of_the_machine_is_a_warning_beyond_a_tenth(tmp_path: Path) -> None:
    for drift, warned in ((1.0, False), (1.5, True)):
        text = html_of(replace(SMALL, experiments=(), memory=None, timing=replace(Timing(), drift=drift)),
                       tmp_path / str(drift))
        assert '<section id="drift"' in text and text.count("The machine drifted") == warned


@pytest.mark.usefixtures("undrawn")
def test_efficiency_above_one_hundred_percent_is_flagged_and_not_clamped(tmp_path: Path) -> None:
    fast = Timing(synchronization_seconds=-4e-4, replica_batches=(32, 128), global_batches=(), strategies=("mirrored",))
    text = html_of(replace(SMALL, experiments=(), memory=None, timing=fast), tmp_path)
    section = text[text.index('<section id="scaling"'):].partition("</section>")[0]
    assert "above 100 %" in section and "suspect the baseline" in section
    assert any(float(value) > 130 for value in re.findall(r"(\d{3}(?:\.\d+)?) %", section))


def test_a_stand_in_and_what_was_set_are_told(tmp_path: Path) -> None:
    made = records(TINY)
    facts = {**manifest(TINY, made), "source": "mine.toml", "sets": ["rules=[\"sqrt\"]"],
             "stand_ins": [{"asked": "mnist", "stand_in": "glyphs", "used": "glyphs"},
                           {"asked": "cifar10", "stand_in": "digits", "used": "cifar10"}]}
    found = Findings.of(from_records(made, facts))
    told = first_screen(found).data
    assert told.endswith(" glyphs stands in for mnist, which was not on the machine that made the plan.")
    assert "digits" not in told
    text = (report.write_findings(found, tmp_path) / "report.md").read_text(encoding="utf-8")
    assert "batchscale study mine.toml --set 'rules=[\"sqrt\"]'" in text
