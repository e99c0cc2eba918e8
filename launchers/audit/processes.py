"""Starts the processes of an audit: the script alone, then with its replicas, and reads what they wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ...benchmarks.config.strategies import STRATEGIES, strategy_variants
from ...benchmarks.errors import one_of, PlanError
from ...benchmarks.rank.audit.facts import ALONE, Facts, read, TOGETHER
from ...benchmarks.text import plain
from ..machine import checks
from ..machine.inherited import shielded
from .finding import Seen

PROGRAM = "batchscale.benchmarks.rank.audit.program"
# Ways to start ranks that an audit has; of a cluster's ranks each would need the others before its script begins.
WAYS = ("launcher", "process")
STARTABLE = [name for way in WAYS for name, spec in STRATEGIES.items() if spec.start == way]
PATIENCE_SECONDS = 300.0
LAST_CHARACTERS = 600
# Of Horovod in a lone process too, which else starts an MPI, and of what is started.
OWN = {"TF_CPP_MIN_LOG_LEVEL": "2", "MPLBACKEND": "Agg", "HOROVOD_CONTROLLER": "gloo", "HOROVOD_CPU_OPERATIONS": "gloo"}


def strategy_of(script: Path) -> str:
    """Return the strategy that a script's text names; single for one that names none that an audit starts. Raises
    PlanError for a file that cannot be read."""
    try:
        text = script.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"cannot read script {str(script)!r}: {getattr(error, 'strerror', 'it is not UTF-8 text')}; "
                        "give the path of a Python file that calls model.fit.") from None
    return next((name for name in STARTABLE if STRATEGIES[name].mark and STRATEGIES[name].mark in text), "single")


def has_replicas(strategy: str, replicas: int) -> bool:
    """Return whether a script is run with replicas too, beside alone."""
    return STRATEGIES[strategy].many_replicas and replicas > 1


def check(strategy: str, replicas: int) -> None:
    """Raise PlanError for a strategy that an audit does not start, or that cannot be started here."""
    if strategy not in STARTABLE:
        raise PlanError(one_of("--strategy", strategy, STARTABLE))
    if not 1 <= replicas <= 8:
        raise PlanError(f"-np {replicas} must be 1 to 8: what is wrong with many replicas shows with two.")
    variant = strategy_variants(strategy)[0]
    if has_replicas(strategy, replicas) and (reason := checks.strategies_available().get(variant, "")):
        raise PlanError(f"--strategy {strategy} cannot be started here: {reason}. `batchscale doctor` says what mends "
                        "it; --strategy single looks at the script alone.")


def seen(script: Path, words: Sequence[str], strategy: str, replicas: int, folder: Path) -> Seen:
    """Run the script alone and with its replicas up to its fit; return what the processes wrote. Raises PlanError in
    one sentence where it does not come to its fit."""
    call = [str(script), *words]
    _run([sys.executable, "-m", PROGRAM, str(folder), ALONE, "1", *call], folder, ALONE)
    alone, arrays = read(folder, ALONE)
    if not has_replicas(strategy, replicas):
        return Seen(alone, arrays)
    if STRATEGIES[strategy].start == "process":
        _run([sys.executable, "-m", PROGRAM, str(folder), TOGETHER, str(replicas), *call], folder, TOGETHER)
        return Seen(alone, arrays, (read(folder, TOGETHER),))
    _run([str(Path(sys.executable).with_name("horovodrun")), "-np", str(replicas), "--gloo", sys.executable, "-m",
          PROGRAM, str(folder), "rank", "1", *call], folder, "rank0")
    return Seen(alone, arrays, tuple(read(folder, f"rank{rank}") for rank in range(replicas)))


def _run(words: Sequence[str], folder: Path, name: str) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    with open(folder / f"{name}.log", "wb") as log:
        try:
            done = subprocess.run(words, stdout=log, stderr=subprocess.STDOUT, check=False, timeout=PATIENCE_SECONDS,
                                  env={**shielded(os.environ), "PATH": path, **OWN})
            code: int | str = done.returncode
        except subprocess.TimeoutExpired:
            code = f"not within {PATIENCE_SECONDS:g} s"
    if (folder / f"{name}.json").exists():
        return
    if (said := folder / f"{name}.error").exists():
        raise PlanError(str(json.loads(said.read_text())))
    last = plain((folder / f"{name}.log").read_text(errors="replace").strip()[-LAST_CHARACTERS:])
    raise PlanError(f"the script did not come to its fit ({'code ' * isinstance(code, int)}{code}); its last words: "
                    f"{last}")


def facts_line(found: Seen) -> str:
    """Return batch, replicas, rate and order in a sentence."""
    one = found.together
    replica = found.global_batch // found.count if found.global_batch else None
    rate = "not told" if one.learning_rate is None else f"{one.learning_rate:.4g}"
    more = f" to {max(one.rates):.4g}" if one.rates and max(one.rates) > 1.05 * (one.learning_rate or 0) else ""
    accumulated = f", {one.accumulation} of which make an update" if one.accumulation > 1 else ""
    return (f"{_counted(found)}: global batch {_whole(found.global_batch)}, of each replica {_whole(replica)}"
            f"{accumulated}; {_whole(found.alone.examples)} examples; {one.optimizer} at {rate}{more}; {one.loss}")


def _counted(found: Seen) -> str:
    facts: Facts = found.together
    return "one replica" if found.count == 1 else f"{found.count} replicas by {facts.strategy}"


def _whole(value: int | None) -> str:
    return "not known" if value is None else f"{value:,}"
