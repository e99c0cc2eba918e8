"""Where Gloo's ranks find each other: the server listens at the address that they are told, and nowhere else."""

from __future__ import annotations

import http.client
import socket
import sys
import threading

import pytest

from batchscale.benchmarks.errors import EnvironmentUnusable
from batchscale.launchers.slurm import step
from batchscale.launchers.slurm.layout import Layout

TWO_NODES = Layout(("g9", "g10"), ("127.0.0.9", "127.0.0.10"), 2, "gloo")


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


def asked(port: int, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.9", port, timeout=10)
    connection.request(method, path, body=body or None)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_ranks_put_and_get_as_horovod_s_ask_and_the_batch_script_needs_no_horovod(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "horovod", None)
    with step.rendezvous(TWO_NODES) as known:
        port = known.rendezvous_port
        assert asked(port, "GET", "/global_/1")[0] == 404, "not put yet: the rank asks again"
        assert asked(port, "PUT", "/global_/1", b"\x00\xffaddresses")[0] == 200
        assert asked(port, "GET", "/global_/1") == (200, b"\x00\xffaddresses")
        assert asked(port, "GET", "/local_g9/1")[0] == 404
        assert asked(port, "DELETE", "/global_/1")[0] == 200
        assert asked(port, "GET", "/global_/1")[0] == 200, "its peers may still ask"


def test_all_ranks_may_come_at_once() -> None:
    """A queue of five, which servers have by default, lets ranks try again after seconds."""
    answers_of: list[int] = []
    with step.rendezvous(TWO_NODES) as known:
        def come(rank: int) -> None:
            answers_of.append(asked(known.rendezvous_port, "PUT", f"/global_/{rank}", b"x")[0])
        ranks = [threading.Thread(target=come, args=(rank,)) for rank in range(128)]
        for rank in ranks:
            rank.start()
        for rank in ranks:
            rank.join()
    assert answers_of == [200] * 128


def test_what_is_no_value_is_refused() -> None:
    with step.rendezvous(TWO_NODES) as known, socket.create_connection(("127.0.0.9", known.rendezvous_port)) as rank:
        rank.sendall(b"PUT /global_/0 HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n")
        assert b" 400 " in rank.recv(1000)
