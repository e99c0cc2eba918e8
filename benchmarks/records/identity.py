"""Which version of model, data and software a plan's runs train: part of every run's name, and said where it changed.

`workloads.json` holds, for each workload, the digests of its parts (`fingerprint`) and the `identity` by which runs are
named: the digest of these, or of an earlier version that was gone on with on purpose.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..config.objectives import METRICS
from ..config.optimizers import is_own
from ..data import fingerprint
from ..errors import BatchscaleError
from ..runs.run_config import RunConfig
from ..text import counted, listed
from .environment import numbers_versions
from .json_files import read_json
from .store import Store

FLAG = "--continue-edited"
Workloads = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Edit:
    """A workload that is not what runs were made of before. `before`, `now`: as in workloads.json; `made`: how many."""

    config: RunConfig
    before: Mapping[str, Any]
    now: Mapping[str, Any]
    made: int


def known(store: Store) -> dict[str, Any]:
    """Return what workloads.json says of workloads described before."""
    found = read_json(store.folder / "workloads.json")
    return {key: value for key, value in found.items() if isinstance(value, dict)} if isinstance(found, dict) else {}


def is_current(workload: Mapping[str, Any], config: RunConfig) -> bool:
    """Return whether a description holds without being made again: no user's function is part of it, and the files and
    versions that it was made from are the same."""
    own = [name for name in (config.model, config.loss, *config.metrics) if ":" in name] or is_own(config.optimizer)
    files = fingerprint.witness(config.dataset)
    parts = workload.get("fingerprint")
    return (not own and files is not None and files == workload.get("files") and isinstance(parts, dict)
            and parts.get("versions") == numbers_versions() and workload.get("train_examples") == config.train_examples)


def digest(workload: Mapping[str, Any]) -> str:
    """Return the name of what is trained; "" where it was described without fingerprints."""
    parts = workload.get("fingerprint")
    if not isinstance(parts, dict):
        return ""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:10]


def settled(store: Store, workloads: Workloads, configs: Sequence[RunConfig],
            go_on: bool) -> tuple[dict[str, Any], list[Edit]]:
    """Return the workloads with the identity of each, and those that were edited since runs were made of them.

    `go_on`: runs of an edited one go by the earlier identity, beside those made before.
    """
    before, found, edits = known(store), dict(workloads), []
    runs = None
    for key, config in {config.workload_key: config for config in configs}.items():
        old, now = before.get(key), workloads[key]
        identity = digest(now)
        if old is not None:
            earlier = str(old.get("identity", digest(old)))
            if old.get("fingerprint") == now.get("fingerprint"):
                identity = earlier
            elif earlier != identity:
                runs = _made(store) if runs is None else runs
                if made := sum(run == (key, earlier) for run in runs):
                    edits.append(Edit(config, old, now, made))
                    identity = earlier if go_on else identity
        found[key] = {**now, "identity": identity}
    return found, edits


def _made(store: Store) -> list[tuple[str, str]]:
    """Return workload and identity of every run of the plan that was begun."""
    try:
        runs = store.runs()
        return [(run.config.workload_key, run.config.fingerprint) for run in runs if run.has_record or run.attempts()]
    except BatchscaleError:  # of no plan yet, or of one that cannot be read, which is said where it is used
        return []


def named(configs: Sequence[RunConfig], workloads: Workloads) -> list[RunConfig]:
    """Return the configurations with the identity of what they train."""
    return [replace(config, fingerprint=str(workloads[config.workload_key].get("identity", ""))) for config in configs]


def sentence(edits: Sequence[Edit], store: Store, go_on: bool) -> str:
    """Return what changed, and what becomes of the runs that were made before."""
    what = listed(dict.fromkeys(word for edit in edits for word in _changes(edit)), most=8)
    made = sum(edit.made for edit in edits)
    start = f"edited since {counted(made, 'run')} of this plan {'was' if made == 1 else 'were'} made: {what}; "
    if go_on:
        return f"{start}the runs that are missing are made of what is there now and counted with those, as {FLAG} asks"
    return (f"{start}{'it is' if made == 1 else 'they are'} kept in {store.folder} and no longer counted, and what is "
            f"there now is run anew beside {'it' if made == 1 else 'them'} (to go on with both on purpose: {FLAG})")


def _changes(edit: Edit) -> Iterator[str]:
    """Yield the parts that differ, in words; a source only where nothing that follows from it differs."""
    old, now = edit.before.get("fingerprint"), edit.now.get("fingerprint")
    config = edit.config
    if not isinstance(old, dict) or not isinstance(now, dict):
        yield f"the runs of {config.model} on {config.dataset} were made without a fingerprint of model and data"
        return
    changed = {name for name in {*old, *now} if old.get(name) != now.get(name)}
    if "data" in changed:
        yield f"the data of {config.dataset}{_numbers(edit, 'train_examples', 'training examples')}"
    elif "times" in changed:
        yield f"files of {config.dataset}"
    if "layers" in changed:
        yield f"the layers of {config.model}{_numbers(edit, 'parameters', 'parameters')}"
    elif changed & {"types", "weights"}:
        yield f"the {'types' if 'types' in changed else 'first weights'} of {config.model}"
    elif "model source" in changed:
        yield f"the source of {config.model}"
    if "loss source" in changed:
        yield f"the source of loss {config.loss}"
    if "metrics source" in changed:
        yield f"the source of {listed(name for name in config.metrics if name not in METRICS)}"
    if "optimizer source" in changed:
        yield f"the source of optimizer {config.optimizer}"
    if "versions" in changed:
        yield f"the versions ({old.get('versions')} then, {now.get('versions')} now)"


def _numbers(edit: Edit, name: str, words: str) -> str:
    then, now = edit.before.get(name), edit.now.get(name)
    return f" ({then:,} {words} then, {now:,} now)" if isinstance(then, int) and isinstance(now, int) and then != now \
        else ""
