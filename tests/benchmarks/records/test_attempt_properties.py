"""A run's life as the design tells it, for every order of claims, endings, losses, retries and results."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.synthetic_records import record_for

from batchscale.benchmarks.errors import RecordError
from batchscale.benchmarks.rank.watchdog import behind
from batchscale.benchmarks.records.failures import ending
from batchscale.benchmarks.records.json_files import write_json
from batchscale.benchmarks.records.run_folder import Run
from batchscale.benchmarks.records.store import Store
from batchscale.benchmarks.runs.run_config import RunConfig
from batchscale.benchmarks.schedules import rates as schedules_rates, rules
from batchscale.benchmarks.schedules.decays import DECAYS

FIXED = settings(derandomize=True, deadline=None, database=None, max_examples=60,
                 suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
CONFIG = RunConfig(experiment="sgd", kind="memory", dataset="digits", model="mlp_128", optimizer="sgd", seed=0,
                   global_batch=128, train_examples=1146)
AGAIN, FINAL = ("lost", "preempted", "timed_out"), ("invalid", "failed", "out_of_memory")
ENDS = st.sampled_from([*["lose", *AGAIN[1:]] * 3, "finish", *FINAL])
STEPS = st.lists(st.tuples(st.sampled_from(["claim", "claim", "retry"]), ENDS), max_size=10).map(
    lambda pairs: [step for pair in pairs for step in pair])


class Design:
    """ARCHITECTURE's table: what is final, what is tried again, and how often."""

    def __init__(self) -> None:
        self.status, self.tried = "pending", 0

    def may_claim(self, retry: bool) -> bool:
        return self.status in ("pending", *AGAIN) or retry and self.status in ("invalid", "failed")

    def claimed(self, retry: bool) -> None:
        self.tried = 1 if retry and self.status in ("invalid", "failed") else self.tried + 1
        self.status = "running"

    def ended(self, status: str) -> None:
        self.status = "failed" if status in AGAIN and self.tried >= 3 else status


def lose(attempt: Path) -> None:
    """Its process is gone without a word."""
    write_json(attempt / "claim.json", {**json.loads((attempt / "claim.json").read_text()), "process_began": -1})


def take_step(run: Run, design: Design, step: str) -> None:
    if step in ("claim", "retry"):
        retry = step == "retry"
        attempt = run.claim(time.time() + 1e6 * (1 + len(run.attempts())) if retry else 0.0)
        assert (attempt is not None) == design.may_claim(retry)
        if attempt is not None:
            design.claimed(retry)
    elif design.status == "running":
        attempt = run.attempts()[-1]
        if step == "finish":
            run.finish(attempt, record_for(CONFIG))
        elif step == "lose":
            lose(attempt)
        else:
            run.fail(attempt, step, 0, step)
        design.ended({"finish": "completed", "lose": "lost"}.get(step, step))
    elif step == "finish" and run.attempts():
        with pytest.raises(RecordError):
            run.finish(run.attempts()[-1], record_for(CONFIG)) if design.status != "lost" else refuse()


def refuse() -> None:
    raise RecordError("a lost attempt has no process that could finish it")


@FIXED
@given(STEPS)
def test_every_history_of_a_run_has_the_status_that_the_design_gives_it(steps: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "mine")
        store.prepare([CONFIG], {})
        [run] = store.runs()
        design, first = Design(), b""
        for step in steps:
            take_step(run, design, step)
            assert run.status() == design.status
            assert run.has_record == (design.status == "completed")
            now = run.record_path.read_bytes() if run.has_record else b""
            assert not first or now == first, "a record is never replaced"
            first = now
        assert [a.name for a in run.attempts()] == [f"attempt-{n + 1:02d}" for n in range(len(run.attempts()))]


@FIXED
@given(st.sampled_from((*AGAIN, *FINAL)), st.integers(0, 10_000), st.text(max_size=300), st.text(max_size=60))
def test_a_failure_comes_back_as_it_was_said(status: str, rank: int, message: str, host: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "mine")
        store.prepare([CONFIG], {})
        attempt = store.runs()[0].claim()
        assert attempt is not None
        store.runs()[0].fail(attempt, status, rank, f"first {message}", host=host)
        found = ending(attempt)
        assert found.status == status and found.where.startswith(f"rank {rank} on ")
        assert "\n" not in found.message.strip() and found.message.startswith("first")


@FIXED
@given(st.dictionaries(st.integers(0, 7), st.tuples(st.integers(0, 9), st.booleans()), min_size=1))
def test_the_rank_that_is_named_is_one_that_is_silent_or_none_is_further_behind(
        said: dict[int, tuple[int, bool]]) -> None:
    found = {rank: {"count": count, "waits": waits, "activity": "train"} for rank, (count, waits) in said.items()}
    named, sentence = behind(found, 8)
    assert named not in found if len(found) < 8 else said[named][0] == min(count for count, _ in said.values())
    assert sentence and "\n" not in sentence


@FIXED
@given(st.sampled_from([name for name, rule in rules.RULES.items() if not (rule.own_reference or rule.adapts)]),
       st.sampled_from([decay for decay in DECAYS if decay != "piecewise"]),
       st.integers(1, 512), st.floats(0, 3), st.integers(4, 9))
def test_rates_of_every_rule_and_decay_are_finite_and_never_above_the_peak(
        rule: str, decay: str, batch: int, warmup: float, epochs: int) -> None:
    name = rules.RULES[rule].needs
    needed: dict[str, Any] = {name: 100.0 if name == "noise_scale" else 0.2} if name else {}
    config = RunConfig(**needed, experiment="x", kind="accuracy", dataset="digits", model="mlp_128",
                       optimizer=next(iter(rules.RULES[rule].optimizers), "adam"), global_batch=batch,
                       train_examples=1146, seed=0, rule=rule, decay=decay,
                       warmup_epochs=warmup, epochs=epochs)
    rates = schedules_rates.rates(config)
    most = max(schedules_rates.peak_rate(config), config.base_learning_rate)
    assert rates.shape == (config.steps,) and np.all(np.isfinite(rates))
    assert np.all(rates >= 0) and np.all(rates <= np.float32(most) * (1 + 1e-6))
