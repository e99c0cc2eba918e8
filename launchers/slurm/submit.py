"""`batchscale run PLAN --on slurm`: check with Slurm, submit arrays of workers and a report, print the ids, return."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...benchmarks.config.strategies import STRATEGIES, strategy_name, variants
from ...benchmarks.errors import EXIT_OK, EnvironmentUnusable, PlanError
from ...benchmarks.planning import selection
from ...benchmarks.planning.expansion import expand, Expansion
from ...benchmarks.planning.plan import Plan
from ...benchmarks.planning.variants.set_keys import set_words
from ...benchmarks.records.json_files import read_json, write_json
from ...benchmarks.records.store import Store
from ...benchmarks.text import counted
from ..local import study
from ..local.display import announcement
from ..local.looks import rounds
from ..local.worker import fresh_folder, Limits, unfinished
from ..machine import checks, installed
from . import queue
from .jobs import Job, jobs, report_command, script, worker_command
from .site import read, Site

SCRIPTS = Path(__file__).resolve().parents[2] / "slurm"


@dataclass(frozen=True)
class Submission:
    """One call of the command: its folder, its jobs, and what the workers are told beside their shape."""

    folder: Path
    plan: str
    site: Site
    jobs: list[Job]
    rest: list[str]

    @property
    def commands(self) -> list[list[str]]:
        """The sbatch command of each array."""
        return [worker_command(job, self.site, self.plan, self.folder, self.rest) for job in self.jobs]


def run(plan: Plan, options: study.Options, site_name: str, dry_run: bool) -> int:
    """Submit what of the plan is not done. Returns the exit code. Raises PlanError, EnvironmentUnusable."""
    if rounds.is_sequential(plan):
        raise PlanError("seeds = \"auto\" and halve_after are judged as runs end, which a queue does not wait for; "
                        "give a number of seeds and no halving, such as --set seeds=6 --set halve_after=[], or run "
                        "the plan on one machine without --on slurm.")
    site = read(site_name)
    if not dry_run and not shutil.which("sbatch"):
        raise EnvironmentUnusable("--on slurm needs sbatch, which is not on PATH; call it on a login node, or add "
                                  "--dry-run to see what would be submitted.")
    nothing_queued(Store(options.results / plan.name))  # before the plan that its jobs read is written anew
    store, expansion = prepare(plan, options, site)
    for skip in expansion.skipped:
        print(f"left out: {skip.experiment}, {skip.what}: {skip.reason}")
    retry_before = time.time() if options.retry else 0.0
    wanted, limits = selection.parse(options.only), Limits(store.folder, retry_before=retry_before)
    todo = [r.config for r in store.runs() if wanted(r.config) and unfinished(r, limits)]
    if not todo:
        print(f"all runs are done; the report: batchscale report {store.folder}")
        return EXIT_OK
    wanted_jobs = jobs(todo, site, read_json(store.folder / "workloads.json") or {})
    submission = Submission(fresh_folder(store.folder.absolute() / "slurm", "submission"), plan.name, site,
                            wanted_jobs, worker_arguments(options, retry_before))
    write(submission, site_name)
    show(submission, len(todo))
    return EXIT_OK if dry_run else submit(submission, resubmit_command(plan, options, site_name))


def prepare(plan: Plan, options: study.Options, site: Site) -> tuple[Store, Expansion]:
    """Write every run's configuration; what the cluster cannot do is in `skipped`. Raises BatchscaleError."""
    announcement.say_checking()
    store, wanted = Store(options.results / plan.name), selection.parse(options.only)
    with study.describer(plan) as asked:
        expansion = expand(with_transport(plan, site), asked.train_examples, unavailable(site))
        if not any(wanted(config) for config in expansion.runs):
            reasons = "; ".join(f"{s.what}: {s.reason}" for s in expansion.skipped)
            raise PlanError(f"nothing of plan {plan.name!r} is selected or can be done with this site profile. "
                            f"{reasons}")
        workloads = study.described(asked, store, expansion, options)
    facts = study.facts(plan, expansion)
    study.keep(store, expansion.runs, workloads, facts)
    for line in announcement.chosen(plan, store.folder):
        print(line)
    for line in announcement.remarks(expansion.runs, announcement.MOST_REMARKS):
        print(line)
    return store, expansion


def with_transport(plan: Plan, site: Site) -> Plan:
    """Return the plan with the transport of the site's launcher where a strategy is named without its own."""
    def named(strategy: str) -> str:
        has_choice = strategy in STRATEGIES and STRATEGIES[strategy].transports
        return strategy_name(strategy, site.transports[0]) if has_choice else strategy
    return replace(plan, experiments=tuple({**e, "strategies": tuple(map(named, e["strategies"]))}
                                           for e in plan.experiments))


def unavailable(site: Site) -> dict[str, str]:
    """Return why strategies cannot be had, by name. A cluster's own Python or container is not looked into."""
    by_mpi = [name for name, (_, transport) in variants().items() if transport == "mpi"]
    if site.container or site.python:
        reasons = {}
    else:
        reasons = {name: reason for name, reason in checks.strategies_available().items() if reason}
        horovod = installed.installed_horovod()
        if not horovod.missing and horovod.mpi and site.launcher in ("srun-mpi", "auto"):
            for name in by_mpi:
                reasons.pop(name, None)  # what is missing is mpirun, which srun replaces
    if "mpi" not in site.transports:
        reasons |= dict.fromkeys(by_mpi, f"the site profile's launcher is {site.launcher}; srun-mpi, mpirun and auto "
                                         "start MPI")
    return reasons


