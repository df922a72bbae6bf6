"""Says on a run's page why it stands still: its servers give no sign, somebody holds a lock that it waits for, or one
of its statements takes long.

Nobody waits half a minute to be told, nor for a lock's timeout.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import psycopg

from jobs.models.runs import FORGOTTEN_SECONDS
from jobs.processes import seats
from jobs.running.lost_connections.connection_watchdog import Question, is_silent, waits
from jobs.running.lost_connections.watch import Watch
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


class Knocking(Watch):
    """Has a run say that a server does not answer while a session is being opened to it, and not only once that failed.

    What was said is taken back when the session is open; where it failed, its error comes in its place.
    """

    def __init__(self, run: int, side: str) -> None:
        super().__init__(f"knocking at the {side}")
        self.side, self.notice = side, Notice(run)
        self._saying = threading.Lock()

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        with self._saying, suppress(psycopg.Error):
            self.notice.say("")

    def run(self) -> None:
        if self._ended.wait(KNOCK_SECONDS):
            return
        with self._saying, suppress(psycopg.Error):
            if not self._ended.is_set():
                self.notice.say(f"the {self.side} gives no answer: still connecting to it")


class LongStatement:
    """The statement that a session has been waiting for, as the run tells it; several sessions do not take turns."""

    def __init__(self, token: str, run: int) -> None:
        self.token, self.run_id, self._is_told = token, run, False
        self._params = seats.connection_params("silence")

    def tell(self, side: str, seconds: float, statement: str) -> None:
        """seconds: for how long it is being executed."""
        told = {"side": side, "statement": statement, "by": self.token}
        with psycopg.connect(**self._params, autocommit=True) as conn:
            given = {**told, "seconds": seconds, "run": self.run_id, "stale": FORGOTTEN_SECONDS}
            conn.execute(encoded(TELL), given)
        self._is_told = True

    def over(self) -> None:
        """Takes back what was told."""
        if not self._is_told:
            return
        with psycopg.connect(**self._params, autocommit=True) as conn:
            conn.execute(encoded(OVER), [self.run_id, self.token])
        self._is_told = False


TELL = verbatim("""
UPDATE jobs_run AS r SET at_work = jsonb_build_object(
       'by', %(by)s::text, 'side', %(side)s::text, 'statement', %(statement)s::text, 'seen', x.now,
       'since', CASE WHEN r.at_work->>'statement' = %(statement)s AND r.at_work->>'by' = %(by)s
                      AND abs((r.at_work->>'since')::float8 - x.since) < 2
                     THEN (r.at_work->>'since')::float8 ELSE x.since END)
  FROM (SELECT extract(epoch FROM now())::float8 AS now,
               extract(epoch FROM now())::float8 - %(seconds)s::float8 AS since) AS x
 WHERE r.id = %(run)s
   AND (r.at_work IS NULL OR r.at_work->>'by' = %(by)s OR (r.at_work->>'seen')::float8 < x.now - %(stale)s::float8)
""")
"""Two looks at one statement come to the same second, however long the way to its server took."""

OVER = verbatim("UPDATE jobs_run SET at_work = NULL WHERE id = %s AND at_work->>'by' = %s")


class Silence(Watch):
    """Looks whether a session waits for a server that answers nobody, for a lock, or long for a statement, and has the
    run say so."""

    def __init__(self, token: str, run: int, *data: tuple[psycopg.Connection, str]) -> None:
        super().__init__(f"silence of {token}")
        self.token, self.data = token, data
        self.notice, self.long = Notice(run), LongStatement(token, run)
        self._asked = float("-inf")

    def run(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            with suppress(OSError, psycopg.Error):  # closed meanwhile, or our own database is away
                self._look()

    def _look(self) -> None:
        conns = [conn for conn, _ in self.data]
        quiet = any(map(waits, conns)) and all(is_silent(conn, QUIET_SECONDS) for conn in conns)
        if not quiet:
            self.notice.say("")
            self.long.over()
        elif time.monotonic() - self._asked >= ASK_EVERY or self.notice.said.endswith(UNANSWERED):
            self._asked = time.monotonic()
            asked = self._ask()
            self.notice.say(_why(asked))
            self._tell(asked)

    def _tell(self, asked: dict[str, Question]) -> None:
        works = [(*question.statement, side) for side, question in asked.items() if question.statement]
        if works and not any(question.lock for question in asked.values()):
            seconds, statement, side = max(works)
            self.long.tell(side, seconds, statement)
        else:
            self.long.over()

    def _ask(self) -> dict[str, Question]:
        """Both servers, those that have answered and those that have not."""
        sides = dict(zip((url for _, url in self.data), ("source", "target"), strict=True))
        asked = {side: Question(self.token, url) for url, side in sides.items()}
        for question in asked.values():
            question.start()
        until = time.monotonic() + ANSWER_SECONDS
        for question in asked.values():
            question.join(max(0.0, until - time.monotonic()))
        return asked


def _why(asked: dict[str, Question]) -> str:
    """Who holds what is waited for, or which servers do not answer; '' where one is at work, or all are there."""
    for side, question in asked.items():
        if question.lock:
            return f"in the {side}, {question.lock}"
    if any(question.works for question in asked.values()):
        return ""
    silent = [side for side, question in asked.items() if not question.answered]
    return f"the {' and the '.join(silent)} {UNANSWERED}" if silent else ""
