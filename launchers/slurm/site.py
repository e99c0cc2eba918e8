"""A site profile: how one cluster is asked for nodes. Read from TOML, checked strictly, and never part of a result."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ...benchmarks.decoding import decoded, TOML_WORDS
from ...benchmarks.errors import PlanError
from ...benchmarks.runs.run_config import RunConfig

Launcher = Literal["srun-gloo", "srun-mpi", "mpirun", "auto"]
GpuRequest = Literal["none", "gpus-per-node", "gpus-per-task", "gres"]
Texts = Annotated[tuple[str, ...], Meta(examples=['["--mem=8G"]'])]
TIME = re.compile(r"(\d+-)?\d+(:\d+){0,2}")


class Site(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One cluster. An empty text leaves the choice to Slurm; the words here are Slurm's own.

    `launcher` decides what carries Horovod's gradients: `srun-gloo` needs neither ssh nor MPI; `srun-mpi` starts ranks
    with `srun --mpi=<mpi>`; `mpirun` with the MPI's own program; `auto` is Gloo unless a plan asks for MPI, which is
    then started by whichever of the two the allocation has. `cpus_per_gpu`: cores that a task has for each of its GPUs;
    0 leaves it at the plan's cores_per_replica, 1 unless it says more, which has to launch kernels, decode images and
    drive the network.
    """

    partition: str = ""
    account: str = ""
    qos: str = ""
    constraint: str = ""
    time: str = "01:00:00"
    signal_seconds: Annotated[int, Meta(ge=10, le=65535)] = 120
    concurrency: Annotated[int, Meta(ge=1, le=10_000)] = 4
    exclusive: Literal["timing", "always", "never"] = "timing"
    gpus: GpuRequest = "none"
    gpu_type: str = ""
    launcher: Launcher = "srun-gloo"
    mpi: str = "pmix"
    interface: str = ""
    cpus_per_gpu: Annotated[int, Meta(ge=0, le=1024)] = 0
    setup: Texts = ()
    container: str = ""
    python: str = ""
    sbatch_options: Texts = ()

    @property
    def transports(self) -> tuple[str, ...]:
        """Transports that Horovod's ranks can talk by here, the preferred one first."""
        return {"srun-gloo": ("gloo",), "auto": ("gloo", "mpi")}.get(self.launcher, ("mpi", "gloo"))

    def cores_per_task(self, config: RunConfig) -> int:
        """Return the cores of one task of this run's shape."""
        least = self.cpus_per_gpu if self.gpus != "none" else 0
        return max(config.cores_per_replica, least) * (config.replicas // config.ranks)

    @property
    def limit_hours(self) -> float:
        """The time limit of one job."""
        return hours(self.time)


def bundled() -> dict[str, Path]:
    """Return the profiles that come with the suite, by name."""
    folder = Path(__file__).resolve().parents[2] / "slurm" / "profiles"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def read(name: str) -> Site:
    """Return a profile by path, or a bundled one by name; "" is Slurm's own defaults. Raises PlanError."""
    if not name:
        return Site()
    path = bundled().get(name, Path(name))
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"cannot read the site profile {name}: {error}; bundled profiles, by name: "
                        f"{', '.join(bundled())}.") from None


def parse(text: str, source: str = "profile") -> Site:
    """Return the profile in this text. Raises PlanError naming the file, the key, the value and the choices."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PlanError(f"{source} is not valid TOML: {error}.") from None
    site = decoded(values, Site, PlanError, f"{source}: ", TOML_WORDS)
    _check_time(site, source)
    _check_words(site, source)
    return site


def _check_time(site: Site, source: str) -> None:
    """A job's time limit is one of Slurm's, and longer than the warning before its end. Raises PlanError."""
    if not TIME.fullmatch(site.time):
        raise PlanError(f"{source}: time={site.time!r} is no time limit; write minutes, HH:MM:SS or D-HH:MM:SS.")
    if 3600 * site.limit_hours <= site.signal_seconds:
        raise PlanError(f"{source}: signal_seconds={site.signal_seconds} is not shorter than time={site.time}; ranks "
                        "would be told to stop before they start.")


def _check_words(site: Site, source: str) -> None:
    """The commands in front of ranks can be split as a shell does. Raises PlanError."""
    for name in ("container", "python"):
        try:
            shlex.split(getattr(site, name))
        except ValueError as error:
            raise PlanError(f"{source}: {name}={getattr(site, name)!r} cannot be split into words: {error}.") from None


def hours(limit: str) -> float:
    """Return a time limit in hours, from what Slurm writes: M, M:S, H:M:S, D-H, D-H:M, D-H:M:S.

    >>> hours("90"), hours("1-12"), hours("01:30:00")
    (1.5, 36.0, 1.5)
    """
    days, dash, rest = limit.rpartition("-")
    numbers = [int(part) for part in rest.split(":")]
    if dash:
        hour, minute, second = (*numbers, 0, 0)[:3]
        return 24.0 * int(days) + hour + minute / 60 + second / 3600
    if len(numbers) == 3:
        return numbers[0] + numbers[1] / 60 + numbers[2] / 3600
    return numbers[0] / 60 + (numbers[1] / 3600 if len(numbers) == 2 else 0.0)