def worker_arguments(options: study.Options, retry_before: float) -> list[str]:
    """Return the options of `batchscale-rank` that all workers share."""
    words = ["--only", options.only] if options.only else []
    if options.budget_seconds != float("inf"):
        words += ["--until", f"{time.time() + options.budget_seconds:.0f}"]
    return [*words, *(["--retry-before", f"{retry_before:.3f}"] if retry_before else [])]


def resubmit_command(plan: Plan, options: study.Options, site_name: str) -> str:
    """Return the command that submits the same plan again, as a user types it."""
    words = ["batchscale", "run", *(plan.words or (plan.source or plan.name,)), *set_words(plan.sets), "--on", "slurm",
             "--results", str(options.results)]
    return shlex.join([*words, *(["--site", site_name] if site_name else [])])


def write(submission: Submission, site_name: str) -> None:
    """Write all that is submitted, to be read, edited and submitted again by hand."""
    folder = submission.folder
    (folder / "logs").mkdir()
    for path in SCRIPTS.glob("*.sbatch"):
        shutil.copyfile(path, folder / path.name)
    source = read_text(site_name)
    (folder / "site.toml").write_text(source)
    (folder / "setup.sh").write_text(setup(submission.site))
    for job in submission.jobs:
        (folder / f"{job.name}.shapes").write_text("\n".join(job.shapes) + "\n")
    (folder / "commands.sh").write_text(script(submission.jobs, submission.site, submission.plan, folder,
                                               submission.rest))


def read_text(site_name: str) -> str:
    """Return the site profile's own text; a comment that says so where there is none."""
    from .site import bundled
    return bundled().get(site_name, Path(site_name)).read_text() if site_name else "# no site profile was given\n"


def setup(site: Site) -> str:
    """Return what the batch scripts source: the site's lines, then this Python's programs before others of the same
    name."""
    python = sys.executable if site.container or not site.python else site.python
    return "\n".join(["# Sourced by the batch scripts before they start the ranks.", *site.setup,
                      f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:\"$PATH\"",
                      f"export BATCHSCALE_PYTHON={shlex.quote(python)}", ""])


def show(submission: Submission, runs: int) -> None:
    """Print the jobs, the commands and the expected node-hours."""
    site = submission.site
    expected = sum(job.expected_node_hours for job in submission.jobs)
    most = sum(job.most_node_hours(site) for job in submission.jobs)
    arrays = counted(len(submission.jobs), "array")
    print(f"plan {submission.plan}: {counted(runs, 'run')} to do by {arrays} of workers; about "
          f"{expected:.2g} node-hours expected, at most {most:.4g} (every task to its limit of {site.time})")
    for command in [*submission.commands, report_command(site, submission.plan, submission.folder, ["ALL"])]:
        print("  " + shlex.join(command))
    print(f"written to {submission.folder}")


def submit(submission: Submission, resubmit: str) -> int:
    """First every job is tried, then every job is queued; what is queued is taken back when a later one is refused."""
    report = report_command(submission.site, submission.plan, submission.folder, [])
    for command in [*submission.commands, report]:
        sbatch([command[0], "--test-only", *command[2:]])
    facts: dict[str, Any] = {"command": resubmit, "submitted": time.time(), "jobs": []}
    try:
        for command, job in zip(submission.commands, submission.jobs):
            queued(submission, facts, sbatch(command), job.name, job.shapes)
        ids = [job["id"] for job in facts["jobs"]]
        queued(submission, facts, sbatch(report_command(submission.site, submission.plan, submission.folder, ids)),
               "report", ())
    except BaseException:  # Ctrl-C and a full disk too
        if facts["jobs"]:
            subprocess.run(["scancel", *(job["id"] for job in facts["jobs"])])
        raise
    for job in facts["jobs"]:
        print(f"job {job['id']}: {job['name']} ({counted(job['tasks'], 'task')})")
    print(f"follow with: batchscale status {submission.folder.parents[1]}")
    return EXIT_OK


def queued(submission: Submission, facts: dict[str, Any], job_id: str, name: str, shapes: Sequence[str]) -> None:
    """Note a job at once: whoever asks for the plan's jobs must hear of it. Raises RecordError."""
    facts["jobs"].append({"id": job_id, "name": name, "tasks": max(len(shapes), 1), "shapes": sorted(set(shapes))})
    write_json(submission.folder / "jobs.json", facts)


def sbatch(words: Sequence[str]) -> str:
    """Call sbatch; the job id that it prints. Raises EnvironmentUnusable with its own message."""
    done = subprocess.run(words, capture_output=True, text=True, env=clean_environment(os.environ))
    if done.returncode:
        message = (done.stderr.strip() or done.stdout.strip()).replace("\n", "; ")
        raise EnvironmentUnusable(f"sbatch refuses {next(w for w in words if w.startswith('--job-name='))[11:]}: "
                                  f"{message}. Nothing was queued; change the site profile or the plan.")
    return done.stdout.strip().partition(";")[0]


def clean_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables without what an enclosing job would make sbatch inherit; SLURM_CONF names the cluster and
    stays."""
    return {name: value for name, value in variables.items()
            if name == "SLURM_CONF" or not name.startswith(("SBATCH_", "SLURM_"))}


def nothing_queued(store: Store) -> None:
    """Raise PlanError while jobs of an earlier call may still work on this plan."""
    known = [job for facts in queue.submissions(store.folder) for job in facts["jobs"]]
    tasks_of = queue.tasks(known) if known else {}
    live = [job for job, tasks in tasks_of.items() if any(t.active for t in tasks)]
    if live:
        raise PlanError(f"jobs {', '.join(live)} of this plan are still queued or running; wait, or first: "
                        f"scancel {' '.join(live)}")
