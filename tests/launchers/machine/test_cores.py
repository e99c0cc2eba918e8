"""CPU quotas of control groups count as cores, in both versions, the least of a group and those above it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from batchscale.launchers.machine import checks
from batchscale.launchers.machine.cores import cpu_quota, usable_cores

V1 = "4:memory:/box\n1:cpu,cpuacct:/box/own\n0::/\n"
V2 = "0::/box/own\n"


def machine(root: Path, groups: str, files: dict[str, str]) -> Path:
    for name, text in {"proc/self/cgroup": groups, **{f"sys/fs/cgroup/{n}": t for n, t in files.items()}}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def v1(folder: str, quota: int, period: int = 100_000) -> dict[str, str]:
    return {f"{folder}/cpu.cfs_quota_us": f"{quota}\n", f"{folder}/cpu.cfs_period_us": f"{period}\n"}


@pytest.mark.parametrize(("groups", "files", "expected"), [
    (V2, {"box/own/cpu.max": "150000 100000\n"}, 1.5),
    (V2, {"box/own/cpu.max": "max 100000\n", "box/cpu.max": "300000 100000\n"}, 3.0),
    (V2, {"box/own/cpu.max": "400000 100000\n", "box/cpu.max": "100000 50000\n"}, 2.0),
    (V2, {"cpu.max": "100000 100000\n"}, 1.0),
    (V2, {"box/own/cpu.max": "max 100000\n"}, None),
    (V1, v1("cpu,cpuacct/box/own", 250_000), 2.5),
    (V1, v1("cpu", 100_000), 1.0),
    (V1, v1("cpu,cpuacct/box/own", -1), None),
    (V1, v1("cpu,cpuacct/box/own", 100_000, 0), None),
    (V1.replace("cpu,cpuacct", "cpu"), {**v1("cpu/box/own", -1), **v1("cpu/box", 50_000)}, 0.5),
    ("nonsense\n", {}, None), ("", {"cpu.max": "1 1"}, None),
])
def test_the_least_quota_of_a_group_and_those_above_it(tmp_path: Path, groups: str, files: dict[str, str],
                                                       expected: float | None) -> None:
    assert cpu_quota(machine(tmp_path, groups, files)) == expected


@pytest.mark.parametrize(("quota", "expected"), [(50_000, 1), (100_000, 1), (250_000, 2), (900_000, 4)])
def test_cores_are_those_of_the_affinity_that_the_quota_pays_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                                 quota: int, expected: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {7, 2, 3, 9})
    root = machine(tmp_path, V2, {"box/own/cpu.max": f"{quota} 100000"})
    assert usable_cores(root) == [2, 3, 7, 9][:expected]
    assert usable_cores(tmp_path / "nowhere") == [2, 3, 7, 9]


def test_doctor_names_the_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(checks, "cpu_quota", lambda: 1.0)
    monkeypatch.setattr(checks, "usable_cores", lambda: [0])
    found = checks.check_cores()
    assert found.found == "1 usable of 2 (the control group's quota is 1 CPU)" and found.ok is False
