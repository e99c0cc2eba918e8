"""Rules, optimizers and strategies are each known in one registry, and everybody who shows or takes one covers all."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from batchscale.analysis.decision.decision import decide_of
from batchscale.analysis.decision.sentences import spoken
from batchscale.analysis.figures import theme
from batchscale.analysis.meter_columns import METER_COLUMNS
from batchscale.analysis.study.study import Study as Found
from batchscale.benchmarks.config.choices import MEASURED_RULE
from batchscale.benchmarks.config.optimizers import OPTIMIZERS
from batchscale.benchmarks.config.strategies import STRATEGIES, strategy_variants, waiting_for_others
from batchscale.benchmarks.decoding import choices
from batchscale.benchmarks.planning.keys import Experiment
from batchscale.benchmarks.records.rows import Measurements
from batchscale.benchmarks.schedules.rules import NEEDED, PUBLISHED_RULE, Rule, RULES
from batchscale.launchers.machine.checks import strategies_available
from batchscale.launchers.slurm.jobs import SCRIPTS
from support.synthetic_records import Curve, change, results, SGD, Study

ROOT = Path(__file__).parents[1]
REFERENCE = (ROOT / "docs" / "reference.md").read_text()
VARIANTS = [name for strategy in STRATEGIES for name in strategy_variants(strategy)]
OWNERS = {"benchmarks/schedules/rules.py", "benchmarks/config/optimizers.py", "benchmarks/config/strategies.py",
          "benchmarks/rank/training/optimizers.py", "benchmarks/rank/strategies/__init__.py"}
CHOICES = choices(Experiment)
PROGRAMS = "benchmarks/micro/"  # they measure what they name, with other frameworks' classes


def literal_keys(path: Path) -> Iterator[set[str]]:
    """The texts that are keys of each dictionary a file writes out."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Dict):
            yield {key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}


def sources() -> list[str]:
    return [str(path.relative_to(ROOT)) for folder in ("benchmarks", "analysis", "launchers")
            for path in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_told_in_every_place(name: str) -> None:
    rule = RULES[name]
    assert rule.formula and rule.source and rule.article and spoken(name) == rule.words
    assert theme.role(name) == theme.RULE_ROLES[list(RULES).index(name)]
    assert name == PUBLISHED_RULE or name in CHOICES["rules"]
    assert name in REFERENCE
    assert bool(rule.optimizers) == bool(rule.unfit) and set(rule.optimizers) <= set(OPTIMIZERS)
    assert not rule.needs or rule.needs in NEEDED and rule.needs in Experiment.__struct_fields__
    assert rule.adapts is (name == MEASURED_RULE) is rule.own_budget


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_is_told_and_trained_in_every_place(name: str) -> None:
    assert spoken(name) == OPTIMIZERS[name].words
    assert name in CHOICES["optimizer"]
    assert name in REFERENCE
    assert any(name in keys for keys in literal_keys(ROOT / "benchmarks/rank/training/optimizers.py"))


def test_the_ranks_train_no_optimizer_that_the_registry_lacks() -> None:
    trained = [keys for keys in literal_keys(ROOT / "benchmarks/rank/training/optimizers.py") if "sgd" in keys]
    assert trained == [set(OPTIMIZERS)]


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_is_told_and_started_in_every_place(name: str) -> None:
    spec = STRATEGIES[name]
    assert spec.words and bool(spec.advice) == spec.process_per_replica
    assert name in CHOICES["strategies"] and name in REFERENCE
    for variant in strategy_variants(name):
        assert variant in CHOICES["strategies"]
        assert theme.role(variant) == theme.STRATEGIES[variant]
        several = theme.role(f"{variant} on 4 nodes")
        assert several.light == theme.role(f"{variant} on 1 node").light == theme.STRATEGIES[variant].light
        assert len({theme.role(f"{variant} on {nodes} nodes").dash for nodes in (1, 2, 4, 8)}) == 4
    assert theme.role(name) == theme.STRATEGIES[name], "without its transport, as in other tools' files"


def compared_with(path: Path) -> set[str]:
    """The texts with which a file compares a value by ==, != or in."""
    return {constant.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Compare)
            for constant in ast.walk(node) if isinstance(constant, ast.Constant) and isinstance(constant.value, str)}


