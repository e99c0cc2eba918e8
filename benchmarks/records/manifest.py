"""plan.json, the manifest: a plan's runs in order, its text and settings, and what was skipped or imported."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ..decoding import Count, decoded, Number, table
from ..errors import RecordError
from .json_files import read_json

FILE = "plan.json"


class Skipped(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the plan that cannot be done."""

    experiment: Annotated[str, Meta(description="experiment that it belongs to")] = ""
    what: Annotated[str, Meta(description="the part, in words")] = ""
    reason: Annotated[str, Meta(description="why, in words")] = ""


class StandIn(msgspec.Struct, frozen=True, kw_only=True):
    """A data set that the plan asks for and that has a stand-in, and which of the two all runs are on."""

    asked: Annotated[str, Meta(description="data set that the plan is about")]
    stand_in: Annotated[str, Meta(description="data set that serves where the other is absent")]
    used: Annotated[str, Meta(description="the one of both that the runs are on")]


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """Source of the imported runs, and how to import them again."""

    format: Annotated[str, Meta(description="format that it was read as")]
    runs: Annotated[Count, Meta(description="lines of imported.jsonl, one run each")]
    file: Annotated[str, Meta(description="name of the file or folder that was read")] = ""
    sha256: Annotated[str, Meta(description="SHA-256 of what was read")] = ""
    notes: Annotated[tuple[str, ...], Meta(description="what a reader must know, in sentences")] = ()
    options: Annotated[tuple[str, ...], Meta(description="words of the command line that the same import needs "
                                             "again")] = ()
    train_examples: Annotated[dict[str, Count | None], Meta(description="training examples of an epoch, by "
                                                            "benchmark; null: not known")] = {}
    units: Annotated[dict[str, str], Meta(description="what is counted to the target, plural, by benchmark; units: not "
                                          "known")] = {}
    train_examples_from: Annotated[str, Meta(description="where those sizes come from")] = ""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Contents of plan.json; keys that are not known are a later version's."""

    runs: Annotated[tuple[str, ...], Meta(description="names of the runs' folders, in the plan's order")]
    name: Annotated[str, Meta(description="the plan's name, and that of the results folder")] = ""
    source: Annotated[str, Meta(description="path that the plan was read from")] = ""
    words: Annotated[tuple[str, ...], Meta(description="words of the command line that the plan was made of, where it "
                                           "is no file: a script and its options")] = ()
    folder: Annotated[str, Meta(description="working directory of the command, in which a relative source begins")] = ""
    text: Annotated[str, Meta(
        description="the plan as it is run, TOML: with what --set gave, on the data that is used")] = ""
    sets: Annotated[tuple[str, ...], Meta(description="what --set gave, KEY=VALUE")] = ()
    stand_ins: Annotated[tuple[StandIn, ...], Meta(description="see StandIn; data sets that have one")] = ()
    settings: Annotated[dict[str, Any], Meta(description="the table [plan], defaults filled in")] = {}
    skipped: Annotated[tuple[Skipped, ...], Meta(description="see Skipped; what of the plan cannot be done")] = ()
    held_back: Annotated[Count, Meta(description="runs of the plan that are not listed yet, as they lie beyond the "
                                     "budget that it was run with")] = 0
    written: Annotated[Number, Meta(description="when, seconds since 1970, UTC")] = 0
    imported: Annotated[Imported | None, Meta(description="see Imported; null for runs of our own")] = None


def read(folder: Path) -> Manifest:
    """Return the manifest of a results folder. Raises RecordError where there is none that can be read and believed."""
    value = read_json(folder / FILE)
    if not isinstance(value, dict):
        raise RecordError(f"{folder / FILE} is absent or cannot be read; give the folder that `batchscale run` wrote, "
                          "RESULTS/<plan>.")
    return decoded(value, Manifest, RecordError, f"{folder / FILE} cannot be read: ")


def of(value: object) -> Manifest:
    """Return the manifest that is given, or converted from what JSON holds. Raises RecordError."""
    return value if isinstance(value, Manifest) else decoded(value, Manifest, RecordError, f"{FILE}: ")


def reference() -> str:
    """Return what plan.json holds as Markdown tables."""
    kinds: dict[str, type[msgspec.Struct]] = {"Manifest": Manifest, "StandIn": StandIn, "Skipped": Skipped,
                                              "Imported": Imported}
    return "\n".join(f"### {title}\n\n{table(kind)}" for title, kind in kinds.items())


def working_directory() -> str:
    """Return the folder in which this process works, for the manifest; "" where it is gone."""
    try:
        return os.getcwd()
    except OSError:
        return ""
