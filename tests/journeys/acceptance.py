"""Nothing lost, nothing doubled: source and target held against each other by plain SQL, without the product.

Both sides are read whole and compared as multisets; the map is compared with what the rows themselves say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg

Row = tuple[object, ...]
MOST_SHOWN = 3


@dataclass(frozen=True)
class Promise:
    """What one table mapping should have brought.

    source_rows: a query of (source key as text, values...), each row that is meant, once.
    target_rows: a query of (source key as text, target key as text, the same values...) of every row that came;
    the source key is read off the row itself, never from the map.
    """

    mapping: str
    table: str
    source_rows: str
    target_rows: str
    has_map: bool = True


def broken(source: str, target: str, promise: Promise) -> list[str]:
    """A sentence for each way in which the promise does not hold; empty if it does. URLs of the two databases."""
    with psycopg.connect(source) as there, psycopg.connect(target) as here:
        meant = Counter(_rows(there, promise.source_rows))
        came = _rows(here, promise.target_rows)
        mapped = Counter(_map_rows(here, promise)) if promise.has_map else Counter()
    arrived = Counter((row[0], *row[2:]) for row in came)
    pairs = Counter(row[:2] for row in came)
    return [
        *_named("lost", meant - arrived),
        *_named("doubled or not meant", arrived - meant),
        *_named("several rows for one source key", _repeated(row[0] for row in came)),
        *(_named("missing in the map", pairs - mapped) if promise.has_map else []),
        *_named("in the map, but not in the target", mapped - pairs),
    ]


def _rows(conn: psycopg.Connection, query: str) -> list[Row]:
    return conn.execute(query.encode()).fetchall()


def _map_rows(conn: psycopg.Connection, promise: Promise) -> list[Row]:
    return conn.execute(
        "SELECT source_key, target_key FROM migrator.migration_map WHERE mapping = %s AND table_name = %s",
        [promise.mapping, promise.table],
    ).fetchall()


def _repeated(keys: Iterator[object]) -> Counter[Row]:
    return Counter({(key,): count for key, count in Counter(keys).items() if count > 1})


def _named(what: str, rows: Counter[Row]) -> list[str]:
    if not rows:
        return []
    shown = ", ".join(map(repr, sorted(rows, key=repr)[:MOST_SHOWN]))
    return [f"{rows.total()} {what}: {shown}"]
