"""The house: layers whose imports point down, folders without circles, few modules in each, TensorFlow in one place."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Mapping, Set
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOP_FOLDERS = ("benchmarks", "launchers", "analysis", "slurm")
MOST_MODULES = 12

# Lowest first. A module imports from its own line's folder and from lines above it in this table; folders that share
# a line do not know each other.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("benchmarks.decoding", "benchmarks.errors", "benchmarks.limits", "benchmarks.text"),
    ("benchmarks.config",),
    ("benchmarks.data",),
    ("benchmarks.schedules",),
    ("benchmarks.runs",),
    ("benchmarks.planning",),
    ("benchmarks.records",),
    ("benchmarks.rank",),
    ("analysis.statistics",),
    ("analysis.laws",),
    ("analysis.formatting", "analysis.meter_columns"),
    ("analysis.columns",),
    ("analysis.importers",),
    ("analysis.tables",),
    ("analysis.study",),
    ("analysis.hypotheses",),
    ("analysis.decision", "analysis.prediction", "analysis.comparison"),
    ("analysis.figures",),
    ("analysis.exporters",),
    ("analysis.report",),
    ("launchers.machine",),
    ("launchers.audit",),
    ("launchers.local",),
    ("launchers.slurm",),
    ("launchers.search",),
    ("launchers.commands",),
    ("launchers.cli", "launchers.reference", "launchers.python"),
    ("launchers.site",),
    ("slurm", "benchmarks.micro"),
)
TENSORFLOW_FOLDERS = ("benchmarks.rank", "benchmarks.micro.programs")
TENSORFLOW = ("tensorflow", "keras")
# Of one line of the table, but no folder.
SINGLE_FILES = ("benchmarks.decoding", "benchmarks.errors", "benchmarks.limits", "benchmarks.text")


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


SOURCES = {module_of(path): path for folder in TOP_FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))
           if "examples" not in path.parts}
PACKAGES = {name for name, path in SOURCES.items() if path.name == "__init__.py"}


def layer_of(module: str) -> tuple[int, str]:
    """The number of the line that a module belongs to, and the entry of that line."""
    found = [(number, entry) for number, line in enumerate(LAYERS) for entry in line
             if module == entry or module.startswith(f"{entry}.")]
    return max(found, key=lambda pair: len(pair[1])) if found else (-1, module)


@cache
def statements(module: str) -> tuple[ast.Import | ast.ImportFrom, ...]:
    """The imports of a module, also inside functions; each file is parsed once for all tests."""
    return tuple(node for node in ast.walk(ast.parse(SOURCES[module].read_text()))
                 if isinstance(node, (ast.Import, ast.ImportFrom)))


@cache
def imports_of(module: str) -> frozenset[str]:
    """The project's modules that a module imports."""
    package = module if module in PACKAGES else module.rpartition(".")[0]
    found: set[str] = set()
    for node in statements(module):
        if isinstance(node, ast.ImportFrom) and node.level:
            parts = package.split(".")
            base = ".".join([*parts[:len(parts) - node.level + 1], *(node.module or "").split(".")]).strip(".")
            for alias in node.names:
                full = f"{base}.{alias.name}".strip(".")
                found.add(full if full in SOURCES else base)
    return frozenset(name for name in found if name in SOURCES and name != module)


def foreign_imports_of(module: str) -> set[str]:
    """The packages outside the project that a module imports."""
    found: set[str] = set()
    for node in statements(module):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif not node.level:
            found.add((node.module or "").split(".")[0])
    return found


def folders() -> dict[str, list[str]]:
    """Each folder's own modules, without those of folders inside it."""
    found: dict[str, list[str]] = defaultdict(list)
    for name in SOURCES:
        if name not in PACKAGES:
            found[name.rpartition(".")[0]].append(name)
    return found


