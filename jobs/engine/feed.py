"""Source rows of one chunk, projected to target columns: a subquery in one database, a staged COPY between two."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn
from psycopg.waiting import Ready, Wait

from jobs.engine.errors import is_written
from jobs.engine.scope import Scope
from jobs.engine.sql import feed_stage, firing, key_sql, past_triggers
from jobs.engine.sql.firing import Statement
from jobs.engine.sql.key_sql import Purpose
from jobs.engine.sql.walks.chunk_range import Range
from mappings.compiling.projection import key_text
from mappings.sql import Sql, compose, encoded, joined

BLOCK = 128 * 1024
"""Bytes that are joined before they are written on: one write per row costs twice the time."""


@dataclass(slots=True)
class Refusals:
    """What this session has seen the target refuse rows of a table for, so that its next chunk is asked at once.

    seen: SQLSTATEs, each with the constraint that was violated, '' for none; written: the last chunk had rows that a
    trigger refused, or whatever else cannot be asked for.
    """

    seen: set[tuple[str, str]] = field(default_factory=set)
    written: bool = False

    def learn(self, error: psycopg.Error) -> bool:
        """Takes note of a refusal; whether it is a new one."""
        refusal = (error.sqlstate or "", error.diag.constraint_name or "")
        is_new = refusal not in self.seen
        self.seen.add(refusal)
        self.written = self.written or is_written(error)
        return is_new

    def constraints(self, state: str) -> set[str]:
        """Those that were violated with this SQLSTATE."""
        return {name for seen, name in self.seen if seen == state}


@dataclass(frozen=True, slots=True)
class Work(Scope):
    """What the engine moves one table's chunks with.

    guarded: rows may be there already, so look first; identical:
    values are compared by their binary images; refusals: those of the table in this session.
    """

    run: int
    guarded: bool
    source: psycopg.Connection
    target: psycopg.Connection
    identical: bool = False
    refusals: Refusals = field(default_factory=Refusals)


def run_sql(conn: psycopg.Connection, statement: Statement) -> psycopg.Cursor:
    """Executes one composed statement as it stands; nothing in it is a placeholder."""
    if isinstance(statement, firing.Settings):
        return conn.execute(encoded(compose("SELECT {}", statement.sql)))
    if not isinstance(statement, firing.Firing):
        return conn.execute(encoded(statement))
    result = conn.execute(encoded(statement.sql))
    run_sql(conn, firing.OURS)
    return result


def changed_by(conn: psycopg.Connection, statement: Statement) -> int:
    """Executes a statement that changes rows; how many."""
    result = run_sql(conn, statement)
    if isinstance(statement, firing.Firing) and statement.counts:
        row = result.fetchone()
        return int(row[0]) if row else 0
    return result.rowcount


def change(work: Work, statement: Sql) -> int:
    """Changes rows of the target by a plain INSERT, UPDATE or DELETE; how many."""
    return changed_by(work.target, firing.counted(work.table, statement))


def settle(work: Work) -> None:
    """Has done now what the target put off to the commit. Comes before anything that does so itself, and the ledger."""
    for statement in firing.settle(work.table) if work.table.firing.fires or work.table.firing.hushed else ():
        run_sql(work.target, statement)
    for statement in firing.wake(work.table):
        run_sql(work.target, statement)


def hush(work: Work) -> None:
    """Leaves triggers off until `settle`. Comes first in a transaction that writes to the target."""
    for statement in firing.hush(work.table):
        run_sql(work.target, statement)


def run_between(
    conn: psycopg.Connection, before: list[Statement], statement: Statement, after: list[Statement]
) -> int:
    """Executes one change with what has to be done before it and after it. Returns how many rows it changed."""
    for other in before:
        run_sql(conn, other)
    changed = changed_by(conn, statement)
    for other in after:
        run_sql(conn, other)
    return changed


def run_remove(work: Work, chunk: Range) -> tuple[int, int, int]:
    """Takes a chunk's rows back: (rows deleted, source keys freed, rows that should have been there to be deleted)."""
    before, removal, after = past_triggers.remove(work, chunk)
    for other in before:
        run_sql(work.target, other)
    row = run_sql(work.target, removal).fetchone()
    for other in after:
        run_sql(work.target, other)
    assert row is not None
    return row[0], row[1], row[2]


def relation(work: Work, chunk: Range, purpose: Purpose) -> Sql:
    """What to read the chunk's feed from, in the target database. Stages it first where there are two.

    Must be called inside the transaction that reads it: the staging table is emptied at its end.
    """
    if work.plan.same_database:
        return feed_stage.inline(work.table, chunk, purpose)
    stage(work, chunk, purpose)
    return feed_stage.stage_name(work.table, purpose)


