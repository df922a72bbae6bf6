"""Clients that send half a request, or take no answer, keep nobody else from a page."""

from __future__ import annotations

import hashlib
import http.client
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress

import pytest

from migrator_site.server import free_port
from migrator_site.supervisor import web_command

ECHO = "tests.echo_app:application"
HEADERS = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100"
BODY = HEADERS + b"\r\n\r\nhalf"
MUCH = b"GET /?5000000 HTTP/1.1\r\nHost: localhost\r\n\r\n"
BEFORE_IT = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
WAIT_SECONDS = 15  # less than clients are waited for: a thread that waited with them would still be held


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where the web server of `make up` serves, with another application in it."""
    port, log_file = free_port(), tmp_path_factory.mktemp("web") / "log"
    command = [ECHO if part == "migrator_site.wsgi" else part for part in web_command("127.0.0.1", port)]
    with log_file.open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        for _ in range(200):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield port
    finally:
        server.terminate()
        server.wait(30)
        assert "Traceback" not in log_file.read_text()


def ask(port: int, method: str = "GET", path: str = "/", body: bytes | None = None) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_SECONDS)) as connection:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()


def _body(client: socket.socket) -> bytes:
    answer = http.client.HTTPResponse(client)
    answer.begin()
    return answer.read()


def digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


@pytest.mark.parametrize("sent", [b"", HEADERS, BODY, BEFORE_IT + HEADERS, MUCH],
                         ids=["nothing", "headers", "body", "second", "unread"])  # fmt: skip
@pytest.mark.parametrize("clients", [8, 64])
def test_slow_clients_hold_no_thread(port: int, sent: bytes, clients: int) -> None:
    with ExitStack() as slow:
        for _ in range(clients):
            client = slow.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # takes little unless it reads
            client.connect(("127.0.0.1", port))
            client.sendall(sent)
        for _ in range(10):
            assert ask(port, "POST", "/", b"page") == (200, digest(b"page"))


def test_more_slow_clients_than_are_waited_for(port: int) -> None:
    """The oldest make room."""
    with ExitStack() as slow:
        for _ in range(450):
            client = slow.enter_context(socket.create_connection(("127.0.0.1", port), WAIT_SECONDS))
            with suppress(ConnectionError):
                client.sendall(HEADERS)
        assert ask(port) == (200, digest(b""))


def test_a_body_arrives_whole_however_it_is_sent(port: int) -> None:
    body = os.urandom(3_000_000)
    assert ask(port, "POST", "/", body) == (200, digest(body))
    with socket.create_connection(("127.0.0.1", port), WAIT_SECONDS) as client:
        for part in (BODY[:20], BODY[20:-2], BODY[-2:], b"y" * 50, b"z" * 46):
            client.sendall(part)
            time.sleep(0.05)
        assert digest(b"half" + b"y" * 50 + b"z" * 46) in client.recv(65536)


def test_a_large_answer_arrives_whole_and_the_connection_is_kept(port: int) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_SECONDS)) as connection:
        for size in (8_000_000, 0, 5):
            connection.request("GET", f"/?{size}")
            assert len(connection.getresponse().read()) == 64 + size
        assert connection.sock is not None


def test_two_requests_at_once_are_answered_in_order(port: int) -> None:
    last = BEFORE_IT.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with socket.create_connection(("127.0.0.1", port), WAIT_SECONDS) as client:
        client.sendall(HEADERS.replace(b"100", b"4") + b"\r\n\r\nhalf" + last)
        said = b"".join(iter(lambda: client.recv(65536), b""))
    assert said.index(digest(b"half")) < said.index(digest(b""))


def test_what_is_answered_at_once_comes_in_its_turn_and_holds_nobody_up(port: int) -> None:
    at_once = b"GET /at-once?3 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = b"GET /at-once?5 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), WAIT_SECONDS) as client:
        client.sendall(at_once * 1_200 + BEFORE_IT + at_once * 3 + last)
        said = b""
        while not said.endswith(b"\r\n\r\nyyyyy"):
            more = client.recv(65536)
            assert more
            said += more
    before, after = said.split(digest(b""))
    assert (before.count(b"\r\n\r\nyyy"), after.count(b"\r\n\r\nyyy")) == (1_200, 4)
    with socket.create_connection(("127.0.0.1", port), WAIT_SECONDS) as slow:
        slow.sendall(b"GET /at-once?9000000 HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2)
        assert ask(port) == (200, digest(b""))
        wanted = 2 * 9_000_000
        while wanted > 0:
            more = slow.recv(1 << 20)
            assert more
            wanted -= more.count(b"y")


def test_what_many_ask_for_at_once_is_made_once(port: int) -> None:
    with ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), WAIT_SECONDS))
            for _ in range(30)
        ]
        for client in clients:
            client.sendall(b"GET /shared HTTP/1.1\r\nHost: localhost\r\n\r\n")
        told = sorted(_body(client) for client in clients)
    assert told == [b"at once"] * 29 + [b"by thread"]


def test_who_asks_whether_to_send_is_told_to(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), WAIT_SECONDS) as client:
        client.sendall(HEADERS.replace(b"100", b"4") + b"\r\nExpect: 100-continue\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n")
        client.sendall(b"half")
        said = b""
        while digest(b"half") not in said:
            more = client.recv(65536)
            assert more
            said += more


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
        (HEADERS + b"0" * 9 + b"\r\n\r\n", b"413"),
        (HEADERS + b"0\r\nX: " + b"y" * 70_000, b"431"),
        (b"no request\r\n\r\n", b"400"),
    ],
)
def test_what_is_not_waited_for_is_refused(port: int, sent: bytes, status: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), WAIT_SECONDS) as client:
        client.sendall(sent)
        assert client.recv(100).split()[1] == status
