"""Stands in for Slurm's commands; its name says for which. What it is asked is kept in $FAKE_SLURM/calls.

sbatch runs the job at once, as Slurm would, on one pretended node, when $FAKE_SLURM_RUNS is set; srun starts the tasks.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(os.environ["FAKE_SLURM"])


def options(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """Leading --name=value words, and the rest."""
    found = {}
    while words and words[0].startswith("--"):
        name, _, value = words[0][2:].partition("=")
        found[name], words = value, words[1:]
    return found, words


def sbatch(words: list[str]) -> int:
    given, command = options(words)
    inherited = [name for name in os.environ if name.startswith(("SLURM_", "SBATCH_")) and name != "SLURM_CONF"]
    if given.get("partition") == "nope" or inherited:
        print(f"sbatch: error: invalid partition specified: nope {inherited}", file=sys.stderr)
        return 1
    if "test-only" in given:
        return 0
    number = len(list(FOLDER.glob("job-*"))) + 100
    (FOLDER / f"job-{number}").write_text(json.dumps(given))
    print(f"{number};cluster" if "parsable" in given else f"Submitted batch job {number}")
    last = int(given.get("array", "0-0").partition("%")[0].partition("-")[2])
    for task in range(last + 1 if os.environ.get("FAKE_SLURM_RUNS") else 0):
        output = given["output"].replace("%x", given["job-name"]).replace("%A_%a", f"{number}_{task}")
        with open(output.replace("%j", str(number)), "ab") as log:
            subprocess.run(["bash", *command], stdout=log, stderr=log, env={
                **os.environ, "SLURM_JOB_ID": str(number + task), "SLURM_ARRAY_TASK_ID": str(task),
                "SLURM_JOB_NODELIST": "n1", "SLURM_NTASKS_PER_NODE": given.get("ntasks-per-node", "1")})
    return 0


def srun(words: list[str]) -> int:
    given, command = options(words)
    if given.get("mpi") == "list":
        print("MPI plugin types are...\n\tnone\n\tpmix", file=sys.stderr)
        return 0
    tasks = []
    for rank in range(int(given["ntasks"])):
        place = {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank), "SLURM_NTASKS": given["ntasks"],
                 "SLURM_NODEID": "0", "SLURMD_NODENAME": "n1"}
        with open(given["output"].replace("%t", str(rank)), "ab") as log:
            tasks.append(subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **place}))
    return max(task.wait() for task in tasks)


def scontrol(words: list[str]) -> int:
    _, asked = options(words)
    if asked[:2] == ["show", "hostnames"]:
        print("n1")
    elif asked[:2] == ["show", "node"]:
        print("NodeName=n1 NodeAddr=127.0.0.1")
    elif asked[:2] == ["show", "job"]:
        return told("scontrol")
    return 0


def told(program: str) -> int:
    """What a test has written for this program to say; without it, the program gets no answer."""
    answer = FOLDER / program
    print(answer.read_text() if answer.exists() else "")
    return 0 if answer.exists() else 1


if __name__ == "__main__":
    program = Path(sys.argv[0]).name
    with open(FOLDER / "calls", "a") as calls:
        calls.write(json.dumps([program, *sys.argv[1:]]) + "\n")
    known = {"sbatch": sbatch, "srun": srun, "scontrol": scontrol}
    asked_for = {"squeue", "sacct"}
    sys.exit(known[program](sys.argv[1:]) if program in known else told(program) if program in asked_for else 0)