def stage(work: Work, chunk: Range, purpose: Purpose) -> None:
    """Streams the feed from the source into the staging table."""
    name = feed_stage.stage_name(work.table, purpose)
    run_sql(work.target, feed_stage.create_stage(work.table, purpose))
    narrowed = chunk.only is not None  # while halving: a few rows, many times
    run_sql(
        work.target,
        compose("DELETE FROM {}", name) if narrowed else compose("TRUNCATE {}", name),
    )
    out = feed_stage.copy_out(work.table, chunk, purpose)
    into = feed_stage.copy_in(work.table, purpose)
    stream(work.source, out, work.target, into)
    if not narrowed:
        run_sql(work.target, compose("ANALYZE {}", name))


def stream(
    reader: psycopg.Connection, out: Sql, writer: psycopg.Connection, into: Sql, *, binary: bool = True
) -> int:
    """One COPY straight into the other, in blocks; of wide rows several, one after the other. Returns how many rows
    went in.

    What fails leaves the reader's session usable, also where somebody else opened a transaction there (a rehearsal).
    """
    rows = 0
    with reader.transaction(), reader.cursor().copy(encoded(out)):
        more, start = True, b""
        while more:
            writes = writer.cursor()
            with _taking(writes, into) as writing:
                writing.write(start)
                more = _write(reader, writing, binary)
                if more:
                    writing.write(END)
            rows += writes.rowcount
            start = HEADER
    return rows


class _GivenUp(Exception):
    """Ends a COPY: psycopg has the server told what an error says, and of more than 10,000 bytes it hangs up."""


@contextmanager
def _taking(writes: psycopg.Cursor, into: Sql) -> Iterator[psycopg.Copy]:
    """A COPY of rows that come from elsewhere; what is raised within comes out of it as it was."""
    failed: Exception | None = None
    with suppress(_GivenUp), writes.copy(encoded(into)) as writing:
        try:
            yield writing
        except Exception as error:
            failed = error
            raise _GivenUp from error
    if failed:
        raise failed


HEADER, END = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
"""Of a binary COPY (PostgreSQL's documentation of COPY, "Binary Format")."""

HELD_ROWS, HELD_BYTES = 1_000, 16 * 1024 * 1024
"""A server holds so many rows of a binary COPY before it writes them, whatever their size: where those would be more
than so many bytes, the COPY ends before."""


def _write(reader: psycopg.Connection, writing: psycopg.Copy, binary: bool) -> bool:
    """Passes blocks on until there are no more (False), or until the server holds enough of them (True)."""
    held_rows = held_bytes = 0
    while not binary or held_bytes < HELD_BYTES:
        block, count, more = reader.wait(_next_block(reader.pgconn))
        writing.write(block)
        if not more:
            return False
        held_rows, held_bytes = held_rows + count, held_bytes + len(block)
        if held_rows >= HELD_ROWS:
            held_rows = held_bytes = 0
    return True


def _next_block(pgconn: PGconn) -> Generator[Wait, Ready | int, tuple[bytes, int, bool]]:
    """Rows that the server sends in a COPY, about a BLOCK of them, how many, and whether there may be more.

    libpq hands out one row at a time. psycopg's Copy.read prepares to wait for each, which costs the client twice
    as much as the rows themselves; here it waits only when nothing has come.
    """
    rows: list[memoryview] = []
    size = 0
    while size < BLOCK:
        count, data = pgconn.get_copy_data(1)
        if count < 0:
            yield from _end(pgconn)
            return b"".join(rows), len(rows), False
        if count == 0:
            yield from _more_input(pgconn)
        else:
            rows.append(data)
            size += count
    return b"".join(rows), len(rows), True


def _more_input(pgconn: PGconn) -> Generator[Wait, Ready | int, None]:
    while not (yield Wait.R):
        continue
    pgconn.consume_input()


def _end(pgconn: PGconn) -> Generator[Wait, Ready | int, None]:
    """The server's last word on a COPY, after which the session is free again. Raises what it complains of."""
    complaint = None
    while True:
        while pgconn.is_busy():
            yield from _more_input(pgconn)
        result = pgconn.get_result()
        if result is None:
            break
        if result.status != ExecStatus.COMMAND_OK:
            complaint = error_from_result(result)
    if complaint:
        raise complaint


def keys_in(work: Work, chunk: Range) -> list[str]:
    """The source keys in scope of a range, as the map writes them, in key order."""
    parts = [(part.sql, part.native) for part in work.table.feed.key]
    conditions = [work.table.feed.where_sql, key_sql.source_range(work.table, chunk)]
    where = joined(" AND ", (part for part in conditions if part))
    order = joined(", ", (part.sql for part in work.table.feed.key))
    text = key_text(parts)
    query = compose(
        "SELECT {text} FROM {from_sql} WHERE {where} ORDER BY {order}",
        text=text, from_sql=work.table.feed.from_sql, where=where, order=order,
    )  # fmt: skip
    return [row[0] for row in run_sql(work.source, query)]
