"""A web server and a mail server that take what they are sent, on ports of this machine."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Received:
    """What arrived. answers: the statuses to give, one after the other, then 200; gate: opened before any answer."""

    def __init__(self) -> None:
        self.port = 0
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.mails: list[tuple[str, str]] = []
        self.answers: list[int] = []
        self.arrived, self.gate = threading.Event(), threading.Event()
        self.gate.set()


@contextmanager
def web_server() -> Iterator[Received]:
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.requests.append((self.path, dict(self.headers), body))
            received.arrived.set()
            received.gate.wait(60)
            self.send_response(received.answers.pop(0) if received.answers else 200)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with _served(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        received.port = port
        yield received
        received.gate.set()


@contextmanager
def mail_server() -> Iterator[Received]:
    """Speaks as much SMTP as a client needs to hand over a mail."""
    received = Received()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.say("220 here")
            to = ""
            for line in iter(lambda: self.rfile.readline().decode().strip(), ""):
                word = line.upper()
                if word.startswith("RCPT"):
                    to = line.partition("<")[2].partition(">")[0]
                if word.startswith("DATA"):
                    self.say("354 go on")
                    received.mails.append((to, self.data()))
                self.say("221 bye" if word.startswith("QUIT") else "250 ok")

        def data(self) -> str:
            lines = iter(lambda: self.rfile.readline().decode().rstrip("\r\n"), ".")
            return "\n".join(lines)

        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    with _served(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as port:
        received.port = port
        yield received


@contextmanager
def _served(server: Any) -> Iterator[int]:
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()
