"""The worked examples: their data can be loaded, their plans list runs, and they end as their first lines say."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.launching import batchscale

from batchscale.analysis.decision.decision import decide_of
from batchscale.analysis.study.study import Study as Found
from batchscale.analysis.tables.reading import read
from batchscale.analysis.tables.results import Results
from batchscale.benchmarks import data
from batchscale.benchmarks.errors import EXIT_OK
from batchscale.benchmarks.planning import expansion, plan
from batchscale.benchmarks.records.store import open_store

EXAMPLES = Path(__file__).parents[2] / "benchmarks" / "examples"
NAMES = ("own_convolution", "regression", "text_classifier", "two_outputs")
SCRIPTS = ("example_1", "example_2", "example_3")  # which know nothing of a plan
EXPECTED = {"own_convolution": ("shapes", 32, 0.937), "regression": ("squared", 16, 0.445),
            "text_classifier": ("sentences", 32, 0.975), "two_outputs": ("throws", 32, 0.975)}
LAUNCHED = pytest.mark.launched


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the examples as working directory; their modules are forgotten afterwards."""
    copy = tmp_path / "examples"
    shutil.copytree(EXAMPLES, copy, ignore=shutil.ignore_patterns("results", "__pycache__"))
    monkeypatch.chdir(copy)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield copy
    for name in NAMES:
        sys.modules.pop(name, None)


def test_every_example_is_a_module_and_a_plan() -> None:
    assert sorted(path.stem for path in EXAMPLES.glob("*.py")) == sorted([*NAMES, *SCRIPTS])
    assert sorted(path.stem for path in EXAMPLES.glob("*.toml")) == sorted([*NAMES, "from_disk"])  # whose data is files


@pytest.mark.parametrize("name", NAMES)
def test_the_first_lines_say_how_to_run_it_what_it_costs_and_what_to_expect(name: str) -> None:
    head = (EXAMPLES / f"{name}.toml").read_text().split("[plan]")[0]
    assert f"batchscale study {name}.toml" in head and "Cost:" in head and "To expect:" in head
    assert f"batchscale study {name}.toml" in (EXAMPLES / f"{name}.py").read_text().split('"""')[1]


@pytest.mark.parametrize("name", NAMES)
def test_its_data_is_the_same_every_time_and_its_plan_lists_runs(folder: Path, name: str) -> None:
    made = plan.read(f"{name}.toml")
    first, again = (data.load(made.datasets[0]) for _ in range(2))
    assert first.size == again.size and str(first.train_x) == str(again.train_x)
    size = data.split_sizes(first.size.train_examples, 0.2)[0]
    runs = expansion.expand(made, lambda dataset, fraction: size, {}).runs
    assert {run.experiment for run in runs} == {e["name"] for e in made.experiments}


def test_an_example_s_classes_are_told_by_its_targets(folder: Path) -> None:
    sizes = {name: data.load(plan.read(f"{name}.toml").datasets[0]).size for name in NAMES}
    assert {name: size.classes for name, size in sizes.items()} == {
        "own_convolution": 3, "regression": 0, "text_classifier": 2, "two_outputs": {"distance": 0, "inside": 2}}
    assert sizes["two_outputs"].input_shape == {"throw": (2,), "wind": (1,)}


def study(name: str, **changes: str) -> Results:
    """The study of one example, with other values of some of its plan's lines."""
    lines = (Path(f"{name}.toml")).read_text().splitlines()
    changed = [f"{key} = {changes[key]}" if (key := line.partition(" =")[0]) in changes else line for line in lines]
    Path(f"{name}.toml").write_text("\n".join(changed) + "\n")
    done = batchscale("study", f"{name}.toml", cwd=Path.cwd(), timeout=600)
    assert done.returncode == EXIT_OK, done.stdout + done.stderr
    assert (Path("results") / name / "report" / "index.html").exists()
    return read(open_store(Path("results") / name))


@LAUNCHED
@pytest.mark.slow
def test_a_regression_runs_to_a_report_in_the_loss(folder: Path) -> None:
    results = study("regression", seeds="2", epochs="2", global_batches="[16, 64]", rules='["constant", "tuned"]',
                    drift_guard="true")
    assert {outcome.name for outcome in results.outcomes.values()} == {"loss"}
    assert results.runs[results.runs["kind"] == "accuracy"]["test_loss"].notna().all()
    assert set(results.metrics["metric"]) == {"mean_absolute_error", "within_half"}
    assert set(results.metrics["part"]) == {"train", "validation", "test"}
    assert len(results.tuned) == 2 and all(one.chosen.validation.value > 0 for one in results.tuned)
    assert "test loss" in " ".join(decide_of(Found(results)).answers)


@LAUNCHED
@pytest.mark.slow
def test_two_outputs_run_on_two_replicas_streamed_and_with_noise(folder: Path) -> None:
    results = study("two_outputs", seeds="1", epochs="1", global_batches="[32, 160]", rules='["constant"]\n'
                    'strategies = ["single", "mirrored"]\nreplicas = [1, 2]\ninput = "stream"\nnoise_batches = [1, 8]')
    assert sorted(set(results.runs["replicas"])) == [1, 2]
    assert {outcome.name for outcome in results.outcomes.values()} == {"accuracy"}
    one, two = (results.runs[(results.runs["replicas"] == n) & (results.runs["strategy"] == "mirrored")
                             & (results.runs["global_batch"] == 160)] for n in (1, 2))
    assert one["test_loss"].iloc[0] == pytest.approx(two["test_loss"].iloc[0], rel=1e-3)
    assert set(results.metrics["metric"]) == {"distance_error"}
    assert (results.gradient_norms["mean_norm_squared"] > 0).all() and len(results.gradient_norms)


@LAUNCHED
@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_it_ends_as_its_first_lines_say(folder: Path, name: str) -> None:
    results = study(name)
    experiment, batch, value = EXPECTED[name]
    runs = results.runs[(results.runs["experiment"] == experiment) & (results.runs["global_batch"] == batch)]
    assert runs[results.outcomes[experiment].test].mean() == pytest.approx(value, rel=0.05)
