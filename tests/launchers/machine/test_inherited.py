"""What a shell hands on that ranks of this machine must not follow: hidden, or named."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
from support.launching import environment

from batchscale.launchers import cli
from batchscale.launchers.machine import checks, inherited, installed

ANOTHER = ("TF_CONFIG", "HOROVOD_RANK", "HOROVOD_SIZE", "HOROVOD_HOSTNAME", "HOROVOD_GLOO_RENDEZVOUS_ADDR",
           "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_UNIVERSE_SIZE", "OMPI_MCA_ess", "PMIX_RANK",
           "PMIX_NAMESPACE", "PMI_RANK", "SLURM_JOB_ID", "SLURM_PROCID", "SLURM_NTASKS", "SLURMD_NODENAME",
           "BATCHSCALE_RANK")
SETTINGS = ("HOROVOD_CYCLE_TIME", "HOROVOD_TIMELINE", "OMPI_MCA_btl", "SLURM_CONF", "CUDA_VISIBLE_DEVICES", "PATH",
            "TF_CPP_MIN_LOG_LEVEL", "OPAL_PREFIX", "BATCHSCALE_CACHE", "HOME")


def test_places_in_another_job_are_hidden_and_settings_stay() -> None:
    given = dict.fromkeys((*ANOTHER, *SETTINGS), "1")
    assert inherited.shielded(given) == dict.fromkeys(SETTINGS, "1")
    assert inherited.another_jobs(given) == sorted(ANOTHER)
    assert inherited.sentences(dict.fromkeys(SETTINGS, "1")) == []


@pytest.mark.parametrize("proxy", ["http_proxy", "HTTPS_PROXY", "grpc_proxy", "ALL_PROXY"])
def test_ranks_reach_each_other_past_any_proxy_which_stays_for_others(proxy: str) -> None:
    found = inherited.shielded({proxy: "http://127.0.0.1:9", "no_proxy": "example.org"})
    assert found[proxy] == "http://127.0.0.1:9"
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        words = found[name].split(",")
        assert {"localhost", "127.0.0.1", socket.gethostname()} <= set(words) and len(words) == len(set(words))
    assert found["no_proxy"].startswith("example.org,")
    assert proxy in inherited.sentences({proxy: "http://127.0.0.1:9"})[0]
    assert inherited.shielded({proxy: ""}) == {proxy: ""}


def test_whoever_imports_keras_for_ranks_chooses_its_backend() -> None:
    program = ("import os\nfrom batchscale.benchmarks.rank import imports\nimports.hidden = lambda names: 1 / 0\n"
               "try:\n    imports.tensorflow_and_keras()\nexcept ZeroDivisionError:\n    pass\n"
               "print(os.environ['KERAS_BACKEND'], os.environ['TF_USE_LEGACY_KERAS'])")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          env=environment(KERAS_BACKEND="jax", TF_USE_LEGACY_KERAS="1"))
    assert done.stdout.split() == ["tensorflow", "0"], done.stderr
    assert "KERAS_BACKEND=jax" in inherited.sentences({"KERAS_BACKEND": "jax"})[0]


def test_a_machine_that_cannot_resolve_its_name_says_so_in_doctor_and_for_gloo(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def unknown(*_: object) -> list[object]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setenv("TF_CONFIG", "{}")
    sentence = f"this machine cannot resolve its own name, {socket.gethostname()!r}"
    named, environ = checks.check_inherited()
    assert (named.ok, named.found) == (False, sentence) and "/etc/hosts" in named.fix
    assert "TF_CONFIG" in environ.found
    assert checks.gloo_problem(installed.Horovod(version="1", gloo=True)).startswith(sentence)
    cli.main(["doctor"])
    assert sentence in capsys.readouterr().out


def test_this_environment_is_handed_on_but_for_what_is_named() -> None:
    found = inherited.shielded(os.environ)
    hidden = {*inherited.another_jobs(os.environ), "no_proxy", "NO_PROXY", "no_grpc_proxy"}
    assert {name: value for name, value in os.environ.items() if name not in hidden}.items() <= found.items()
