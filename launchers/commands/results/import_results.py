"""`batchscale import [FORMAT] PATH`: read another tool's results into the same table and report."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, RawTextHelpFormatter
from pathlib import Path

from ....analysis.importers.registry import Importer, IMPORTERS
from ....benchmarks.errors import EXIT_OK, one_of, PlanError


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's own arguments to its parser."""
    parser.formatter_class = RawTextHelpFormatter
    parser.usage = f"{parser.prog} [options] [FORMAT] PATH"
    parser.add_argument("words", nargs="+", metavar="[FORMAT] PATH", help="the file or folder, after its format where "
                        "that is not to be found by its content:\n" + "\n".join(map(_explained, IMPORTERS.items())))
    parser.add_argument("--to", type=Path, default=Path("results"), help="results folder (default: results)")
    parser.add_argument("--train-examples", type=int, metavar="N", help="examples of one epoch, where the format does "
                        "not say it: gives steps\n(default: the benchmark's own where it is known)")
    parser.add_argument("--target", default="", help="what ends a run, for batch-science and dawnbench, such as\n"
                        "'val/classification_error<0.3' (default: the benchmark's own where it is known)")
    parser.add_argument("--set", action="append", default=[], metavar="COLUMN=VALUE", dest="settings",
                        help="a column of all runs that the files do not say, such as global_batch=64; may be repeated")
    parser.add_argument("--map", action="append", default=[], metavar="COLUMN=NAME", dest="maps",
                        help="a column from what the files call otherwise, such as global_batch=params.batch_size or\n"
                        "validation_loss=eval_ppl; or a pattern that is searched for in each run's path, whose named\n"
                        r"groups are columns, such as 'batch(?P<global_batch>\d+)'; may be repeated")


def _explained(of: tuple[str, Importer]) -> str:
    name, importer = of
    return f"{name}: {importer.help}" + (f";\n    needs {importer.needs}" if importer.needs else "")


def run(arguments: Namespace) -> int:
    """Import the file or folder, and print what a reader must know of it and where it is kept."""
    from ....analysis.importers import detection, imported_store  # after the arguments are known to be good
    form, path = _format_and_path(arguments.words)
    found, notes = (form, []) if form else detection.detect(path)
    if not form:
        print(f"{path} is {found}: {IMPORTERS[found].help}")
    store = imported_store.write(path, arguments.to, found, arguments.train_examples, arguments.target,
                                 arguments.settings, arguments.maps, notes)
    for note in imported_store.notes(store.manifest):
        print(f"note: {note}")
    print(f"imported into {store.folder}\nto read it: batchscale report {store.folder}")
    return EXIT_OK


def _format_and_path(words: list[str]) -> tuple[str, Path]:
    """The format, "" where it is to be found by the content, and the path. Raises PlanError for other words."""
    if len(words) > 2:
        raise PlanError(f"import takes one path, after its format or alone; {' '.join(words)[:200]!r} are "
                        f"{len(words)} words. A folder is imported as a whole.")
    *form, path = words
    if form and form[0] not in IMPORTERS:
        raise PlanError(one_of("format", form[0], IMPORTERS))
    if not form and path in IMPORTERS and not Path(path).exists():
        raise PlanError(f"import {path} names a format and no path: batchscale import {path} PATH.")
    return (form[0] if form else ""), Path(path)