def circle(graph: Mapping[str, Set[str]]) -> list[str]:
    """The first circle of a graph, as its nodes in order; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_a_module_imports_only_from_lower_layers_or_its_own(module: str) -> None:
    own_line, own_entry = layer_of(module)
    if module in PACKAGES and own_line < 0:
        return
    assert own_line >= 0, f"{module} belongs to no layer"
    for target in imports_of(module):
        line, entry = layer_of(target)
        allowed = line < own_line or entry == own_entry or target in SINGLE_FILES and module in SINGLE_FILES
        assert allowed, f"{module} (layer {own_line}) imports {target} (layer {line})"


@pytest.mark.parametrize("folder", sorted(folders()))
def test_no_circle_among_the_modules_of_a_folder(folder: str) -> None:
    inside = [name for name in SOURCES if name == folder or name.startswith(f"{folder}.")]
    assert circle({name: imports_of(name) & (set(inside) - {folder}) for name in inside}) == []


def test_no_circle_among_all_modules_and_among_all_folders() -> None:
    assert circle({name: imports_of(name) for name in SOURCES if name not in PACKAGES}) == []
    between: dict[str, set[str]] = defaultdict(set)
    for name in SOURCES:
        own = layer_of(name)[1]
        between[own] |= {layer_of(target)[1] for target in imports_of(name)} - {own}
    assert circle(dict(between)) == []


@pytest.mark.parametrize("folder", sorted(folders()))
def test_a_folder_has_at_most_twelve_modules(folder: str) -> None:
    assert len(folders()[folder]) <= MOST_MODULES, folders()[folder]


def test_there_is_room_for_one_more_wherever_a_recipe_adds_a_module() -> None:
    recipes = (ROOT / "docs" / "structure.md").read_text().split("## To add")[1]
    named = [name for name in re.findall(r"`([a-z_/]+/)`", recipes) if not name.startswith("tests/")]
    assert len(named) > 5
    for name in (one for one in named if any((ROOT / one).rglob("*.py"))):  # scripts of the page are no modules
        counts = [len(modules) for module, modules in folders().items()
                  if f"{module}.".startswith(name.replace("/", "."))]
        assert counts and min(counts) < MOST_MODULES, f"{name} and its folders are full: {counts}"


@pytest.mark.parametrize("folder", sorted(folders()))
def test_no_family_of_modules_by_prefix(folder: str) -> None:
    """Three files that begin with the same word and an underscore are a folder that nobody made."""
    names = [name.rpartition(".")[2] for name in folders()[folder]]
    heads = [name.split("_")[0] for name in names if "_" in name and not name.startswith("test_")]
    assert [head for head in set(heads) if heads.count(head) >= 3] == []


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_the_projects_own_modules_are_imported_relatively(module: str) -> None:
    """The folders' names are too common to be import names, and a checkout may be another one than is installed."""
    assert "batchscale" not in foreign_imports_of(module)


def test_only_rank_code_and_the_measuring_programs_import_tensorflow() -> None:
    users = {name for name in SOURCES if foreign_imports_of(name) & set(TENSORFLOW)}
    assert len(users) > 10
    assert {name for name in users if not name.startswith(TENSORFLOW_FOLDERS)} == set()


def test_there_are_no_imports_for_the_type_checker_alone() -> None:
    """`if TYPE_CHECKING` hides a circle from everybody but the reader."""
    hidden = [name for name, path in SOURCES.items() if "if TYPE_CHECKING" in path.read_text()
              and not name.startswith(TENSORFLOW_FOLDERS)]
    assert hidden == []


def test_the_page_on_structure_names_every_layer_in_order_and_only_files_that_exist() -> None:
    page = (ROOT / "docs" / "structure.md").read_text()
    table = page.split("## The rooms")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert [tuple(re.findall(r"`([\w.]+)`", row)) for row in rows] == list(LAYERS)
    named = re.findall(r"`((?:benchmarks|launchers|analysis|slurm|tests)/[\w/.]+)`", page)
    assert len(named) > 20
    assert [name for name in named if not (ROOT / name).exists()] == []
