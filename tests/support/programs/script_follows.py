"""Does a run of the script stops.py and writes its evaluations, rates and what its callbacks did."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from batchscale.benchmarks.data.user_function import search_beside
from batchscale.benchmarks.rank import agreement
from batchscale.benchmarks.rank.execution import Execution
from batchscale.benchmarks.rank.session import Session
from batchscale.benchmarks.runs.run_config import RunConfig

SCRIPTS = Path(__file__).parents[1] / "scripts"
CHECKPOINTS: Any = SimpleNamespace(agreed=lambda *_: None, due=lambda: False, problem="")


class Watched(Execution):
    """Keeps the rates of every segment of steps."""

    seen: list[tuple[int, float]]

    def advance(self, segment: Any, step_rates: Any) -> float:
        self.seen.append((segment.start, float(np.asarray(step_rates)[segment.start])))
        return super().advance(segment, step_rates)


def run(session: Session, strategy: str, folder: Path) -> None:
    search_beside(str(SCRIPTS / "plan.toml"))
    name, _, transport = strategy.partition("-")
    config = RunConfig(experiment="script", kind="accuracy", dataset="script:stops.py", model="script:stops.py",
                       loss="script:loss", metrics=("accuracy",), optimizer="momentum", base_learning_rate=0.1,
                       reference_batch=8, global_batch=8, train_examples=117, validation_fraction=0.0, seed=0,
                       epochs=12, precision="float64", strategy=name, transport=transport, last_batch="keep",
                       replicas=1 if name == "single" else 2)
    try:
        done = Watched(config, session, lambda row: None, CHECKPOINTS)
        done.seen = []
        done._measure()
        agreement.check_weights(session.strategy, done.program.variables, "in the end")
        if session.strategy.rank == 0:
            found = {"rows": done.evaluations, "rates": done.seen, "said": done.followed,
                     "notes": done.program.notes(config)}
            (folder / "followed.json").write_text(json.dumps(found))
    finally:
        search_beside("")
