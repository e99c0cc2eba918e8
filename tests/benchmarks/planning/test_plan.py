"""Plans: what they expand to, in which order, and what is said about those that cannot be."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from batchscale.benchmarks.config.fields import RunFields
from batchscale.benchmarks.errors import PlanError
from batchscale.benchmarks.planning import expansion, keys as plan_keys, plan
from batchscale.benchmarks.schedules.phases import first_phase

TEXT = """
[plan]
name = "small"
[defaults]
dataset = "digits"
model = "mlp_128"
seeds = 2
[[experiment]]
name = "sgd"
global_batches = [32, 128, "all"]
rules = ["constant", "linear", "sqrt"]
noise_batches = [1, 8]
as_published = true
[[experiment]]
name = "speed"
kind = "throughput"
scaling = "weak"
replica_batches = [64]
strategies = ["mirrored", "horovod"]
replicas = [1, 2]
launches = 3
"""


def expand(text: str = TEXT, unavailable: dict[str, str] | None = None) -> expansion.Expansion:
    return expansion.expand(plan.parse(text), lambda dataset, fraction: 1146, unavailable or {})


def test_batches_rules_and_seeds_are_multiplied_out_and_equal_runs_listed_once() -> None:
    runs = [c for c in expand().runs if c.experiment == "sgd"]
    arms = Counter((c.rule, c.global_batch) for c in runs)
    assert arms == {("constant", 32): 2, ("constant", 128): 2, ("constant", 1146): 2, ("linear", 128): 2,
                    ("linear", 1146): 2, ("sqrt", 128): 2, ("sqrt", 1146): 2, ("as_published", 1146): 2}
    published = next(c for c in runs if c.rule == "as_published")
    assert published.batches == (32, 128, 1146)
    assert {c.noise_batches for c in runs if c.global_batch != 32} == {()}
    assert {c.noise_batches for c in runs if c.global_batch == 32} == {(1, 8)}


@pytest.mark.parametrize("page", ["README.md", "docs/which-batch.md", "docs/how-many-gpus.md"])
def test_plans_in_the_documentation_are_plans_with_the_shapes_that_it_names(page: str) -> None:
    text = (Path(__file__).parents[3] / page).read_text()
    blocks = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    shapes = {run.shape for block in blocks for run in expansion.expand(plan.parse(block), lambda *_: 48_000, {}).runs}
    assert blocks and set(re.findall(r"--shape (\S+)", text)) <= shapes


@pytest.mark.parametrize(("scaling", "wrong"), [("strong", "replica_batches"), ("weak", "global_batches")])
def test_what_scaling_keeps_fixed_is_what_is_given(scaling: str, wrong: str) -> None:
    """Batches per replica under strong scaling would grow the global batch, and the other way round."""
    text = TEXT.replace('"weak"', f'"{scaling}"').replace("replica_batches = [64]", f"{wrong} = [64]")
    with pytest.raises(PlanError, match=f"'speed': scaling = '{scaling}' keeps .* and not {wrong}"):
        expand(text)


def test_timing_launches_are_interleaved_and_the_drift_guard_is_first_and_last() -> None:
    runs = expand().runs
    assert runs[0].experiment == runs[-1].experiment == "drift_guard"
    timing = [(c.launch, c.strategy, c.replicas) for c in runs if c.experiment == "speed"]
    assert [launch for launch, *_ in timing] == sorted(launch for launch, *_ in timing)
    first, second = ([t[1:] for t in timing if t[0] == launch] for launch in (0, 1))
    assert second == first[::-1]
    assert {c.global_batch for c in runs if c.experiment == "speed" and c.replicas == 2} == {128}


def test_batches_one_after_another_follow_the_run_whose_end_they_begin_with() -> None:
    runs = [c for c in expand().runs if c.kind == "accuracy"]
    for published in (c for c in runs if c.rule == "as_published"):
        begins_as = [c for c in runs if not c.earlier_batches and first_phase(c) == first_phase(published)]
        assert len(begins_as) == 1 and runs.index(begins_as[0]) < runs.index(published)


def test_loss_and_metrics_reach_every_run_of_an_experiment_and_the_drift_guard() -> None:
    plain = expand().runs
    assert {(c.loss, c.metrics) for c in plain} == {("sparse_categorical_crossentropy", ("accuracy",))}
    own = expand(TEXT.replace('model = "mlp_128"', 'model = "mlp_128"\nloss = "mine:loss"\nmetrics = ["mine:error"]'))
    assert {(c.loss, c.metrics) for c in own.runs} == {("mine:loss", ("mine:error",))}
    assert "drift_guard" in {c.experiment for c in own.runs}
    squared = expand(TEXT.replace('model = "mlp_128"', 'model = "mlp_128"\nloss = "mean_squared_error"')).runs
    assert {c.metrics for c in squared} == {()}
    keys = {c.workload_key for runs in (plain, own.runs, squared) for c in runs}
    assert len(keys) == 3, "each is described, and tried, by itself"


def test_what_the_machine_lacks_is_left_out_by_name_and_horovod_prefers_mpi() -> None:
    assert {c.transport for c in expand().runs if c.strategy == "horovod"} == {"mpi"}
    assert {c.transport for c in expand(unavailable={"horovod-mpi": "no mpirun"}).runs
            if c.strategy == "horovod"} == {"gloo"}
    none = expand(unavailable={"horovod-mpi": "no mpirun", "horovod-gloo": "not built", "2 replicas": "1 core"})
    assert not [c for c in none.runs if c.strategy == "horovod" or c.replicas == 2]
    assert {(s.what, s.reason) for s in none.skipped} >= {("horovod-gloo with 1 replica", "not built"),
                                                          ("mirrored with 2 replicas", "1 core")}


def test_one_experiments_cores_leave_out_no_run_of_another() -> None:
    text = TEXT + TEXT.partition("[[experiment]]\nname = \"speed\"")[2].join(
        ["[[experiment]]\nname = \"wide\"\ncores_per_replica = 2", ""])
    found = expand(text, {"2 replicas of 2 cores": "4 cores are needed"})
    assert {skip.experiment for skip in found.skipped} == {"wide"}
    assert any(c.experiment == "speed" and c.replicas == 2 for c in found.runs)


def test_optimizers_get_keras_decay_or_are_asked_for_a_rate() -> None:
    adamw = expand(TEXT.replace('name = "sgd"', 'name = "adamw"\noptimizer = "adamw"')).runs
    assert {(c.base_learning_rate, c.weight_decay) for c in adamw if c.experiment == "adamw"} == {(0.001, 0.004)}
    lars = TEXT.replace('name = "sgd"', 'name = "lars"\noptimizer = "lars"')
    with pytest.raises(PlanError, match="gives no learning_rate"):
        expand(lars)
    given = expand(lars.replace('"lars"\n', '"lars"\nlearning_rate = 2.0\nweight_decay = 1e-4\n', 1)).runs
    assert {(c.base_learning_rate, c.weight_decay) for c in given if c.experiment == "lars"} == {(2.0, 1e-4)}


def test_replica_batches_are_multiplied_by_replicas_and_accumulation() -> None:
    runs = expand(TEXT.replace("replica_batches = [64]", "replica_batches = [64]\naccumulation = 4")).runs
    speed = [c for c in runs if c.experiment == "speed"]
    assert {(c.replicas, c.global_batch) for c in speed} == {(1, 256), (2, 512)}
    assert {c.replica_batch for c in speed} == {64}


def test_other_seeds_are_other_runs() -> None:
    other = expand(TEXT.replace('name = "small"', 'name = "small"\nfirst_seed = 100'))
    assert {c.seed for c in other.runs if c.kind == "accuracy"} == {100, 101}


@pytest.mark.parametrize(("change", "message"), [
    (("seeds = 2", "sedes = 2"), "Did you mean 'seeds'?"),
    (("seeds = 2", 'seeds = "two"'), "must be a whole number"),
    (("seeds = 2", "seeds = true"), "must be a whole number"),
    (("seeds = 2", "seeds = 2\nlearning_rate = nan"), "learning_rate = nan must be a number from 0 to 2^53"),
    (("seeds = 2", "seeds = 2\njit = 1"), "jit = 1 must be true or false"),
    (("seeds = 2", "seeds = 2\nloss = [1]"), "loss = [1] must be text in quotes, at most 2,000 characters"),
    (("seeds = 2", f"seeds = 2\nnoise_batches = {[1] * 300}"), "must be a list of at most 256 whole numbers"),
    (('rules = ["constant", "linear", "sqrt"]', 'rules = ["liner"]'), "Did you mean 'linear'?"),
    (('[32, 128, "all"]', '[32, "half"]'),
     'global_batches[1] = \'half\' must be a whole number from 0 to 2^53 or "all"'),
    (('[32, 128, "all"]', "[32, 5000]"), "larger than the 1146 training examples"),
    (('name = "small"', ""), "name is missing (names the results folder)"),
    (('name = "small"', 'name = "../up"'), "names the results folder"),
    (('name = "speed"', 'name = "sgd"'), "used 2 times"),
    (("[plan]", "[plans]"), "section='plans'"),
    (('global_batches = [32, 128, "all"]', ""), "neither global_batches nor replica_batches"),
    (("replica_batches = [64]", ""), "fixed over the replica counts; give replica_batches."),
    (("launches = 3", "launches = -3"), "launches = -3 must be a whole number from 0 to 2^53"),
    (('name = "sgd"', 'name = "sgd"\nmomentum = 0.95'), "momentum = 0.95 does nothing under optimizer = 'sgd'"),
    (('name = "sgd"', 'name = "sgd"\nreference_batch = 64'), "reference_batch = 64, which is not among its batches"),
    (("[plan]", "[plan"), "not valid TOML"),
    (('strategies = ["mirrored", "horovod"]', 'strategies = ["horovood"]'), "Did you mean 'horovod'?"),
])
def test_a_plan_error_names_the_key_the_value_and_the_choices(change: tuple[str, str], message: str) -> None:
    assert change[0] in TEXT
    with pytest.raises(PlanError) as error:
        expand(TEXT.replace(*change))
    assert message in str(error.value)


def test_an_indivisible_batch_is_refused_with_the_nearest_valid_ones() -> None:
    with pytest.raises(PlanError, match="global_batch=33 is not divisible by 2 replicas; nearest valid: 32 and 34"):
        expand(TEXT.replace("replica_batches = [64]", "global_batches = [33]").replace('"weak"', '"strong"'))


@pytest.mark.parametrize(("key", "instead"), [
    ("early_stopping = true", "calls no callback"), ("class_weight = {a = 1}", "multiplies each example by the weight"),
    ("sample_weight = 'w'", "{'label': y, 'weight': w}"), ("label_smoothing = 0.1", "on one-hot targets"),
    ("reduce_lr = 1", "warmup_epochs"), ("validation_split = 0.1", "validation_fraction"),
    ("lr = 0.1", "'learning_rate'"), ("batch_size = 32", "'global_batches'")])
def test_an_argument_of_fit_says_what_a_plan_has_instead(key: str, instead: str) -> None:
    with pytest.raises(PlanError) as told:
        plan.parse(f'[plan]\nname = "p"\n[[experiment]]\nname = "x"\ndataset = "digits"\n{key}\n')
    assert f"key='{key.partition(' ')[0]}' is " in str(told.value) and instead in str(told.value)
    assert len(str(told.value)) < 300


def test_the_mark_that_windows_editors_put_first_is_no_part_of_a_plan(tmp_path: Path) -> None:
    path, text = tmp_path / "mine.toml", plan.find("quick").read_text()
    path.write_text(text, encoding="utf-8-sig")
    assert plan.read(str(path)).text == text
    path.write_text(text, encoding="utf-16")
    with pytest.raises(PlanError, match="not UTF-8 text; save it as UTF-8"):
        plan.read(str(path))


def test_plans_are_found_by_name_or_path(tmp_path: Path) -> None:
    assert plan.find("quick").stem == "quick"
    path = tmp_path / "mine.toml"
    path.write_text(TEXT)
    assert plan.read(str(path)).name == "small"
    with pytest.raises(PlanError, match="Did you mean 'quick'"):
        plan.find("quik")
    with pytest.raises(PlanError, match="bundled plans, by name: .*quick"):
        plan.find(str(tmp_path / "absent.toml"))


@pytest.mark.parametrize("name", plan.bundled())
def test_bundled_plans_expand(name: str) -> None:
    runs = expansion.expand(plan.read(name), lambda dataset, fraction: 48_000, {}).runs
    assert len({c.run_id for c in runs}) == len(runs) > 10
    kinds = {c.kind for c in runs}
    assert kinds == {"accuracy", "throughput", "memory"} or name == "large_batch" and "accuracy" in kinds


def test_every_key_that_is_passed_through_is_known() -> None:
    assert set(plan_keys.DECIDED) <= set(plan_keys.Experiment.__struct_fields__) & set(RunFields.__dataclass_fields__)
    assert {"dataset", "epochs", "decay_epochs", "jit"} < set(plan_keys.PASSED_THROUGH)
    assert "| `global_batches` |" in plan_keys.reference()


def test_a_plan_of_thousands_of_experiments_is_refused_before_they_are_looked_at() -> None:
    with pytest.raises(PlanError, match="has 10,001 experiments; the most is 1,000. Give several batches"):
        plan.parse('[plan]\nname = "p"\n' + '[[experiment]]\nname = "a"\n' * 10_001)


def with_exchange(value: str, text: str = TEXT) -> str:
    return text.replace("launches = 3", f"launches = 3\nexchange = {value}")


def test_an_exchange_in_groups_is_an_arm_beside_that_in_one_piece() -> None:
    one, both = expand(), expand(with_exchange('["one", "groups"]'))
    assert {c.exchange for c in one.runs} == {"one"}
    assert {c.run_id for c in one.runs} < {c.run_id for c in both.runs}, "runs in one piece are those of before"
    arms = Counter((c.strategy_name, c.replicas) for c in both.runs if c.experiment == "speed")
    assert arms == {(name, replicas): 3 for replicas in (1, 2)
                    for name in ("mirrored", "mirrored-groups", "horovod-mpi", "horovod-mpi-groups")}
    assert {c.exchange for c in expand(with_exchange('"groups"')).runs if c.experiment == "speed"} == {"groups"}


def test_a_strategy_without_an_exchange_is_trained_once_whatever_the_exchange_of_others() -> None:
    text = with_exchange('["groups", "one"]').replace('["mirrored", "horovod"]', '["single", "horovod"]')
    single = [c for c in expand(text).runs if c.experiment == "speed" and c.strategy == "single"]
    assert [c.exchange for c in single] == ["one"] * 3
    with pytest.raises(PlanError, match=r"'speed': exchange = \['groups', 'one'\] .* none exchanges gradients"):
        expand(text.replace('["single", "horovod"]', '["single"]').replace("replicas = [1, 2]", "replicas = [1]"))
    with pytest.raises(PlanError, match="exchange = .* asks for no run"):
        expand(with_exchange("[]"))


def test_what_a_plan_says_of_tf32_and_determinism_reaches_its_runs() -> None:
    said = expand(TEXT.replace('model = "mlp_128"', 'model = "mlp_128"\ntf32 = false\ndeterministic = true')).runs
    assert {(c.tf32, c.deterministic) for c in said} == {(False, True)}, "the drift guard's too"
    assert {(c.tf32, c.deterministic) for c in expand().runs} == {(None, False)}
