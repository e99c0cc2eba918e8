"""The wheel holds the whole tree, and every command is listed, documented and answers."""

from __future__ import annotations

import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest
from support.launching import environment

from batchscale.launchers.cli import main
from batchscale.launchers.commands.registry import COMMANDS, Command

ROOT = Path(__file__).resolve().parents[1]
TOP_FOLDERS = ("analysis", "benchmarks", "launchers", "slurm")
HEAVY = ("numpy", "pandas", "scipy", "matplotlib", "jinja2", "msgspec", "tensorflow")
SETUP = ConfigParser()
SETUP.read(ROOT / "setup.cfg")


def loaded_by(program: str) -> set[str]:
    """Return the names of all modules that a new process has loaded at the end of a program."""
    done = subprocess.run([sys.executable, "-c", f"{program}\nimport sys\nprint(*sys.modules)"], check=True,
                          capture_output=True, text=True, env=environment())
    return set(done.stdout.splitlines()[-1].split())


def folder_of(package: str) -> Path:
    """Return the folder that setup.cfg maps a package to."""
    places = dict(line.split(" = ") for line in SETUP["options"]["package_dir"].strip().splitlines())
    known = next(name for name in sorted(places, key=len, reverse=True) if f"{package}.".startswith(f"{name}."))
    return ROOT.joinpath(places[known], *package.removeprefix(known).split("."))


def test_every_folder_with_modules_is_a_package_of_the_wheel() -> None:
    folders = {path.parent for top in TOP_FOLDERS for path in (ROOT / top).rglob("*.py")
               if path.parent.name != "examples"}
    packages = SETUP["options"]["packages"].split()
    assert sorted(map(folder_of, packages)) == sorted(folders)
    assert all(package == "batchscale" or folder_of(package) == ROOT.joinpath(*package.split(".")[1:])
               for package in packages)
    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_no_package_is_ignored_by_git() -> None:
    """A pattern such as `results/` would leave a package's new files out of every commit."""
    files = [str(path) for top in TOP_FOLDERS for path in (ROOT / top).rglob("*.py")]
    done = subprocess.run(["git", "check-ignore", "--no-index", "--stdin"], input="\n".join(files), text=True,
                          capture_output=True, cwd=ROOT)
    if done.returncode == 128:
        pytest.skip("this is not a git checkout")
    assert done.stdout == ""


@pytest.mark.parametrize("package", SETUP["options.package_data"])
def test_every_pattern_of_package_data_matches_files(package: str) -> None:
    folder = folder_of(package)
    for pattern in SETUP["options.package_data"][package].split(","):
        assert list(folder.glob(pattern.strip())), f"{package}: {pattern}"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_has_help_and_stands_in_the_readme(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.help and f"batchscale {command.name}" in (ROOT / "README.md").read_text()
    with pytest.raises(SystemExit) as stop:
        main([command.name, "--help"])
    assert stop.value.code == 0
    assert f"usage: batchscale {command.name}" in capsys.readouterr().out


def test_help_imports_no_library() -> None:
    program = "from batchscale.launchers.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass"
    assert loaded_by(program) & set(HEAVY) == set()


def test_compare_loads_neither_matplotlib_nor_the_report(tmp_path: Path) -> None:
    program = f"from batchscale.launchers.cli import main\nassert main(['compare', {str(tmp_path)!r}, 'none']) == 2"
    loaded = loaded_by(program)
    assert "batchscale.analysis.comparison.compare" in loaded and "matplotlib" not in loaded
    assert [name for name in loaded if name.startswith(("batchscale.analysis.report", "batchscale.analysis.figures"))
            ] == []
