"""All that hangs on a column and would go with it, read from the catalog in the words in which it is made again.

Read with an empty search_path, by which every name in a definition is qualified, wherever it is executed later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import psycopg
from psycopg.rows import class_row, dict_row

from mappings.catalog import tables
from mappings.catalog.column_dependent_queries import BOUND, COLUMN, IDENTITY, STATISTICS
from mappings.catalog.views import Grant
from mappings.sql import Sql, encoded

Kind = Literal["index", "check", "foreign key", "foreign key of another"]


@dataclass(frozen=True, slots=True)
class Bound:
    """An index or a constraint over the column.

    relation: the table it belongs to, quoted; definition: of an index what follows USING, of a foreign key what
    follows its lists of columns, which are printed with commas as parent is quoted; constraint: PRIMARY KEY or UNIQUE,
    deferral: what is said of it behind USING INDEX, both of an index that belongs to one; valid: it holds for all
    rows; clustered: the table was sorted by it; problem: why it cannot be made again beside itself, '' if it can.
    """

    kind: Kind
    relation: Sql
    name: str
    definition: Sql
    columns: Sql
    parent: Sql
    parent_columns: Sql
    is_unique: bool
    constraint: Sql
    deferral: Sql
    valid: bool
    clustered: bool
    comment: str | None
    index_comment: str | None
    problem: str


@dataclass(frozen=True, slots=True)
class Statistics:
    """Extended statistics over the column. name: quoted, with its schema; owner: quoted."""

    name: Sql
    definition: Sql
    target: int | None
    comment: str | None
    owner: Sql
    problem: str


@dataclass(frozen=True, slots=True)
class Identity:
    """The sequence of an identity column. name: quoted; bare: without its schema; options: as SQL, without its type;
    problem: what else rests on it, '' for nothing."""

    name: Sql
    schema: Sql
    bare: str
    always: bool
    cycles: bool
    options: Sql
    comment: str | None
    problem: str
    grants: tuple[Grant, ...]


@dataclass(frozen=True, slots=True)
class ColumnDependents:
    """One column with what hangs on it. printed: its name as definitions have it; settings: ALTER COLUMN clauses that
    bring its options back; silenced: triggers of the table would fire for every row that is filled, and this role may
    keep them still; problems: sentences that stand against another column in its place."""

    printed: Sql
    default: Sql | None
    comment: str | None
    settings: tuple[Sql, ...]
    grants: tuple[Grant, ...]
    not_null: bool
    not_null_name: str
    identity: Identity | None
    bound: tuple[Bound, ...]
    statistics: tuple[Statistics, ...]
    silenced: bool
    problems: tuple[str, ...]

    def of(self, *kinds: Kind) -> tuple[Bound, ...]:
        """The indexes and constraints of these kinds."""
        return tuple(one for one in self.bound if one.kind in kinds)


def read(conn: psycopg.Connection, target: tables.Table, column: str) -> ColumnDependents:
    """What hangs on a column of the target."""
    values = [target.oid, column]
    with conn.transaction(), psycopg.RawCursor(conn, row_factory=dict_row) as cursor:
        path: Any = cursor.execute("SELECT current_setting('search_path') AS value").fetchone()
        cursor.execute("SELECT set_config('search_path', '', true)")
        facts: Any = cursor.execute(encoded(COLUMN), values).fetchone()
        identity = cursor.execute(encoded(IDENTITY), values).fetchone()
        with psycopg.RawCursor(conn, row_factory=class_row(Bound)) as bounds:
            bound = tuple(bounds.execute(encoded(BOUND), values).fetchall())
        with psycopg.RawCursor(conn, row_factory=class_row(Statistics)) as more:
            statistics = tuple(more.execute(encoded(STATISTICS), values).fetchall())
        cursor.execute("SELECT set_config('search_path', $1, true)", [path["value"]])
    may_silence, on_update = facts.pop("may_silence"), facts.pop("on_update")
    of_parts = [*(one.problem for one in bound), *(one.problem for one in statistics)]
    made = _identity(identity)
    problems = [*facts.pop("problems"), *filter(None, [*of_parts, made.problem if made else ""])]
    if on_update and not may_silence:
        problems.append(
            f"trigger {on_update[0]} fires for every update, and this role may not SET session_replication_role to"
            " keep it still"
        )
    grants = tuple(Grant(*one) for one in facts.pop("grants"))
    if not all(one.by_owner for one in (*grants, *(made.grants if made else ()))):
        problems.append("someone else than the table's owner granted rights on it")
    return ColumnDependents(
        printed=facts["printed"],
        default=facts["default"],
        comment=facts["comment"],
        settings=tuple(facts["settings"]),
        grants=grants,
        not_null=facts["not_null"],
        not_null_name=facts["not_null_name"],
        identity=made,
        bound=bound,
        statistics=statistics,
        silenced=bool(on_update),
        problems=tuple(problems),
    )


def _identity(result: dict[str, Any] | None) -> Identity | None:
    if result is None:
        return None
    return Identity(**{**result, "grants": tuple(Grant(*one) for one in result["grants"])})
