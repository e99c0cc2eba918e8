"""A study from Python: the words that a command line would have, and the same runs, folders and report."""

from __future__ import annotations

import inspect
import json
import threading
import warnings
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...benchmarks.errors import EXIT_INCOMPLETE, one_of, PlanError
from ...benchmarks.planning import plan as plans, writing
from ...benchmarks.planning.key_view import EXPERIMENT, PLAN
from ...benchmarks.planning.plan import Plan
from ..commands.runs import study as command
from ..commands.runs.asked_plan import asked_plan, ready
from ..commands.runs.run import study_options
from ..commands.runs.script_options import KEYS_OF_SCRIPT
from ..local import study as local
from ..local.scripts import SUFFIX
from .loaded import load, Loaded

OWN_NAMES = {"batches": "global_batches", "data": "dataset"}  # of this function -> of a plan
Function = Callable[..., Any]


def study(what: str | Path | None = None, *, model: str | Function | None = None, data: str | Function | None = None,
          batches: Sequence[int | str] | None = None, arguments: Sequence[str] = (), results: str | Path = "results",
          only: str = "", budget: str = "", retry: bool = False, **keys: Any) -> Loaded:
    """Run a study on this machine and return its results; what is finished is kept, and the same call goes on.

    what: a Keras script, train.py; a plan's file or a bundled plan's name. Without it `model` and `data` are needed:
    names, "module:function" or functions of a module; model(input_shape, classes) returns a Keras model that ends in
    logits, data() returns ((x_train, y_train), (x_test, y_test)). batches: global batches, examples per step.
    arguments: of the script's own command line. results: the folder whose subfolder the study gets. only: conditions
    such as "experiment=adam,seed<3"; budget: start no run after this time, such as "10m"; retry: failed runs once more.
    keys: any other key of a plan, as docs/reference.md lists them: rules, seeds, epochs, optimizer, replicas, ...

    Models train in processes of their own, one after another on this machine's cores or GPUs; this one loads no
    TensorFlow. Raises BatchscaleError for what cannot be run; of runs that failed a warning says so, and `statuses`
    which they are.
    """
    _check_thread()
    given = {OWN_NAMES.get(name, name): value for name, value in keys.items()}
    if batches is not None:
        given["global_batches"] = list(batches)
    if what is not None and (model is not None or data is not None):
        raise PlanError(f"study({str(what)!r}) says by itself what is trained on what; leave model and data out.")
    words = [] if what is None else _words(str(what), arguments, given)
    options = _parsed([str(what or ""), *words, f"--results={results}", f"--only={only}", f"--budget={budget}",
                       *["--retry"] * retry])
    plan = asked_plan(options) if what is not None else ready(_of_functions(model, data, given), Path(results))
    code = local.run(plan, study_options(options))
    if code:
        warnings.warn(f"{plan.name}: " + ("not all runs are done; the same call goes on" if code == EXIT_INCOMPLETE else
                                          "runs failed; `statuses` says which, and why"), stacklevel=2)
    return load(Path(results) / plan.name)


def _parsed(words: Sequence[str]) -> Namespace:
    """As `batchscale study` reads them."""
    parser = ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(words)


def _words(what: str, arguments: Sequence[str], keys: Mapping[str, Any]) -> Iterator[str]:
    """The options that say the same on a command line."""
    options = {key: option for option, (key, _, _) in KEYS_OF_SCRIPT.items()} if what.endswith(SUFFIX) else {}
    for key, value in keys.items():
        if key in options:
            values = value if isinstance(value, (list, tuple)) else [value]
            yield f"{options[key]}={','.join(map(str, values))}"
        else:
            yield f"--set={key}={_toml(key, value)}"
    yield from (f"--arg={word}" for word in arguments)


def _toml(key: str, value: Any) -> str:
    try:
        return json.dumps(list(value) if isinstance(value, tuple) else value)
    except TypeError:
        raise PlanError(f"{key}={value!r} is no value of a plan; give numbers, text or a list of them.") from None


def _of_functions(model: str | Function | None, data: str | Function | None, keys: Mapping[str, Any]) -> Plan:
    """The plan of a model on data, with the name of the model's function. Raises PlanError."""
    if model is None or data is None:
        raise PlanError("study needs a script, a plan, or model and data: study(\"train.py\", batches=[32, 128]), "
                        "study(\"quick\"), or study(model=build, data=load, batches=[32, 128]).")
    named = {"model": _reference("model", model), "dataset": _reference("data", data)}
    for key in keys:
        if key not in EXPERIMENT and key not in PLAN:
            raise PlanError(one_of("study key", key, {*EXPERIMENT, *PLAN}))
    name = str(keys.get("name") or named["model"].rpartition(":")[2])
    others = {key: value for key, value in keys.items() if key != "name"}
    return plans.parse(writing.text(name, {**named, **others}), "study()")


def _reference(what: str, given: str | Function) -> str:
    """A function as a plan names it. Raises PlanError for one that another process cannot import."""
    if isinstance(given, str):
        return given
    module, name = getattr(given, "__module__", None), getattr(given, "__qualname__", "")
    if module in (None, "__main__", "builtins") or not name.isidentifier() or not inspect.isroutine(given):
        raise PlanError(f"{what}={name or given!r} stands in {module or 'no module'}, which other processes cannot "
                        "import, and every run is a process of its own: put the function into a file, my_model.py say, "
                        f"and give {what}=my_model.{name if name.isidentifier() else 'build'}.")
    return f"{module}:{name}"


def _check_thread() -> None:
    """Runs are stopped by signals, which are the main thread's alone. Raises PlanError in another one."""
    if threading.current_thread() is not threading.main_thread():
        raise PlanError("study was called in a thread that is not the main one, which cannot stop runs when it is told "
                        "to; call it in the main thread.")
