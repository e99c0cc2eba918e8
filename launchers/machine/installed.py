"""What is installed in this environment, asked without importing TensorFlow.

Horovod's abilities (Gloo, MPI, NCCL) can only be asked by importing it with TensorFlow, which
takes seconds: a child process asks once, and a note in the environment keeps the answer.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, dataclass, fields, replace
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from .setup_environment import printed

# The oldest is that of NVIDIA's last container of TensorFlow, 2.17.0+nv25.2.
OLDEST_TENSORFLOW, NEWEST_TENSORFLOW = (2, 17), (2, 21)
TENSORFLOW_DISTRIBUTIONS = ("tensorflow", "tensorflow-cpu", "tensorflow-gpu", "tf-nightly")
BUILD_COMMAND = "python -m batchscale.launchers.machine.horovod_build"
QUESTION = """
import json
import horovod.tensorflow as hvd
print(json.dumps({kind: bool(getattr(hvd, kind + "_built")()) for kind in ("gloo", "mpi", "nccl")}))
"""


def missing_packages() -> list[str]:
    """Return what this project's own installation asks for and is not here, apart from TensorFlow, Horovod and MPI."""
    found = []
    for requirement in metadata.requires("batchscale") or []:
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        try:
            if "extra ==" not in requirement:
                metadata.version(name)
        except metadata.PackageNotFoundError:
            found.append(name)
    return found


@dataclass(frozen=True)
class Horovod:
    """The Horovod of this environment; usable when `missing` is "".

    `remarks` tell what its build left out, `library` is its extension module, and
    `library_stamp` changes with that file.
    """

    version: str = ""
    tensorflow: str = ""
    gloo: bool = False
    mpi: bool = False
    nccl: bool = False
    remarks: str = ""
    library: str = ""
    library_stamp: str = ""
    missing: str = ""
    fix: str = ""
    log: str = ""


def installed_tensorflow() -> tuple[str, str] | None:
    """Distribution and version of TensorFlow, None when there is none."""
    for distribution in TENSORFLOW_DISTRIBUTIONS:
        try:
            return distribution, metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return None


def version_of(distribution: str) -> str:
    """Version of an installed distribution, "absent" when there is none."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "absent"


def numpy_of_tensorflow() -> str:
    """Return the requirement of TensorFlow's that the numpy which is installed does not meet, as pip takes it; "" where
    it does."""
    from packaging.requirements import Requirement
    name, _ = installed_tensorflow() or ("", "")
    try:
        wanted, numpy = [Requirement(text) for text in metadata.requires(name) or []], metadata.version("numpy")
    except (metadata.PackageNotFoundError, ValueError):
        return ""
    return next((f"numpy{one.specifier}" for one in wanted
                 if one.name == "numpy" and (one.marker is None or one.marker.evaluate({"extra": ""}))
                 and not one.specifier.contains(numpy, prereleases=True)), "")


def tensorflow_problem() -> str:
    """Return why TensorFlow cannot be used here; "" when it can."""
    found = installed_tensorflow()
    if found is None or find_spec("tensorflow") is None:
        return "TensorFlow is not installed"
    version = tuple(int(part) for part in found[1].split(".")[:2])
    if not OLDEST_TENSORFLOW <= version <= NEWEST_TENSORFLOW:
        return f"TensorFlow {found[1]} is not supported (2.17 to 2.21 are)"
    return ""


def note_file() -> Path:
    """Return the path of the note about Horovod, inside the environment it is about."""
    return Path(sys.prefix) / "share" / "batchscale" / "horovod.json"


def write_note(horovod: Horovod) -> None:
    """Keep what is known of Horovod; an environment that is read-only keeps nothing."""
    note = note_file()
    draft = note.with_suffix(f".{os.getpid()}")
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(asdict(horovod), indent=1) + "\n")
        draft.replace(note)
    except OSError:
        # Only speed is lost: the next caller asks the child process again.
        return


def read_note() -> Horovod | None:
    """Return the note, None when it is absent or of another shape."""
    try:
        values = json.loads(note_file().read_text())
        known = {field.name for field in fields(Horovod)}
        return Horovod(**values) if set(values) == known else None
    except (OSError, ValueError, TypeError):
        return None


def horovod_library() -> Path | None:
    """Return the path of Horovod's TensorFlow extension module, None when it is not installed."""
    spec = find_spec("horovod")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for library in sorted(Path(folder, "tensorflow").glob("mpi_lib*.so")):
            return library
    return None


def installed_horovod() -> Horovod:
    """Return Horovod's abilities, from the note while it fits the installed library, else asked anew."""
    library, note = horovod_library(), read_note()
    if library is None:
        if note and note.missing:
            return note
        return Horovod(missing="Horovod is not installed", fix=BUILD_COMMAND)
    stamp = stamp_of(library)
    if note is None or note.library_stamp != stamp:
        note = ask_horovod(library, stamp)
        if not note.missing:
            write_note(note)
    return with_tensorflow_compared(note)


def with_tensorflow_compared(horovod: Horovod) -> Horovod:
    """Return the same Horovod, or one that is unusable when TensorFlow is not the one it was compiled for."""
    found = installed_tensorflow()
    if horovod.missing or found is None or public(found[1]) == public(horovod.tensorflow):
        return horovod
    return replace(horovod, fix=BUILD_COMMAND, missing=(
        f"Horovod was compiled for TensorFlow {horovod.tensorflow}, not for {found[1]}"))


def public(version: str) -> str:
    """Return a version without its builder's part: Horovod notes TensorFlow's own, which lacks it.

    >>> public("2.17.0+nv25.2")
    '2.17.0'
    """
    return version.partition("+")[0]


def ask_horovod(library: Path, stamp: str) -> Horovod:
    """Import Horovod in a child process (seconds) and take down what it was built with."""
    built_for = json.loads((library.parents[1] / "metadata.json").read_text())
    known = Horovod(version=metadata.version("horovod"), library=str(library), library_stamp=stamp,
                    tensorflow=str(built_for.get("tensorflow", "")))
    done = subprocess.run([sys.executable, "-c", QUESTION], capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return replace(known, missing=f"Horovod cannot be imported: {reason}",
                       fix=f"{BUILD_COMMAND} --rebuild")
    abilities = json.loads(done.stdout.strip().splitlines()[-1])
    return replace(known, gloo=abilities["gloo"], mpi=abilities["mpi"], nccl=abilities["nccl"])


def stamp_of(library: Path) -> str:
    """Changes whenever the file does."""
    status = library.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"


def linked_libmpi(library: str) -> str:
    """Return the libmpi that a shared library loads: its path, "not found", or "" when it needs none."""
    for line in printed("ldd", library).splitlines():
        name, arrow, target = line.strip().partition(" => ")
        if arrow and name.startswith("libmpi."):
            return target.split(" (")[0]
    return ""
