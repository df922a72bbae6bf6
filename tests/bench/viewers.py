"""What 150 people who look at a run cost it: copies with them and without, turn by turn, and what one poll takes.

Their browsers are played by a process of this file, which gives way to all others (SCHED_IDLE): elsewhere they would
be on other machines. Each asks once a second for what moved, with what it was told before, as the page does. What they
cost by themselves is seen where they ask Valkey for a line instead, which takes it nothing.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from jobs.models import Run
    from tests.bench.parts import Bench
    from tests.bench.sheet import Unit

Watchers = Literal["viewers", "browsers", "nobody"]
WATCHERS: tuple[Watchers, ...] = ("viewers", "browsers", "nobody")
VIEWERS = 150
MOST_SLOWER = 1.03
MOST_POLL_MS = 5.0
HOST = "127.0.0.1"
SAID: tuple[tuple[str, Unit, float | None], ...] = (
    ("CPU of the web server for a poll", "ms", MOST_POLL_MS),
    ("a poll as its viewer waits for it, median", "ms", None),
    ("a poll as its viewer waits for it, 95 of 100", "ms", None),
    ("a poll as it is sent", "bytes", None),
    ("polls answered", "polls/s", None),
)


def viewers(bench: Bench, round_: int) -> None:
    """A copy each with viewers, with their browsers alone and without, in another order each round."""
    took: dict[str, float] = {}
    for number in range(len(WATCHERS)):
        watchers = WATCHERS[(number + round_) % len(WATCHERS)]
        took[watchers] = _copy(bench, watchers)
    for ours, limit, bar in (
        ("viewers", "nobody", MOST_SLOWER),
        ("browsers", "nobody", None),
        ("viewers", "browsers", MOST_SLOWER),
    ):
        line = bench.sheet.line(f"latter half of a copy with {VIEWERS} {ours} / with {limit}", bar=bar)
        line.ours.append(took[ours])
        line.limit.append(took[limit])


def _copy(bench: Bench, watchers: Watchers) -> float:
    """Seconds of the latter half."""
    from jobs import states
    from jobs.actions import runs
    from tests.bench import copies, product

    variant = copies.VARIANTS["one-map"]
    place, mapping = bench.of(variant)
    bench.start_over(place, "person")
    bench.workers.resize(copies.MANY_WORKERS)
    crowd = None if watchers == "nobody" else _Crowd(bench, watchers)
    try:
        run = runs.start(mapping, place.environment, None)
        if crowd:
            crowd.look_at(run.pk)
        product.rest(run, states.VERIFIED, bench.workers)
        told = crowd.told() if crowd else None
    finally:
        if crowd:
            crowd.end()
    if told and watchers == "viewers":
        for what, unit, bar in SAID:
            bench.sheet.line(f"  {what}", unit, bar).ours.append(told[what])
    return _latter_half(run)


def _latter_half(run: Run) -> float:
    """Seconds that the last half of the rows took: until then people come, and open a page that none had seen."""
    chunks = run.tables.get().chunks.filter(phase="copy").order_by("seen")
    ends = [(chunk.seen.timestamp(), chunk.rows) for chunk in chunks if chunk.seen]
    copied, total = 0, sum(rows for _, rows in ends)
    for seen, rows in ends:
        copied += rows
        if copied >= total / 2:
            return ends[-1][0] - seen
    raise RuntimeError(f"{run} copied nothing")


class _Crowd:
    """A web server as `make up` starts it, and the browsers of those who look."""

    def __init__(self, bench: Bench, watchers: Watchers) -> None:
        from migrator_site.supervisor import web_command

        self.watchers, self.other_port = watchers, urlsplit(bench.servers.valkey.url).port

        with socket.socket() as free:
            free.bind((HOST, 0))
            self.port = int(free.getsockname()[1])
        log = (bench.servers.home / "logs" / "web.log").open("ab")
        self.web = subprocess.Popen(
            web_command(HOST, self.port), env=bench.servers.environ, stdout=log, stderr=log
        )
        self.cookies = json.dumps(_sessions())
        self.browsers: subprocess.Popen[str] | None = None

    def look_at(self, run: int) -> None:
        """Everybody opens the page of that run, and stays."""
        from tests.bench import cost

        port, asked = (self.port, run) if self.watchers == "viewers" else (self.other_port, 0)
        command = [sys.executable, "-m", "tests.bench.viewers", str(port), str(asked)]
        self.browsers = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.browsers.stdin and self.browsers.stdout
        self.browsers.stdin.write(f"{self.cookies}\n")
        self.browsers.stdin.flush()
        self.browsers.stdout.readline()  # they have their first page
        self.before = cost.of([self.web.pid])

    def told(self) -> dict[str, float]:
        """What the polls took."""
        from tests.bench import cost

        assert self.browsers
        used = cost.of([self.web.pid]) - self.before
        self.browsers.send_signal(signal.SIGTERM)
        text, _ = self.browsers.communicate(timeout=60)
        found: dict[str, float] = json.loads(text)
        return found | {SAID[0][0]: 1000 * used / max(1.0, found["polls"])}

    def end(self) -> None:
        for process in (self.browsers, self.web):
            if process and process.poll() is None:
                process.terminate()
                process.wait(30)


def _sessions() -> list[str]:
    """The cookies of people who are signed in, without 150 entries in the history for it."""
    from django.conf import settings
    from django.contrib import auth

    from tests import factories

    user = factories.make_user()
    store = import_module(settings.SESSION_ENGINE).SessionStore
    cookies = []
    for _ in range(VIEWERS):
        session = store()
        session[auth.SESSION_KEY] = str(user.pk)
        session[auth.BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[-1]
        session[auth.HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.save()
        cookies.append(f"{settings.SESSION_COOKIE_NAME}={session.session_key}")
    return cookies


# ---- in the process of the browsers

TOKEN = re.compile(r'type="hidden" name="(\w+)" value="(\w+)"')


@lru_cache(maxsize=16)
def _query(body: bytes, is_compressed: bool) -> str:
    """What the next poll says of this one's answer; read once where many are told the same."""
    text = gzip.decompress(body) if is_compressed else body
    found = TOKEN.findall(text.decode())
    return "?" + "&".join(f"{name}={value}" for name, value in found) if found else ""


