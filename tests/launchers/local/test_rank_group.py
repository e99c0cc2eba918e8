"""Ranks of one machine that find each other by TF_CONFIG: started together, and ended together."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from support.launching import environment

from batchscale.launchers.local import rank_group

TELL = "import os; print(os.environ['TF_CONFIG'], os.environ['BATCHSCALE_LOCAL_RANK'])"
DIE = "import os, sys, time\nif os.environ['BATCHSCALE_RANK'] == '1': {death}\ntime.sleep(60)"


def words(ranks: int, program: str, *options: str) -> list[str]:
    return [sys.executable, "-m", "batchscale.launchers.local.rank_group", "-np", str(ranks), *options, sys.executable,
            "-c", program]


def start(ranks: int, program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words(ranks, program), capture_output=True, text=True, timeout=60, env=environment())


def test_each_rank_is_told_its_place_among_the_same_addresses(tmp_path: Path) -> None:
    subprocess.run(words(3, TELL, "--output-filename", str(tmp_path)), check=True, timeout=60, env=environment())
    told = [(tmp_path / f"rank.{rank}" / "stdout").read_text().rsplit(" ", 1) for rank in range(3)]
    places = [json.loads(config) for config, _ in told]
    assert [place["task"] for place in places] == [{"type": "worker", "index": rank} for rank in range(3)]
    assert [local.strip() for _, local in told] == ["0", "1", "2"]
    addresses = places[0]["cluster"]["worker"]
    assert len(set(addresses)) == 3 and all(place["cluster"]["worker"] == addresses for place in places)


@pytest.mark.parametrize(("death", "code", "how"), [
    ("sys.exit(7)", 7, "ended with code 7"), ("os.kill(os.getpid(), 9)", 137, "ended by SIGKILL")])
def test_a_rank_that_dies_takes_the_others_with_it(monkeypatch: pytest.MonkeyPatch, death: str, code: int, how: str,
                                                   capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(rank_group, "GRACE_SECONDS", 0.3)
    began = time.monotonic()
    assert rank_group.main(["-np", "2", sys.executable, "-c", DIE.format(death=death)]) == code
    assert time.monotonic() - began < 30
    assert f"rank 1 {how}; the others are stopped" in capsys.readouterr().err


def test_ranks_that_stop_on_request_are_no_failure() -> None:
    done = start(2, "import sys; sys.exit(75)")
    assert done.returncode == 75 and done.stderr == ""


def test_a_signal_reaches_every_rank() -> None:
    waiting = ("import os, signal, sys, time\nsignal.signal(15, lambda *_: sys.exit(75))\nos.write(1, b'up\\n')\n"
               "time.sleep(60)")
    with subprocess.Popen(words(2, waiting), stdout=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["up\n"] * 2
        ranks = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 75
    assert not any(rank.is_running() for rank in ranks)


def test_ports_in_use_are_passed_over() -> None:
    first = rank_group.free_ports(2)
    with socket.socket() as taken:
        taken.bind(("", first[1]))
        taken.listen()
        assert not set(rank_group.free_ports(2)) & set(first)
    assert rank_group.free_ports(3, start=10**9)[-1] < rank_group.HIGHEST_PORT


def test_nothing_to_start_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        rank_group.main(["-np", "0"])
    assert stop.value.code == 2 and "give at least one of each" in capsys.readouterr().err
