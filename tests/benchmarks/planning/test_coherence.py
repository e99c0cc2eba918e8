"""Keys of one experiment that must fit each other: settled as the plan means them, or refused with the fix."""

from __future__ import annotations

import pytest

from batchscale.benchmarks.config.strategies import STRATEGIES
from batchscale.benchmarks.errors import PlanError
from batchscale.benchmarks.planning.expansion import expand
from batchscale.benchmarks.planning.plan import parse
from batchscale.benchmarks.runs.run_config import RunConfig

MANY_REPLICAS = [name for name, spec in STRATEGIES.items() if spec.many_replicas]


def runs(keys: str, settings: str = "") -> list[RunConfig]:
    text = f'[plan]\nname = "x"\ndrift_guard = false\n{settings}\n[[experiment]]\nname = "e"\ndataset = "digits"\n' \
           f'model = "mlp_128"\n{keys}\n'
    return expand(parse(text), lambda *_: 1200, {}).runs


@pytest.mark.parametrize(("keys", "expected"), [
    ("global_batches = [64, 512]", 64), ("global_batches = [512, 32]", 32), ("global_batches = ['all', 600]", 600),
    ("global_batches = ['all']", 1200), ("global_batches = [64, 512]\nreference_batch = 512", 512),
    ("replica_batches = [60]\nreplicas = [1, 2]\nstrategies = ['mirrored']", 60),
    ("global_batches = [64]\nkind = 'throughput'", 32),
])
def test_the_reference_is_the_smallest_batch_where_32_is_not_among_them(keys: str, expected: int) -> None:
    assert {run.reference_batch for run in runs(keys)} == {expected}


@pytest.mark.parametrize(("keys", "expected"), [
    ("replicas = [1, 2]\nglobal_batches = [64]", "strong"), ("replicas = [1, 2]\nreplica_batches = [64]", "weak"),
    ("replicas = [2]\nglobal_batches = [64]", ""),
    ("replicas = [1, 2]\nglobal_batches = [64]\nscaling = 'strong'", "strong"),
])
def test_timed_replica_counts_are_a_scaling_experiment(keys: str, expected: str) -> None:
    found = runs(f"kind = 'throughput'\nstrategies = ['single', 'mirrored']\n{keys}")
    assert found and {run.scaling for run in found} == {expected}


@pytest.mark.parametrize(("keys", "settings", "message"), [
    ("replicas = [4]\nglobal_batches = [64]", "", 'replicas = 4 gives no run under strategies = .*add strategies = '
     rf'\["{MANY_REPLICAS[0]}"\] \(or {", ".join(MANY_REPLICAS[1:])}\)'),
    ("replicas = [1, 4]\nglobal_batches = [64]", "", "replicas = 4 gives no run"),
    ("nodes = [2]\nreplicas = [2]\nstrategies = ['mirrored']\nglobal_batches = [64]", "", "nodes = 2 gives no run"),
    ("nodes = [4]\nreplicas = [2]\nstrategies = ['horovod']\nglobal_batches = [64]", "", "without a replica"),
    ("strategies = []\nglobal_batches = [64]", "", r"strategies = \[\] asks for no run"),
    ("kind = 'throughput'\nreplicas = [1, 2]\nstrategies = ['mirrored']\nglobal_batches = [64]\nreplica_batches = [8]",
     "", "replica_batches alone"),
    ("global_batches = [64]", "margin = 0.5", "50 points of accuracy .* margin = 0.005"),
    ("global_batches = [64]", "loss_margin = 2", "200 % of the reference batch's loss .* loss_margin = 0.02"),
])
def test_what_would_be_dropped_or_misread_is_refused_with_the_fix(keys: str, settings: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        runs(keys, settings)
