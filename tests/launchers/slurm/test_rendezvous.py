"""Where Gloo's ranks find each other: the server listens at the address that they are told, and nowhere else."""

from __future__ import annotations

import http.server
import socket
import sys
import types
from dataclasses import dataclass
from typing import Any

import pytest

from batchscale.benchmarks.errors import EnvironmentUnusable
from batchscale.launchers.slurm import step
from batchscale.launchers.slurm.layout import Layout

TWO_NODES = Layout(("g9", "g10"), ("127.0.0.9", "127.0.0.10"), 2, "gloo")


@dataclass
class Slot:
    hostname: str
    rank: int
    local_rank: int
    cross_rank: int
    size: int
    local_size: int
    cross_size: int


class Server(http.server.HTTPServer):
    """As Horovod's: it takes an address, a handler and a level of talking, and is told of the slots."""

    slots: list[Slot] = []

    def __init__(self, address: tuple[str, int], handler: Any, verbose: int) -> None:
        super().__init__(address, handler)

    def init(self, slots: list[Slot]) -> None:
        Server.slots = slots


@pytest.fixture(autouse=True)
def horovod(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in, so that the tests do not need Horovod."""
    for name, contents in (("horovod", {}), ("horovod.runner", {}), ("horovod.runner.common", {}),
                           ("horovod.runner.common.util", {}), ("horovod.runner.common.util.hosts", {"SlotInfo": Slot}),
                           ("horovod.runner.http", {}), ("horovod.runner.http.http_server", {
                               "RendezvousHandler": http.server.BaseHTTPRequestHandler,
                               "RendezvousHTTPServer": Server})):
        module = types.ModuleType(name)
        module.__dict__.update(contents)
        monkeypatch.setitem(sys.modules, name, module)


def answers(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=5).close()
        return True
    except OSError:
        return False


def test_it_listens_at_the_first_nodes_address_alone_and_only_meanwhile() -> None:
    with step.rendezvous(TWO_NODES) as known:
        port = known.rendezvous_port
        assert answers("127.0.0.9", port)
        assert not answers("127.0.0.1", port) and not answers("127.0.0.10", port)
        assert [(s.hostname, s.rank, s.local_rank, s.cross_rank) for s in Server.slots] == [
            ("g9", 0, 0, 0), ("g9", 1, 1, 0), ("g10", 2, 0, 1), ("g10", 3, 1, 1)]
    assert not answers("127.0.0.9", port)


def test_an_address_that_is_not_this_hosts_is_an_error_with_the_fix() -> None:
    with pytest.raises(EnvironmentUnusable, match="cannot listen at 192.0.2.1, the address of g9.*site profile"):
        with step.rendezvous(Layout(("g9",), ("192.0.2.1",), 2, "gloo")):
            pass


@pytest.mark.parametrize(("nodes", "found", "expected"), [
    (2, "127.0.1.1", ""), (1, "127.0.1.1", "127.0.1.1"), (2, "10.0.0.9", "10.0.0.9")])
def test_a_name_that_leads_to_the_loopback_is_not_where_other_nodes_come(
        monkeypatch: pytest.MonkeyPatch, nodes: int, found: str, expected: str) -> None:
    monkeypatch.setattr(socket, "gethostbyname", lambda name: found)
    layout = Layout(("g9", "g10")[:nodes], ("g9", "g10")[:nodes], 1, "gloo")
    assert step.listening_address(layout) == expected


def test_ranks_that_talk_by_mpi_need_none() -> None:
    with step.rendezvous(Layout(("g9",), ("127.0.0.9",), 2, "mpi")) as known:
        assert known.rendezvous_port == 0
