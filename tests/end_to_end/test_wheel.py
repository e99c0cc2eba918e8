"""The wheel outside of the checkout: built from the source distribution of a clean clone, used from an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from batchscale.benchmarks import data
from batchscale.launchers.cli import version

pytestmark = [pytest.mark.launched, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
BUILD = "from setuptools import build_meta as b; b.build_sdist({out!r}); print(b.build_wheel({out!r}))"
PLAN = ('[plan]\nname = "tiny"\ndrift_guard = false\n[[experiment]]\nname = "sgd"\ndataset = "digits"\n'
        'model = "mlp_128"\noptimizer = "sgd"\nglobal_batches = [32, 128]\nseeds = 2\nepochs = 1\n')
READ = ("import batchscale; found = batchscale.load('results/tiny'); assert len(found.runs) == 4, found.runs; "
        "print(found.figure(found.figures[0]).save('first.svg')); print(batchscale.__version__)")
FASHION = "fashion_mnist"  # which the example reads


def outside(*words: str, cwd: Path, **more: str) -> str:
    """A program that sees nothing of the checkout; its output."""
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=600, env={**own, **more})
    assert done.returncode == 0, f"{words}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that the source distribution of what is committed makes."""
    place = tmp_path_factory.mktemp("built")
    if subprocess.run(["git", "clone", "-q", str(ROOT), str(place / "clone")], capture_output=True).returncode:
        pytest.skip("this is not a git checkout")
    out = place / "dist"
    out.mkdir()
    outside(sys.executable, "-c", BUILD.format(out=str(out)), cwd=place / "clone")
    (archive,) = out.glob("*.tar.gz")
    outside("tar", "xf", str(archive), cwd=place)
    (unpacked,) = place.glob("batchscale-*")
    again = place / "again"
    again.mkdir()
    outside(sys.executable, "-c", BUILD.format(out=str(again)), cwd=unpacked)
    (made,) = again.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel; the libraries are those of this one."""
    place = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(place, with_pip=True, symlinks=True)
    libraries = next(path for path in map(Path, sys.path) if path.name == "site-packages")
    (site,) = place.glob("lib/python*/site-packages")
    outside(str(place / "bin" / "pip"), "install", "--quiet", "--no-deps", "--no-index", str(wheel), cwd=place)
    (site / "libraries.pth").write_text(f"{libraries}\n")  # behind the wheel's own; links of a checkout are not read
    return place / "bin"


def test_it_lists_plans_studies_and_reads_from_an_empty_folder(programs: Path, tmp_path: Path) -> None:
    own = {"BATCHSCALE_LOCK": str(tmp_path / "lock"), "BATCHSCALE_CACHE": str(tmp_path / "cache"),
           "TF_CPP_MIN_LOG_LEVEL": "3"}
    batchscale = str(programs / "batchscale")
    said = outside(batchscale, "--version", cwd=tmp_path)
    assert str(programs.parent) in said and said.split()[1] == version().split()[1]
    assert "quick" in outside(batchscale, "plans", cwd=tmp_path)
    (tmp_path / "tiny.toml").write_text(PLAN)
    outside(batchscale, "study", "tiny.toml", cwd=tmp_path, **own)
    assert (tmp_path / "results" / "tiny" / "report" / "index.html").stat().st_size > 50_000
    read = outside(str(programs / "python"), "-c", READ, cwd=tmp_path)
    assert read.split() == ["first.svg", version().split()[1]] and (tmp_path / "first.svg").stat().st_size > 1000


def test_it_audits_an_example_that_it_brings(programs: Path, tmp_path: Path) -> None:
    if data.absent(FASHION):
        pytest.skip(f"{FASHION} is not on this machine; in Debian: apt-get install dataset-fashion-mnist")
    (example,) = programs.parent.glob("lib/python*/site-packages/batchscale/benchmarks/examples/example_1.py")
    said = outside(str(programs / "batchscale"), "audit", str(example), cwd=tmp_path, TF_CPP_MIN_LOG_LEVEL="3")
    assert "no fault" in said and not any(tmp_path.iterdir())


def test_what_a_study_needs_is_inside(programs: Path) -> None:
    (site,) = programs.parent.glob("lib/python*/site-packages/batchscale")
    for pattern in ("benchmarks/plans/quick.toml", "benchmarks/examples/*.py", "benchmarks/examples/*.toml",
                    "analysis/report/templates/report.html", "analysis/report/static/*.js", "slurm/profiles/*.toml",
                    "slurm/*.sbatch", "py.typed", "__init__.pyi"):
        assert list(site.glob(pattern)), pattern


def test_the_page_of_an_index_has_no_links_into_the_tree(programs: Path) -> None:
    (metadata,) = programs.parent.glob("lib/python*/site-packages/batchscale-*.dist-info/METADATA")
    page = metadata.read_text().partition("\n\n")[2]
    assert page.startswith("# Batchscale") and "batchscale study" in page and "](" not in page
