"""Audits many scripts from one import of TensorFlow: python audited_scripts.py FOLDER SCRIPT...

Each process of an audit is forked before TensorFlow has started anything; what it finds is in FOLDER/<script's name>.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

from batchscale.benchmarks.rank.audit import program
from batchscale.benchmarks.rank.audit.facts import ALONE, TOGETHER

REPLICAS = "2"


def forked(folder: Path, name: str, replicas: str, script: Path) -> None:
    """One process, as the audit starts it, with its output in a file; once more where a signal ended it, as now and
    then happens to a process forked from one that has imported TensorFlow. The audit itself forks none."""
    if os.WIFSIGNALED(_forked(folder, name, replicas, script)):
        _forked(folder, name, replicas, script)


def _forked(folder: Path, name: str, replicas: str, script: Path) -> int:
    if (child := os.fork()) == 0:
        with open(folder / f"{name}.log", "w") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            try:
                program.main([str(folder), name, replicas, str(script)])
            except BaseException:
                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
    return os.waitpid(child, 0)[1]


def main(folder: Path, scripts: list[Path]) -> None:
    """Audit the scripts one after another, those of MirroredStrategy with two replicas too."""
    for script in scripts:
        place = folder / script.stem
        place.mkdir()
        forked(place, ALONE, "1", script)
        if script.read_text().startswith("# STRATEGY mirrored"):
            forked(place, TOGETHER, REPLICAS, script)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(word) for word in sys.argv[2:]])
