"""Who can be rung: each worker sits on a seat with a queue of its own, and keeps saying that it is there."""

from __future__ import annotations

import logging
import os
import re
import secrets
import signal
import socket
import threading
from datetime import timedelta
from typing import Any

import psycopg
from django.db import connections
from django.db.models import QuerySet
from django.db.models.functions import Now

from jobs.models import Chunk, Run, Seat
from jobs.processes import control_database
from mappings.sql import Sql, encoded, verbatim

SEEN_WITHIN = timedelta(seconds=30)
"""A seat not seen for longer is empty: it is not rung and does not count as a worker."""

LONGEST_NAME = 40
"""Of a seat; claims carry it in full."""

FORGOTTEN_AFTER = timedelta(hours=1)
BEAT_SECONDS = 5.0
BEAT_AGAIN_SECONDS = 1.0

log = logging.getLogger(__name__)
_taken = ""


def default_name() -> str:
    """A name that no other process on any host has at this moment: host and process id."""
    return f"{socket.gethostname()[:30]}-{os.getpid()}"


def take(name: str) -> None:
    """This process, and what it forks, works under that name from now on."""
    global _taken
    _taken = name


def my_name() -> str:
    """The name under which this process works; one work horse at a time has it."""
    return _taken or default_name()


def queue_name(seat: str) -> str:
    """The queue on which that seat, and no other, is rung."""
    return f"migrator:{seat}"


def live() -> QuerySet[Seat]:
    """Seats whose worker was seen lately, by the database's clock, so that hosts need not agree on the time."""
    return Seat.objects.filter(seen__gte=Now() - SEEN_WITHIN)


def forgotten() -> QuerySet[Seat]:
    """Seats whose worker has been away for so long that it will not come back under that name."""
    return Seat.objects.filter(seen__lt=Now() - FORGOTTEN_AFTER)


def new_token(name: str) -> str:
    """A name for one session of a worker. PostgreSQL keeps nothing but printable ASCII in an application_name."""
    return f"{_plain(name)}-{secrets.token_hex(3)}"


def _plain(name: str) -> str:
    cut = name[:LONGEST_NAME]
    return "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in cut)


def abandon_claims(name: str) -> None:
    """Offer what the seat's dead work horse had claimed, or leased, to others at once, not when it goes stale.

    What the horse may have left running in the target is ended and shut out by whoever takes it over.
    """
    tokens = rf"^{re.escape(_plain(name))}-[0-9a-f]+$"
    Chunk.objects.filter(state="claimed", worker__regex=tokens).update(seen=None)
    Run.objects.filter(lease_owner__regex=tokens).update(lease_until=None)


class Heartbeat(threading.Thread):
    """Keeps a Seat row fresh, also while a work horse is busy; takes it away in `leave`.

    Opens a connection of its own for each beat: none is open when the worker forks. `beating` is held during
    a beat, and must be held by whoever forks: a thread's half-taken locks would stay taken in the child.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name=f"heartbeat of {name}", daemon=True)
        self.seat = name
        self.beating = threading.Lock()
        self._stopped = threading.Event()
        self._away = False
        self._params = connection_params("heartbeat")

    def run(self) -> None:
        # Signals belong to the main thread: one that arrives while it has them blocked must stay pending.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        while not self._stopped.is_set():
            self.beat()
            self._stopped.wait(BEAT_AGAIN_SECONDS if self._away else BEAT_SECONDS)

    def beat(self) -> None:
        """Say once that this worker is there. An unreachable database is logged once, and tried again."""
        values = (self.seat, queue_name(self.seat), socket.gethostname(), os.getpid())
        try:
            self._execute(_SIT, values)
        except psycopg.Error as error:
            control_database.tell(error)
            if not self._away:
                log.warning("Seat %s cannot be kept, trying again: %s", self.seat, str(error).strip())
            self._away = True
        else:
            self._away = False

    def leave(self) -> None:
        """Stop beating and take the row away, unless another process has taken the seat."""
        self._stopped.set()
        self.join(timeout=10)
        try:
            self._execute(_LEAVE, (self.seat, socket.gethostname(), os.getpid()))
        except psycopg.Error as error:
            log.warning("Seat %s could not be given up: %s", self.seat, str(error).strip())

    def _execute(self, statement: Sql, values: tuple[Any, ...]) -> None:
        with self.beating, psycopg.connect(**self._params, autocommit=True) as connection:
            connection.execute(encoded(statement), values)


_SIT = verbatim("""
INSERT INTO jobs_seat (name, queue, host, pid, seen) VALUES (%s, %s, %s, %s, now())
ON CONFLICT (name) DO UPDATE SET queue = excluded.queue, host = excluded.host, pid = excluded.pid, seen = now()
""")
_LEAVE = verbatim("DELETE FROM jobs_seat WHERE name = %s AND host = %s AND pid = %s")


def connection_params(purpose: str) -> dict[str, Any]:
    """How Django reaches the control database, without what belongs to Django's own connections."""
    params = connections["default"].get_connection_params()
    for own in ("context", "cursor_factory", "prepare_threshold", "autocommit"):
        params.pop(own, None)
    options = f"{params.pop('options', '')} -c statement_timeout=5000".strip()
    return {**params, "connect_timeout": 3, "options": options, "application_name": f"migrator {purpose}"}
