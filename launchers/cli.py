"""`batchscale`: finds the command that is called, and turns errors into exit codes."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ..benchmarks.errors import EXIT_OK, EXIT_USAGE, BatchscaleError, one_of, PlanError
from .commands import completion
from .commands.options import example
from .commands.registry import COMMANDS

INTERRUPTED, TERMINATED = 130, 143
EPILOG = """first, in 6 minutes on 2 cores:
  batchscale study quick
then for a model of your own:
  batchscale new mine.toml --model my_model:build --data my_data:load
  batchscale study mine.toml

exit codes: 0 all good; 1 runs failed or a comparison regressed; 2 usage or plan error;
  3 environment unusable; 4 a comparison under --strict cannot decide;
  75 incomplete, run the same command again; 130, 143 interrupted"""


def parser(called: str = "") -> argparse.ArgumentParser:
    """Return the parser of all commands; only the one `called` has its arguments, since they import its module."""
    top = argparse.ArgumentParser(
        prog="batchscale", description="How does the batch size affect accuracy, and how far can the global batch be "
        "scaled over GPUs\nand nodes? Measured, for Keras models.", epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--version", action="store_true", help="print the version and where it is installed")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    for command in COMMANDS:
        own = commands.add_parser(command.name, help=command.help, description=command.description or command.help)
        example(own, command.example)
        if command.name == called:
            command.load().add_arguments(own)
    return top


def parsed(called: str, words: Sequence[str]) -> argparse.Namespace:
    """Return the arguments of the command line. Raises PlanError for a command or an option that is not known."""
    names = [command.name for command in COMMANDS]
    if called and called not in names:
        raise PlanError(f"{one_of('command', called, names)} `batchscale` alone says what each does.")
    arguments, unknown = parser(called).parse_known_args(words)
    if unknown:
        option = unknown[0].partition("=")[0]
        wrong = one_of("option", option, _options(called)) if option.startswith("-") else \
            f"{option!r} is one argument too many."
        raise PlanError(f"{wrong} `{f'batchscale {called}'.rstrip()} --help` says what it takes.")
    return arguments


def _options(called: str) -> list[str]:
    """The options of a command; of `batchscale` itself where none is called."""
    own = argparse.ArgumentParser()
    for command in COMMANDS:
        if command.name == called:
            command.load().add_arguments(own)
    return [name for action in own._actions for name in action.option_strings] + ["--version"] * (not called)


def version() -> str:
    """Return the version that is installed, with its place and this Python's version."""
    from importlib.metadata import version as installed  # a tenth of a second that other commands need not take
    place = Path(__file__).parents[1]
    return f"batchscale {installed('batchscale')} in {place}, Python {'.'.join(map(str, sys.version_info[:3]))}"


def main(words: Sequence[str] | None = None) -> int:
    """Do the command of the command line and return its exit code."""
    sys.path.append("")  # last, for module:function in the working directory
    for stream in (sys.stdout, sys.stderr):  # bars and charts have letters that not every terminal has
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    if completion.ASKED in os.environ:
        completion.complete(parser(completion.called()))
    words = sys.argv[1:] if words is None else words
    called = next((word for word in words if not word.startswith("-")), "")
    try:
        arguments = parsed(called, words)
        if arguments.command is None:
            print(version() if arguments.version else parser().format_help().rstrip())
            return EXIT_OK
        command = next(command for command in COMMANDS if command.name == arguments.command)
        return command.load().run(arguments)
    except BatchscaleError as error:
        print(f"batchscale {called}".rstrip() + f": {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as stop:
        print("\nstopped; finished runs are kept, the same command goes on.", file=sys.stderr)
        return TERMINATED if type(stop).__name__ == "Terminated" else INTERRUPTED
    except BrokenPipeError:
        return EXIT_USAGE


if __name__ == "__main__":
    sys.exit(main())
