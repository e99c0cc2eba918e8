"""Runs programs of this folder one after another on ranks that stay, so that TensorFlow and the group start once.

Usage: rank_server.py STRATEGY REQUESTS OWNER, as a plain process or as one of two ranks. Every rank reads the requests
of the folder REQUESTS in order: `0.json`, `1.json` and so on, each the name of a module with a function
`run(session, strategy, folder, *arguments)`, the folder and the arguments. A rank answers with `0-RANK.done`, or with
`0-RANK.failed`, which holds the traceback. The ranks end where the folder or the process OWNER is gone.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from batchscale.benchmarks.config.strategies import STRATEGIES
from batchscale.benchmarks.data import describe_size
from batchscale.benchmarks.rank import devices, imports
from batchscale.benchmarks.runs.run_config import RunConfig

if TYPE_CHECKING:
    from batchscale.benchmarks.rank.session import Session
    from batchscale.benchmarks.rank.strategies.base import Strategy

POLL_SECONDS = 0.05


def configuration(strategy: str) -> RunConfig:
    """A run on two replicas, or on one where the strategy has no more: it decides cores and devices only."""
    name, _, transport = strategy.partition("-")
    return RunConfig(experiment="server", kind="accuracy", dataset="digits", model="mlp_128", optimizer="sgd",
                     global_batch=64, train_examples=describe_size("digits").train_examples, validation_fraction=0.0,
                     seed=0, epochs=1, strategy=name, transport=transport,
                     replicas=2 if STRATEGIES[name].many_replicas else 1)


def fresh(strategy: Strategy, local: list[str]) -> Session:
    """Return a session that has neither data nor programs, with Keras' settings as a new process has them."""
    import keras

    from batchscale.benchmarks.rank.session import Session
    keras.backend.clear_session()
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    return Session(strategy, local, [], strategy.size, lambda: "")


def wait_for(request: Path, owner: Path) -> bool:
    """Return whether the request came before its folder or the process that makes requests went."""
    while not request.exists():
        if not (request.parent.exists() and owner.exists()):
            return False
        time.sleep(POLL_SECONDS)
    return True


def answer(strategy: Strategy, local: list[str], name: str, request: Path) -> None:
    """Run one request and leave the answer beside it."""
    program, folder, *arguments = json.loads(request.read_text())
    answered = request.with_name(f"{request.stem}-{strategy.rank}")
    try:
        importlib.import_module(program).run(fresh(strategy, local), name, Path(folder), *arguments)
        answered.with_suffix(".done").touch()
    except BaseException:
        written = answered.with_suffix(".part")
        written.write_text(traceback.format_exc())
        written.rename(answered.with_suffix(".failed"))


def main() -> None:
    name, requests, owner = sys.argv[1], Path(sys.argv[2]), Path("/proc", sys.argv[3])
    config = configuration(name)
    devices.pin(config, sorted(os.sched_getaffinity(0)), os.environ)
    imports.tensorflow_and_keras()  # as a rank does
    local = devices.prepare(config)
    from batchscale.benchmarks.rank import strategies
    strategy = strategies.create(config, local)
    for number in itertools.count():
        if not wait_for(request := requests / f"{number}.json", owner):
            return
        answer(strategy, local, name, request)


if __name__ == "__main__":
    main()
