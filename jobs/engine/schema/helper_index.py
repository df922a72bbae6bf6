"""Indexes for the time of a rollback, on columns that refer to its rows and that no index leads to.

They are known by their names, which say of which run they are, so that whoever comes after a crash finds them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psycopg

from jobs.engine.errors import StepFailed
from jobs.engine.feed import run_sql
from jobs.engine.schema.lock_retry import lock_timeout, patiently
from mappings.catalog import unindexed_keys
from mappings.catalog.unindexed_keys import WORTH_PAGES, Part, UnindexedKey
from mappings.plan.schema_steps import Step
from mappings.schema.kinds import indexes
from mappings.sql import Sql, compose, encoded, ident, joined, literal, printed, verbatim

PREFIX = verbatim("migrator_rollback_")

TRIES = 2
LOCK_MS = 20_000
"""How long a build may wait for transactions that are older than it; nobody but the rollback waits for it."""

LEFT = compose(
    """
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'i' AND c.relname ~ '^{prefix}[0-9]+_[0-9a-f]{{10}}$' AND NOT n.nspname ~ '^pg_'
   AND EXISTS (SELECT FROM migrator.run AS r WHERE r.mapping = %s
                  AND r.number::text = split_part(c.relname, '_', 3) AND (%s::bigint IS NULL OR r.number = %s))
 ORDER BY 1
""",
    prefix=PREFIX,
)
"""Those of a mapping's rollbacks, or of the rollback of one run."""

Wait = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Needed:
    """A foreign key without an index, and how many pages are read where that many rows are deleted without one."""

    key: UnindexedKey
    rows: int
    reads: int


def needed(conn: psycopg.Connection, deleted: Mapping[str, int]) -> list[Needed]:
    """The foreign keys that would make a rollback slow. deleted: how many rows of each target (SQL name) go."""
    result = unindexed_keys.onto(conn, [target for target, rows in deleted.items() if rows])
    each = (Needed(key, deleted[key.parent], key.reads(deleted[key.parent])) for key in result)
    return [one for one in each if one.reads >= WORTH_PAGES]


def build(conn: psycopg.Connection, run: int, parts: Iterable[Part], wait: Wait) -> list[str]:
    """Builds what is not there yet, while others write. Returns why some of it could not be had, as sentences.

    Without an index the rollback is slow, and not wrong.
    """
    against = []
    for part in dict.fromkeys(parts):
        if not part.may_index:
            against.append(f"this role may not build an index on {part.display}")
            continue
        try:
            _build(conn, run, part, wait)
        except StepFailed as error:
            against.append(str(error))
            with suppress(StepFailed):  # else it goes with the others, at the end
                drop(conn, _named(run, part), wait)
    return against


def _build(conn: psycopg.Connection, run: int, part: Part, wait: Wait) -> None:
    columns = joined(", ", (ident(column) for column in part.columns))
    build = compose(
        "CREATE INDEX CONCURRENTLY {bare_name} ON {part} ({columns}) WHERE {columns2} IS NOT NULL",
        bare_name=ident(_bare_name(run, part)), part=part.sql, columns=columns,
        columns2=ident(part.columns[0]),
    )  # fmt: skip

    def change() -> None:
        with lock_timeout(conn, LOCK_MS):
            standing = _is_valid(conn, _named(run, part))
            if standing is False:  # the worker or the server died over it
                run_sql(conn, compose("DROP INDEX CONCURRENTLY IF EXISTS {}", _named(run, part)))
            if not standing:
                run_sql(conn, build)

    patiently(conn, f"Index {part.display} for the time of the rollback", change, wait, TRIES)


def _is_valid(conn: psycopg.Connection, name: str) -> bool | None:
    """Whether the index stands; None where there is none."""
    statement = compose(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass({name})", name=literal(name)
    )
    row = run_sql(conn, statement).fetchone()
    return bool(row[0]) if row else None


def _bare_name(run: int, part: Part) -> str:
    digest = hashlib.sha256(" ".join((part.sql, *part.columns)).encode()).hexdigest()[:10]
    return f"{PREFIX}{run}_{digest}"


def _named(run: int, part: Part) -> Sql:
    return ident(part.schema, _bare_name(run, part))


def left(conn: psycopg.Connection, mapping: str, run: int | None = None) -> list[Sql]:
    """What stands of them, as SQL names: of all of a mapping's rollbacks, or of the one of a run."""
    return [printed(name) for (name,) in conn.execute(encoded(LEFT), [mapping, run, run])]


def of_link(conn: psycopg.Connection, step: Step, columns: Sequence[str]) -> Part | None:
    """What to build where the index of a link was to come after a copy that did not come to its end.

    step: the one that builds the link's own; columns: of the link. None where that one stands.
    """
    standing = indexes.find(conn, step)
    return None if standing and standing.valid else unindexed_keys.part(conn, step.relation, columns)


def drop(conn: psycopg.Connection, name: Sql, wait: Wait) -> None:
    """Takes one away, valid or not. StepFailed where somebody holds it."""

    def change() -> None:
        with lock_timeout(conn, LOCK_MS):
            run_sql(conn, compose("DROP INDEX CONCURRENTLY IF EXISTS {}", name))

    patiently(conn, f"Drop the index {name}, which was for the time of a rollback", change, wait)