async def _look(port: int, run: int, cookie: str, number: int, polls: list[tuple[float, int]]) -> None:
    """One viewer: asks each second, on a connection that stays. run: 0 where a line is all that is wanted."""
    query, link = "", None
    await asyncio.sleep(number / VIEWERS)
    while True:
        began = time.perf_counter()
        with suppress(OSError, asyncio.IncompleteReadError):
            link = link or await asyncio.open_connection(HOST, port)
            question = f"/runs/{run}/live/{query}"
            head, body = await (_asked(link, question, cookie) if run else _line(link))
            polls.append((time.perf_counter() - began, len(body)))
            query = _query(body, b"content-encoding: gzip" in head) or query
            link = None if b"connection: close" in head else link
        await asyncio.sleep(max(0.0, 1 - (time.perf_counter() - began)))


async def _line(link: Any) -> tuple[bytes, bytes]:
    reader, writer = link
    writer.write(b"PING\r\n")
    return await reader.readline(), b""


async def _asked(link: Any, path: str, cookie: str) -> tuple[bytes, bytes]:
    reader, writer = link
    words = (
        f"GET {path} HTTP/1.1",
        f"Host: {HOST}",
        f"Cookie: {cookie}",
        "HX-Request: true",
        "Accept-Encoding: gzip",
    )
    writer.write("".join(f"{line}\r\n" for line in (*words, "")).encode())
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b" 200 " not in head.partition(b"\r\n")[0] and b" 286 " not in head.partition(b"\r\n")[0]:
        raise SystemExit(head.decode())
    if size := re.search(rb"content-length: (\d+)", head):
        return head, await reader.readexactly(int(size[1]))
    body = b""
    while length := int((await reader.readline()).strip() or b"0", 16):
        body += (await reader.readexactly(length + 2))[:-2]
    await reader.readline()
    return head, body


async def _crowd(port: int, run: int, cookies: list[str]) -> None:
    polls: list[tuple[float, int]] = []
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    tasks = [asyncio.create_task(_look(port, run, cookie, n, polls)) for n, cookie in enumerate(cookies)]
    while len(polls) < len(cookies) and not any(task.done() for task in tasks):
        await asyncio.sleep(0.05)
    print("looking", flush=True)
    polls.clear()
    began = time.perf_counter()
    await ended.wait()
    took = sorted(seconds for seconds, _ in polls) or [0.0]
    seconds, sizes = time.perf_counter() - began, [size for _, size in polls] or [0]
    figures = (
        1000 * statistics.median(took),
        1000 * took[int(len(took) * 0.95) - 1],
        statistics.mean(sizes),
        len(polls) / seconds,
    )
    names = (what for what, _, _ in SAID[1:])
    print(json.dumps({"polls": len(polls), **dict(zip(names, figures, strict=True))}), flush=True)
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    asyncio.run(_crowd(int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.stdin.readline())))
