"""A gate in the target: whoever inserts or deletes a certain row waits, in the middle of a chunk, until it opens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import psycopg
from django.db import connections

T = TypeVar("T")

LOCK = 4711

TRIGGER = f"""
CREATE FUNCTION public.gate() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN PERFORM pg_advisory_xact_lock_shared({LOCK}); RETURN coalesce(NEW, OLD); END';
CREATE TRIGGER gate BEFORE {{event}} ON {{table}} FOR EACH ROW WHEN ({{row}}) EXECUTE FUNCTION public.gate();
"""


@dataclass(frozen=True)
class Gate:
    """A closed gate."""

    conn: psycopg.Connection

    def wait_for_somebody(self) -> int:
        """The process id of the server session that waits at the gate."""
        query = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"
        return int(wait_for(lambda: self.conn.execute(query, [LOCK]).fetchone())[0])

    def open(self) -> None:
        """Lets everybody through from now on."""
        self.conn.execute("SELECT pg_advisory_unlock_all()")


@contextmanager
def closed_gate(url: str, table: str, row: str, event: str = "INSERT") -> Iterator[Gate]:
    """Before a row for which `row` (SQL over NEW or OLD) holds; open at the end in any case. One in a database."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(TRIGGER.format(table=table, row=row, event=event).encode())
        conn.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        yield Gate(conn)


def wait_for(condition: Callable[[], T | None], seconds: float = 60) -> T:
    """What the condition returns once that is true."""
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, "did not happen"
        time.sleep(0.02)
    return found


@contextmanager
def meanwhile(act: Callable[[], object]) -> Iterator[threading.Thread]:
    """`act` goes on in a thread, which has ended after the block."""

    def run() -> None:
        try:
            act()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield thread
    finally:
        thread.join()
