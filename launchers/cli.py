"""`batchscale`: one function per command; each imports what it needs when it is called."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from ..benchmarks.errors import EXIT_OK, EXIT_USAGE, BatchscaleError, PlanError

INTERRUPTED, TERMINATED = 130, 143
Subcommands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="batchscale", description="How does the batch size affect accuracy, and how far can the global batch be "
        "scaled over GPUs and nodes? Measured, for Keras models.",
        epilog="exit codes: 0 all good; 1 runs failed or a comparison regressed; 2 usage or plan error; 3 environment "
        "unusable; 75 incomplete, run the same command again; 130, 143 interrupted")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (_plan_commands, _results_commands, _import_command, _export_command, _predict_command,
                _compare_command, _search_command):
        add(commands)
    text = "what this machine can run, what is missing, and how to mend it"
    command = commands.add_parser("doctor", help=text, description=text)
    command.add_argument("--deep", action="store_true", help="import TensorFlow too (seconds)")
    command.set_defaults(function=doctor)
    return top


def _plan_commands(commands: Subcommands) -> None:
    for name, function, text in (("study", study, "run a plan here, then write the report"),
                                 ("run", run, "run a plan here"),
                                 ("plan", plan, "dry run: the runs, the exact commands, what is skipped, the cost")):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("plan", help="a bundled plan's name, or a .toml file"
                             + (", or a record.json to do again" if name == "run" else ""))
        command.set_defaults(function=function)
        _where(command, dry=name == "plan")
        if name == "run":
            command.add_argument("--on", choices=("local", "slurm"), default="local", help="where ranks start")
            command.add_argument("--site", default="", help="with --on slurm: a site profile, by path or bundled name")
            command.add_argument("--dry-run", action="store_true", help="with --on slurm: write all, submit nothing")
        if name == "study":
            command.add_argument("--output", type=Path, help="where the report goes (default: RESULTS/<plan>/report)")


def _results_commands(commands: Subcommands) -> None:
    for name, function, text in (("status", status, "what is done, running, failed, lost; how to go on"),
                                 ("report", report, "write the report of what has been measured so far"),
                                 ("verify", verify, "check every record; name what is corrupt, and why"),
                                 ("clean", clean, "list what nothing needs any more; remove it with --yes")):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("results", type=Path, help="RESULTS, or RESULTS/<plan>")
        command.set_defaults(function=function)
        if name == "status":
            command.add_argument("--watch", action="store_true", help="again and again until all is done")
        if name == "report":
            command.add_argument("--output", type=Path, help="where the report goes (default: RESULTS/<plan>/report)")
            command.add_argument("--deadline", default="", help="for one training, e.g. 2h: name the cheapest option "
                                 "that meets it")
        if name == "clean":
            command.add_argument("--yes", action="store_true", help="remove what is listed")


def _import_command(commands: Subcommands) -> None:
    from ..analysis.importers.registry import IMPORTERS
    text = "read another tool's results into the same table and report"
    command = commands.add_parser("import", help=text, description=text, formatter_class=argparse.RawTextHelpFormatter)
    command.add_argument("format", choices=tuple(IMPORTERS), metavar="FORMAT",
                         help="\n".join(f"{name}: {one.help}" for name, one in IMPORTERS.items()))
    command.add_argument("path", type=Path, help="the file or folder")
    command.add_argument("--to", type=Path, default=Path("results"), help="results folder (default: results)")
    command.add_argument("--train-examples", type=int, metavar="N", help="examples of one epoch, where the format does "
                         "not say it: gives steps\n(default: the benchmark's own where it is known)")
    command.add_argument("--target", default="", help="what ends a run, for batch-science and dawnbench, such as\n"
                         "'val/classification_error<0.3' (default: the benchmark's own where it is known)")
    command.set_defaults(function=bring)


def _export_command(commands: Subcommands) -> None:
    text = "the measured tables as CSV, and the curves for TensorBoard"
    command = commands.add_parser("export", help=text, description=text)
    command.add_argument("results", type=Path, help="RESULTS, or RESULTS/<plan>")
    command.add_argument("--output", type=Path, help="where the CSV files go (default: RESULTS/<plan>/export)")
    command.add_argument("--tensorboard", type=Path, metavar="DIR", help="also one event file per run, in DIR/<run>")
    command.set_defaults(function=export)


def _predict_command(commands: Subcommands) -> None:
    text = "throughput, time and cost at replica counts not measured, with intervals"
    command = commands.add_parser("predict", help=text, description=text)
    command.add_argument("results", type=Path, help="RESULTS, or RESULTS/<plan>")
    command.add_argument("--gpus", required=True, metavar="N,N,...", help="replica counts, such as 8,16,32")
    command.add_argument("--network", default="", metavar="ALPHA,BETA", help="seconds per message and per byte of the "
                         "link between replicas, such as 5e-6,8e-11: adds the cost of three all-reduce algorithms")
    command.add_argument("--price", type=float, help="per device-hour (default: the plan's)")
    command.add_argument("--output", type=Path, help="also write the predictions here, as JSON")
    command.set_defaults(function=predict)


def _compare_command(commands: Subcommands) -> None:
    text = "regression gate between two result sets: a table for a pull request, exit code 1 on a regression"
    command = commands.add_parser("compare", help=text, description=text)
    command.add_argument("base", type=Path, help="RESULTS/<plan>, or a JSON file of pytest-benchmark")
    command.add_argument("new", type=Path, help="the same, measured later")
    command.add_argument("--tolerance", type=float, default=0.05, help="change in speed or memory that counts as none "
                         "(default: 0.05); accuracies have the plan's margin")
    command.add_argument("--allow", action="append", default=[], metavar="KEY", help="let this key differ, such as "
                         "processor or launch; may be repeated")
    command.add_argument("--output", type=Path, help="also write the table here, as Markdown")
    command.set_defaults(function=compare)


def _search_command(commands: Subcommands) -> None:
    text = "find a limit by trying"
    command = commands.add_parser("search", help="the largest batch per replica that fits in memory, found by trying",
                                  description=text)
    kinds = command.add_subparsers(dest="what", required=True, metavar="WHAT")
    text = "the largest batch per replica that fits in memory: each size in a fresh process, the one found verified"
    kind = kinds.add_parser("largest-batch", help=text, description=text)
    kind.add_argument("plan", help="a bundled plan's name, or a .toml file: its models, data, optimizers, replicas")
    _where(kind, dry=True)
    for name, value, meaning in (("start", 0, "the first size per replica (default: what memory runs of the plan let "
                                  "expect, else 32)"),
                                 ("most", 2**20, "the largest size tried (default: 2^20)"),
                                 ("multiple", 1, "try multiples of this only (default: 1)"),
                                 ("verify-steps", 30, "training steps of the verifying run (default: 30)")):
        kind.add_argument(f"--{name}", type=int, default=value, metavar="N", help=meaning)
    kind.add_argument("--resolution", type=float, default=1 / 16, help="stop this close, as a fraction (default: 1/16)")
    kind.add_argument("--margin", type=float, default=0.05, help="kept free below the size found (default: 0.05)")
    kind.add_argument("--memory-limit", default="", metavar="SIZE", help="e.g. 4GiB: of each GPU, or, without one, of "
                      "the data of each rank's process, which has no limit of its own")
    kind.add_argument("--retry", action="store_true", help="a trial that failed otherwise once more")
    kind.set_defaults(function=search)


def _where(command: argparse.ArgumentParser, dry: bool) -> None:
    command.add_argument("--results", type=Path, default=Path("results"), help="results folder (default: results)")
    command.add_argument("--only", default="", help="only the runs that fit, e.g. 'experiment=adam,seed<3', in quotes")
    command.add_argument("--launcher", default="auto",
                         help="how Horovod's ranks start: horovodrun or mpirun (default: mpirun for MPI)")
    if not dry:
        command.add_argument("--budget", default="", help="start no run after this time, e.g. 10m")
        command.add_argument("--retry", action="store_true", help="also do invalid and failed runs again")


def seconds(text: str, option: str = "--budget") -> float:
    """A length of time: 90s, 10m, 1.5h or plain seconds; "" is no limit. Raises PlanError.

    >>> seconds("10m")
    600.0
    """
    if not text:
        return float("inf")
    unit = {"s": 1, "m": 60, "h": 3600}.get(text[-1])
    try:
        value = float(text[:-1] if unit else text) * (unit or 1)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise PlanError(f"{option} {text!r} is no length of time; write for example 90s, 10m or 1.5h.")
    return value


def run(given: argparse.Namespace) -> int:
    from ..benchmarks.planning.plan import read
    from .commands.runs import rerun
    from .local import study as local
    options = local.Options(given.results, given.only, seconds(given.budget), given.retry, given.launcher)
    on_slurm = getattr(given, "on", "local") == "slurm"
    if not on_slurm and (getattr(given, "site", None) or getattr(given, "dry_run", None)):
        raise PlanError("--site and --dry-run belong to --on slurm; `batchscale plan` is the dry run of this machine.")
    if on_slurm:
        from .slurm import submit as slurm
        return slurm.run(read(given.plan), options, given.site, given.dry_run)
    if given.plan.endswith(".json"):
        return rerun.run(Path(given.plan), options)
    return local.run(read(given.plan), options)


def study(given: argparse.Namespace) -> int:
    from ..benchmarks.planning.plan import read
    name = read(given.plan).name
    code = run(given)
    given.results = given.results / name
    reported = report(given)
    return code or reported


def plan(given: argparse.Namespace) -> int:
    from ..benchmarks.planning.plan import read
    from .commands.runs import plan as dry_run
    return dry_run.show(read(given.plan), given.results, given.only, given.launcher)


def status(given: argparse.Namespace) -> int:
    from .commands.results import status as command
    return command.watch(given.results) if given.watch else command.show(given.results)


def report(given: argparse.Namespace) -> int:
    from ..analysis.report import page as command
    from ..benchmarks.records.store import open_store
    store, deadline = open_store(given.results), seconds(getattr(given, "deadline", ""), "--deadline")
    folder = command.write(store, given.output or store.folder / "report",
                           deadline if deadline < float("inf") else None)
    print(f"report: {folder / 'index.html'}")
    return EXIT_OK


def verify(given: argparse.Namespace) -> int:
    from .commands.results import verify as command
    return command.show(given.results)


def clean(given: argparse.Namespace) -> int:
    from .commands.results import clean as command
    return command.show(given.results, given.yes)


def bring(given: argparse.Namespace) -> int:
    from ..analysis.importers import imported_store as imported
    store = imported.write(given.path, given.to, given.format, given.train_examples, given.target)
    for note in imported.notes(store.manifest):
        print(f"note: {note}")
    print(f"imported into {store.folder}\nto read it: batchscale report {store.folder}")
    return EXIT_OK


def export(given: argparse.Namespace) -> int:
    from ..analysis.exporters import csv as command
    return command.run(given.results, given.output, given.tensorboard)


def predict(given: argparse.Namespace) -> int:
    from ..analysis.prediction import replicas as command
    return command.run(given.results, given.gpus, given.network, given.price, given.output)


def compare(given: argparse.Namespace) -> int:
    from ..analysis.comparison import compare as command
    return command.run(given.base, given.new, given.tolerance, given.allow, given.output)


def search(given: argparse.Namespace) -> int:
    from ..benchmarks.planning.plan import read
    from .search import largest_batch as command
    options = command.Options(given.results, given.only, given.start, given.most, given.multiple, given.resolution,
                              given.margin, given.verify_steps, command.byte_size(given.memory_limit), given.retry,
                              given.launcher)
    return command.run(read(given.plan), options)


def doctor(given: argparse.Namespace) -> int:
    from .machine import checks as command
    return command.main(["--deep"] if given.deep else [])


def main(words: Sequence[str] | None = None) -> int:
    sys.path.append("")  # last, for module:function in the working directory
    given = parser().parse_args(words)
    function: Callable[[argparse.Namespace], int] = given.function
    try:
        return function(given)
    except BatchscaleError as error:
        print(f"batchscale {given.command}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as stop:
        print("\nstopped; finished runs are kept, the same command goes on.", file=sys.stderr)
        return TERMINATED if type(stop).__name__ == "Terminated" else INTERRUPTED
    except BrokenPipeError:
        return EXIT_USAGE


if __name__ == "__main__":
    sys.exit(main())
