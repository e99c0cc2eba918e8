"""Where Gloo's ranks find each other: a small store of values by name over HTTP, as Horovod's ranks ask for it.

A rank puts its addresses at /scope/rank, gets those of the others, which are not found until they are put, and takes
its own away at the end. The batch script needs no Horovod for it: in a container that is the ranks' alone.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MOST_BYTES = 1 << 20  # of one value; addresses of a rank's pairs are some kilobytes
SILENT_SECONDS = 30.0


class Store(ThreadingHTTPServer):
    """The values that ranks have put, by path."""

    daemon_threads = True
    request_queue_size = 1024  # all ranks come at once

    def __init__(self, address: str) -> None:
        super().__init__((address, 0), Handler)
        self.values: dict[str, bytes] = {}

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a rank that has gone meanwhile; its peers tell."""


class Handler(BaseHTTPRequestHandler):
    """One request of a rank."""

    server: Store
    timeout = SILENT_SECONDS

    def do_PUT(self) -> None:
        """Keep a value."""
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MOST_BYTES:
            self._answer(HTTPStatus.BAD_REQUEST)
            return
        content = self.rfile.read(int(length))
        if len(content) == int(length):
            self.server.values[self.path] = content
        self._answer(HTTPStatus.OK if len(content) == int(length) else HTTPStatus.BAD_REQUEST)

    def do_GET(self) -> None:
        """Send a value, or say that it is not there yet."""
        value = self.server.values.get(self.path)
        self._answer(HTTPStatus.NOT_FOUND if value is None else HTTPStatus.OK, value or b"")

    def do_DELETE(self) -> None:
        """Take note of a rank that leaves; its peers may still ask for it."""
        self._answer(HTTPStatus.OK)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing: ranks ask thousands of times."""

    def _answer(self, status: HTTPStatus, content: bytes = b"") -> None:
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def served(address: str) -> Iterator[int]:
    """Serve a store at this address, "" for every one, meanwhile; yields its port. Raises OSError where the address is
    not this host's."""
    store = Store(address)
    thread = threading.Thread(target=store.serve_forever, daemon=True)
    thread.start()
    try:
        yield store.server_address[1]
    finally:
        store.shutdown()
        store.server_close()
        thread.join()
