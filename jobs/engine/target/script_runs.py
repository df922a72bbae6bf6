"""Runs that exported scripts made in a target: how they are recognised, and become a worker's own."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import psycopg

from jobs.engine.sql.walks.chunk_range import Range
from jobs.engine.target import ledger
from mappings.schema import own_schema
from mappings.sql import compose, encoded, ident, verbatim


@dataclass(frozen=True, slots=True)
class ByHand:
    """A run that no worker has touched yet. tables: rows inserted or updated, by table mapping."""

    number: int
    uid: UUID
    sha256: str
    environment: str
    tables: dict[str, int]


@dataclass(frozen=True, slots=True)
class Committed:
    """A chunk as the ledger has it."""

    table: str
    phase: str
    number: int
    range: Range


def uid_of(mapping: str, sha256: str, environment: str, number: int) -> UUID:
    """What exported scripts give a run as its uid (ledger.uid_by_hand says the same in SQL)."""
    text = f"{mapping}:{sha256}:{environment}:{number}"
    return UUID(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest())


def by_hand(conn: psycopg.Connection, mapping: str) -> list[ByHand]:
    """Every such run of a mapping that did something and was not rolled back, the latest first."""
    row = conn.execute(encoded(compose("SELECT {}", own_schema.INSTALLED))).fetchone()
    if not row or not row[0]:
        return []
    result = conn.execute(
        encoded(
            compose(
                "SELECT r.number, r.uid, r.sha256, r.environment, jsonb_object_agg(l.table_name, l.rows)"
                "  FROM migrator.run AS r JOIN (SELECT run, table_name, sum(inserted + updated)::bigint AS rows"
                "  FROM migrator.ledger WHERE phase = 'copy' GROUP BY 1, 2) AS l ON l.run = r.number"
                " WHERE r.mapping = %s AND r.rolled_back_at IS NULL AND r.epoch = 1 AND {by_hand}"
                " GROUP BY r.number ORDER BY r.number DESC",
                by_hand=ledger.by_hand(verbatim("r")),
            )
        ),
        [mapping],
    )
    return [ByHand(*row) for row in result]


def elsewhere(conn: psycopg.Connection, mapping: str, environment: str) -> list[tuple[int, UUID, str]]:
    """(number, uid, environment) of runs that workers did for an environment of another name, and that left rows."""
    row = conn.execute(encoded(compose("SELECT {}", own_schema.INSTALLED))).fetchone()
    if not row or not row[0]:
        return []
    query = compose(
        "SELECT r.number, r.uid, r.environment FROM migrator.run AS r WHERE r.mapping = %s AND r.environment <> %s"
        " AND r.rolled_back_at IS NULL AND NOT ({by_hand})"
        " AND EXISTS (SELECT FROM migrator.ledger AS l WHERE l.run = r.number) ORDER BY r.number",
        by_hand=ledger.by_hand(verbatim("r")),
    )
    return conn.execute(encoded(query), [mapping, environment]).fetchall()


def renumber(conn: psycopg.Connection, old: int, new: int, uid: UUID) -> None:
    """Gives a run another number, wherever the target says the old one; one transaction."""
    with conn.transaction():
        conn.execute("UPDATE migrator.run SET number = %s, uid = %s WHERE number = %s", [new, uid, old])
        for table, column in NUMBERED:
            conn.execute(
                encoded(
                    compose(
                        "UPDATE {table} SET {column} = %s WHERE {column} = %s",
                        table=ident("migrator", table),
                        column=ident(column),
                    )
                ),
                [new, old],
            )


NUMBERED = (
    ("ledger", "run"),
    ("migration_map", "run"),
    ("migration_map", "superseded_by"),
    ("before_image", "run"),
    ("quarantine", "run"),
    ("released", "run"),
    ("released", "released_by"),
    ("schema_step", "run"),
)


def committed(conn: psycopg.Connection, run: int, tables: Sequence[str]) -> list[Committed]:
    """The chunks of a run that are in the ledger."""
    rows = conn.execute(
        "SELECT table_name, phase, chunk, low, high FROM migrator.ledger"
        " WHERE run = %s AND table_name = ANY (%s) ORDER BY table_name, phase, chunk",
        [run, list(tables)],
    )
    return [
        Committed(table, phase, number, Range(tuple(low) if low else None, tuple(high) if high else None))
        for table, phase, number, low, high in rows
    ]
