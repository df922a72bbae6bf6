"""Says on a run's page why it stands still: its servers give no sign, or somebody holds a lock that it waits for.

Nobody waits half a minute to be told, nor for a lock's timeout.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import psycopg

from jobs.processes import seats
from jobs.running.connection_watchdog import Question, is_silent, waits
from mappings.sql import encoded, verbatim

LOOK_SECONDS = 0.5
QUIET_SECONDS = 1.5
"""Without a byte for so long, the servers are asked whether they are there."""

ANSWER_SECONDS = 2.0
ASK_EVERY = 3.0
"""How often they are asked again while a statement goes on: a long one is no trouble, but it may come upon a lock."""

KNOCK_SECONDS = 1.5
"""A server that is there opens a session sooner; one that is not has five seconds before that is an error."""

UNANSWERED = "gives no answer"
SAY = verbatim("UPDATE jobs_run SET waiting_for = %s WHERE id = %s AND waiting_for = %s")


class Notice:
    """What a run is said to wait for, on a connection of its own; it takes no other reason's place."""

    def __init__(self, run: int) -> None:
        self.run_id, self.said, self._params = run, "", seats.connection_params("silence")

    def say(self, text: str) -> None:
        """Has the run say it, unless it says something else; '' takes back what was said."""
        if text == self.said:
            return
        with psycopg.connect(**self._params, autocommit=True) as conn:
            conn.execute(encoded(SAY), [text, self.run_id, self.said])
        self.said = text


class Knocking(threading.Thread):
    """Has a run say that a server does not answer while a session is being opened to it, and not only once that failed.

    What was said is taken back when the session is open; where it failed, its error comes in its place.
    """

    def __init__(self, run: int, side: str) -> None:
        super().__init__(name=f"knocking at the {side}", daemon=True)
        self.side, self.notice = side, Notice(run)
        self._ended, self._saying = threading.Event(), threading.Lock()

    def __enter__(self) -> Knocking:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        with self._saying, suppress(psycopg.Error):
            self.notice.say("")

    def run(self) -> None:
        if self._ended.wait(KNOCK_SECONDS):
            return
        with self._saying, suppress(psycopg.Error):
            if not self._ended.is_set():
                self.notice.say(f"the {self.side} gives no answer: still connecting to it")


class Silence(threading.Thread):
    """Looks whether a session waits for a server that answers nobody, or for a lock, and has the run say so."""

    def __init__(self, token: str, run: int, *data: tuple[psycopg.Connection, str]) -> None:
        super().__init__(name=f"silence of {token}", daemon=True)
        self.token, self.data, self.notice = token, data, Notice(run)
        self._ended, self._asked = threading.Event(), float("-inf")

    def __enter__(self) -> Silence:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def run(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            with suppress(OSError, psycopg.Error):  # closed meanwhile, or our own database is away
                self._look()

    def _look(self) -> None:
        conns = [conn for conn, _ in self.data]
        quiet = any(map(waits, conns)) and all(is_silent(conn, QUIET_SECONDS) for conn in conns)
        if not quiet:
            self.notice.say("")
        elif time.monotonic() - self._asked >= ASK_EVERY or self.notice.said.endswith(UNANSWERED):
            self._asked = time.monotonic()
            self.notice.say(self._why())

    def _why(self) -> str:
        """Who holds what is waited for, or which servers do not answer; '' where one is at work, or all are there."""
        sides = dict(zip((url for _, url in self.data), ("source", "target"), strict=True))
        asked = {side: Question(self.token, url) for url, side in sides.items()}
        for question in asked.values():
            question.start()
        until = time.monotonic() + ANSWER_SECONDS
        for question in asked.values():
            question.join(max(0.0, until - time.monotonic()))
        for side, question in asked.items():
            if question.lock:
                return f"in the {side}, {question.lock}"
        if any(question.works for question in asked.values()):
            return ""
        silent = [side for side, question in asked.items() if not question.answered]
        return f"the {' and the '.join(silent)} {UNANSWERED}" if silent else ""