@pytest.mark.parametrize("source", [name for name in sources() if name.startswith("launchers/")
                                    or name.startswith("analysis/study/")])
def test_who_starts_or_compares_strategies_asks_the_registry_and_not_for_a_name(source: str) -> None:
    named = compared_with(ROOT / source) & {*STRATEGIES, *VARIANTS}
    assert not named, f"{source}: what sets {named} apart is a property in the registry"


def test_the_record_describes_what_meters_fill_and_columns_sum_up_no_other_field() -> None:
    filled = {constant.value for path in (ROOT / "benchmarks/rank/meters").glob("*.py")
              for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Assign)
              and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "fields"
              for constant in ast.walk(node.value) if isinstance(constant, ast.Constant)}
    assert filled == set(Measurements.__struct_fields__)
    assert {column.field for column in METER_COLUMNS.values()} <= filled


@pytest.mark.parametrize("name", STRATEGIES)
def test_slurm_has_a_script_for_every_way_to_start_ranks(name: str) -> None:
    assert (ROOT / "slurm" / f"{SCRIPTS[STRATEGIES[name].start]}.sbatch").is_file()


def test_a_step_of_one_replica_waits_for_nothing_and_of_an_unknown_strategy_for_other_processes() -> None:
    assert [waiting_for_others(name) for name in ("single", "mirrored", "multiworker", "horovod-mpi", "foreign")] == [
        0, 1, 2, 2, 2]


def test_a_machine_is_asked_for_every_strategy() -> None:
    assert set(strategies_available()) == set(VARIANTS)


def test_ranks_know_every_strategy() -> None:
    found = {node.value.value for path in (ROOT / "benchmarks/rank/strategies").glob("*.py")
             for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Assign)
             and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "name"
             and isinstance(node.value, ast.Constant)}
    assert found == set(STRATEGIES)
    assert set(STRATEGIES) in literal_keys(ROOT / "benchmarks/rank/strategies/__init__.py")


def test_no_rule_and_no_strategy_shares_a_colour() -> None:
    roles = [*theme.RULES.values(), *theme.STRATEGIES.values(), *theme.OTHERS]
    assert len({role.light for role in roles}) == len(RULES) + len({*VARIANTS, *STRATEGIES}) + len(theme.OTHERS)


def test_a_rule_and_a_strategy_more_have_colours() -> None:
    assert len(theme.RULES) < len(theme.RULE_ROLES) and len(theme.STRATEGIES) < len(theme.STRATEGY_ROLES)


def test_colours_run_out_with_an_error_and_not_silently() -> None:
    with pytest.raises(ValueError, match="3 names for 2 colours"):
        theme.by_position(("a", "b", "c"), theme.OTHERS[:2])


@pytest.mark.parametrize("source", [name for name in sources() if name not in OWNERS
                                    and not name.startswith(PROGRAMS)])
def test_nobody_else_keeps_a_table_by_rule_optimizer_or_strategy(source: str) -> None:
    for names in (set(RULES), set(OPTIMIZERS), {*STRATEGIES, *VARIANTS}):
        own = [keys & names for keys in literal_keys(ROOT / source) if keys and keys <= names]
        assert own == [], f"{source}: what it says of {own} belongs to the registry"


def test_a_new_rule_appears_in_headline_answers_table_and_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = Rule(formula="eta0", source="this test", factor=lambda config: 1.0, words="the toy rule",
               article="under the toy rule")
    monkeypatch.setitem(RULES, "toy", toy)
    study = Study(experiments=(replace(SGD, curves={"constant": Curve(), "toy": Curve()}),), noise=1e-4)
    decision = decide_of(Found(results(change(study, "sgd", "toy", accuracy_gap={4096: 0.1}))))
    headline = " ".join(decision.headlines)
    assert re.search(r"loses 10\.0| and 10\.0", headline) and headline.endswith("under the toy rule.")
    assert "At the toy rule, batch 4,096 loses" in " ".join(decision.sentences)
    assert [row[1] for table in decision.overview for row in table.rows] == ["constant", "toy"]
    assert theme.role("toy") == theme.RULE_ROLES[len(RULES) - 1]
