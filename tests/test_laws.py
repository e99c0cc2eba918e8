"""Laws of the tree that importing and running show: no TensorFlow outside ranks, short files, shadowed names."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from support.launching import environment

ROOT = Path(__file__).parent.parent
FOLDERS = ("benchmarks", "launchers", "analysis", "slurm")
SOURCES = [path.relative_to(ROOT) for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
IMPORT_ALL = """
import importlib, json, sys
for name in json.load(sys.stdin):
    importlib.import_module(name)
print(json.dumps(sorted(m for m in sys.modules if m.split(".")[0] in ("tensorflow", "keras", "horovod"))))
"""


def module(path: Path) -> str:
    return ".".join(("batchscale", *path.with_suffix("").parts)).removesuffix(".__init__")


def test_every_module_but_the_ranks_is_imported_without_tensorflow() -> None:
    names = [module(path) for path in SOURCES
             if path.parts[:2] not in (("benchmarks", "rank"), ("benchmarks", "micro"))
             and not path.stem.startswith("example_")]  # scripts, which train where they are imported
    names.append("batchscale.benchmarks.rank.worker")  # says what is wrong before it pays for TensorFlow
    child = subprocess.run([sys.executable, "-c", IMPORT_ALL], input=json.dumps(names), capture_output=True, text=True,
                           timeout=60)
    assert child.returncode == 0, child.stderr
    assert len(names) > 40
    assert json.loads(child.stdout) == []


def test_files_stay_short() -> None:
    long = {str(path): count for path in SOURCES if (count := len((ROOT / path).read_text().splitlines())) > 300}
    assert long == {}


def test_the_command_runs_from_a_folder_with_decoys_of_our_names(tmp_path: Path) -> None:
    for name in ("benchmarks", "analysis", "launchers"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('a decoy was imported')")
    done = subprocess.run([sys.executable, "-m", "batchscale.launchers.cli", "plan", "quick", "--offline"],
                          cwd=tmp_path, capture_output=True, text=True, timeout=60, env=environment())
    assert done.returncode == 0, done.stderr
    assert "mlp_128" in done.stdout
