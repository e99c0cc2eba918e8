"""Compile the pretended GPU against the headers that come with TensorFlow's GPU package.

`python build.py SITE OUT`: SITE holds that package (`pip install --no-deps --target SITE tensorflow==2.21.0`), OUT gets
one library under all the names by which TensorFlow looks for NVIDIA's, and a nvidia-smi. It is used by
`LD_LIBRARY_PATH=OUT PATH=OUT:$PATH`.
"""

from __future__ import annotations

import mmap
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = ("driver.c", "memory.c", "streams.c", "runtime.c", "products.c", "collectives.c", "management.c")
HEADERS = ("third_party/gpus/cuda/include", "third_party/gpus/cuda/nvml/include", "external/cuda_nccl/include")
NAMES = ("libcuda.so.1", "libcudart.so.12", "libcublas.so.12", "libcublasLt.so.12", "libcudnn.so.9", "libcufft.so.11",
         "libcusolver.so.11", "libcusparse.so.12", "libnccl.so.2", "libnvidia-ml.so.1")
# What TensorFlow may look up in them; what is not written here does nothing and says that all is well.
LOOKED_UP = re.compile(rb"\0((?:cu|cuda|__cuda|cublas|cublasLt|cudnn|cufft|cusolver|cusparse|nccl|nvml)[A-Z]\w+)(?=\0)")
# Headers of small floats need more of CUDA than TensorFlow brings, and nothing of them is used.
GUARDS = ("-D__CUDA_FP16_H__", "-D__CUDA_BF16_H__", "-D__CUDA_FP8_H__")
FLAGS = (*GUARDS, "-O2", "-fPIC", "-fno-builtin", "-Wall", "-Wno-unused-parameter", "-Wno-deprecated-declarations")
SMI = """#!/bin/sh
at=0
while [ "$at" -lt "${PRETENDED_GPUS:-1}" ]; do
    printf 'GPU %d: Pretended H100 (UUID: GPU-%08x-0000-0000-0000-000000000000)\\n' "$at" "$at"
    at=$((at + 1))
done
"""


def build(site: Path, out: Path) -> None:
    """Make the library and its names in `out`."""
    out.mkdir(parents=True, exist_ok=True)
    include = site / "tensorflow" / "include"
    words = ["gcc", *FLAGS, *(f"-I{include / folder}" for folder in HEADERS)]
    objects = [out / source.replace(".c", ".o") for source in SOURCES]
    for source, compiled in zip(SOURCES, objects):
        subprocess.run([*words, "-c", str(HERE / source), "-o", str(compiled)], check=True)
    rest = out / "rest.c"
    rest.write_text("".join(f"int {name}(void) {{ return 0; }}\n" for name in sorted(
        looked_up(site / "tensorflow") - defined(objects))))
    library = out / "libpretended.so"
    subprocess.run(["gcc", *FLAGS, "-w", "-shared", "-o", str(library), *map(str, objects), str(rest), "-lpthread",
                    "-lrt"], check=True)
    for name in NAMES:
        (out / name).unlink(missing_ok=True)
        (out / name).symlink_to(library.name)
    smi = out / "nvidia-smi"
    smi.write_text(SMI)
    smi.chmod(0o755)


def looked_up(package: Path) -> set[str]:
    """Return the names of NVIDIA's functions that TensorFlow's libraries hold."""
    found: set[str] = set()
    for path in (package / "libtensorflow_framework.so.2", package / "libtensorflow_cc.so.2"):
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            found |= {name.decode() for name in LOOKED_UP.findall(content)}
    return found


def defined(objects: list[Path]) -> set[str]:
    """Return the names of all functions and variables in these object files."""
    lines = subprocess.run(["nm", "--defined-only", *map(str, objects)], capture_output=True, text=True, check=True)
    return {line.split()[-1] for line in lines.stdout.splitlines() if len(line.split()) == 3}


if __name__ == "__main__":
    build(Path(sys.argv[1]), Path(sys.argv[2]))
