"""Statements that take a table's fingerprint: its rows as one digest, its definitions, where its sequences stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.engine.scope import RunNumber
from jobs.engine.sql import digest
from jobs.engine.sql.digest import Images
from jobs.engine.sql.remove import xids
from mappings.sql import Sql, compose, ident, literal, verbatim


@dataclass(frozen=True, slots=True)
class Column:
    """A column whose values are digested: its name, its type without modifier, and whether by their texts, because
    PostgreSQL does not send every value of that type in binary."""

    name: str
    type: Sql
    as_text: bool


def columns(target_sql: Sql) -> Sql:
    """(name, type, as text) of each column, by name: their order in the table says nothing."""
    return compose(
        "SELECT a.attname::text, quote_ident(n.nspname) || '.' || quote_ident(t.typname),\n"
        "       p.typsend::oid = 0 OR p.typtype = 'c' OR EXISTS (SELECT FROM pg_type AS b WHERE b.oid = p.typbasetype"
        " AND b.typtype = 'c')\n"
        "  FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid\n"
        "  JOIN pg_namespace AS n ON n.oid = t.typnamespace\n"
        "  JOIN pg_type AS p ON p.oid = CASE WHEN t.typcategory = 'A' AND t.typelem <> 0 THEN t.typelem\n"
        "                                    ELSE t.oid END\n"
        " WHERE a.attrelid = to_regclass({target_sql}) AND a.attnum > 0 AND NOT a.attisdropped\n"
        ' ORDER BY a.attname COLLATE "C"',
        target_sql=literal(target_sql),
    )


def rows(
    target_sql: Sql,
    was: Sequence[Column],
    now: Mapping[str, Column],
    version: int,
    some: Sql = verbatim("true"),
) -> Sql:
    """The digest (sql.digest) of the rows `t` in the columns `was`. now: how those are in the table by now: what is of
    another type meanwhile is read as of the former one; some: which rows."""
    images = tuple(_image(column, now[column.name]) for column in was)
    return digest.digest_of(
        Images(
            images or (verbatim("NULL"),),
            verbatim("true"),
            compose("{} AS t WHERE {}", target_sql, some),
        ),
        version,
    )


def _image(was: Column, now: Column) -> Sql:
    value = compose("t.{}", ident(was.name))
    if now.type != was.type:
        value = compose("{}::{}", value, was.type)
    return compose("{}::text", value) if was.as_text else value


ESTIMATE = verbatim(
    "SELECT CASE WHEN c.reltuples >= 0 THEN c.reltuples ELSE pg_table_size(c.oid) / 100 END::bigint"
)
"""About how many rows, of a row `c` of pg_class; before the first ANALYZE by the size."""


def estimate(target_sql: Sql) -> Sql:
    """About how many rows a table has, its partitions' included, without reading it."""
    parts = compose(
        "SELECT to_regclass({target_sql})::oid"
        " UNION SELECT relid::oid FROM pg_partition_tree(to_regclass({target_sql}))",
        target_sql=literal(target_sql),
    )
    return compose(
        "SELECT coalesce(sum(greatest(({estimate}), 0)), 0)::bigint FROM pg_class AS c WHERE c.oid IN ({parts})",
        estimate=ESTIMATE,
        parts=parts,
    )


def count(target_sql: Sql) -> Sql:
    return compose("SELECT count(*) FROM {}", target_sql)


NOW = verbatim("SELECT pg_current_snapshot()::text, current_setting('server_version_num')::int")
"""Which transactions have ended by now, and the server's version."""

SINCE = (
    "SELECT (pg_snapshot_xmax({0})::text::numeric % 4294967296)::bigint::text,\n"
    "       ARRAY(SELECT (x::text::numeric % 4294967296)::bigint::text FROM pg_snapshot_xip({0}) AS x),\n"
    "       pg_snapshot_xmax(pg_current_snapshot())::text::numeric - pg_snapshot_xmax({0})::text::numeric\n"
    "         BETWEEN 0 AND 2147000000"
)


def since(snapshot: str) -> Sql:
    """(the first transaction that began after a snapshot, those that were under way, whether rows can still be told
    by them: a row carries 32 bits of its writer's number)."""
    return compose(SINCE, compose("{}::pg_snapshot", literal(snapshot)))


KNOWN = verbatim(
    "SELECT DISTINCT writer FROM migrator.ledger UNION SELECT xmin::text FROM migrator.schema_step"
)
"""The transactions in which this product wrote rows or rewrote tables."""


def of_other_runs(run: RunNumber) -> Sql:
    """The transactions in which runs but this one wrote rows."""
    return compose("SELECT DISTINCT writer FROM migrator.ledger WHERE run <> {}", run)


def of_leaving(run: RunNumber) -> Sql:
    """The transactions in which the rollback let go of rows that it was told to leave."""
    return compose(
        "SELECT DISTINCT writer FROM migrator.ledger WHERE run = {run} AND phase = 'leave'", run=run
    )


@dataclass(frozen=True, slots=True)
class Since:
    """By what to tell a row `t` that was written since: the first transaction after a snapshot, those that were under
    way, and of all of them the `known` ones, in which this product wrote."""

    first: str
    under_way: tuple[str, ...]
    known: tuple[str, ...]

    @property
    def written(self) -> Sql:
        later = compose("age(t.xmin) BETWEEN -1000000 AND age({}::xid)", literal(self.first))
        if not self.under_way:
            return later
        return compose("({} OR t.xmin = ANY ({}))", later, xids(self.under_way))

    @property
    def by_strangers(self) -> Sql:
        return compose("t.xmin <> ALL ({})", xids(self.known))


def written_since(target_sql: Sql, since: Since, others: Sequence[str]) -> Sql:
    """(rows that transactions of `others` wrote since, rows that none of the known did)."""
    return compose(
        "SELECT count(*) FILTER (WHERE t.xmin = ANY ({xids})),\n"
        "       count(*) FILTER (WHERE {by_strangers})\n  FROM {target_sql} AS t WHERE {written}",
        xids=xids(others), by_strangers=since.by_strangers, target_sql=target_sql, written=since.written,
    )  # fmt: skip


def apart(since: Since, others: Sequence[str]) -> Sql:
    """Which rows `t` none of these wrote since: what was there, and what was put back."""
    return compose("NOT ({} AND ({} OR t.xmin = ANY ({})))", since.written, since.by_strangers, xids(others))


ON = "ARRAY(SELECT a.attname::text FROM pg_attribute AS a WHERE a.attrelid = {} AND a.attnum = ANY ({}::int2[]))"


def facts(target_sql: str) -> Sql:
    """(kind, name, definition, columns that it is on) of a table's columns, indexes, constraints and triggers, in a
    stable order."""
    table = compose("to_regclass({})", literal(target_sql))
    return compose(
        "SELECT kind, name, definition, of FROM (\n"
        "SELECT 'column' AS kind, a.attname::text AS name, concat_ws(' ', format_type(a.atttypid, a.atttypmod),\n"
        "       CASE WHEN a.attcollation <> t.typcollation THEN 'COLLATE ' || a.attcollation::regcollation END,\n"
        "       CASE WHEN a.attnotnull THEN 'NOT NULL' END,\n"
        "       CASE WHEN a.attgenerated <> '' THEN 'GENERATED' WHEN d.oid IS NOT NULL THEN 'DEFAULT' END,\n"
        "       pg_get_expr(d.adbin, d.adrelid), CASE a.attidentity WHEN 'a' THEN 'GENERATED ALWAYS AS IDENTITY'\n"
        "       WHEN 'd' THEN 'GENERATED BY DEFAULT AS IDENTITY' END) AS definition, '{{}}'::text[] AS of\n"
        "  FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid\n"
        "  LEFT JOIN pg_attrdef AS d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)\n"
        " WHERE a.attrelid = {table} AND a.attnum > 0 AND NOT a.attisdropped\n"
        "UNION ALL SELECT 'index', c.relname::text, pg_get_indexdef(i.indexrelid)\n"
        "       || CASE WHEN i.indisvalid THEN '' ELSE ' INVALID' END, {format}\n"
        "  FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid WHERE i.indrelid = {table}\n"
        "UNION ALL SELECT 'constraint', k.conname::text, pg_get_constraintdef(k.oid),"
        " {format2}\n  FROM pg_constraint AS k WHERE k.conrelid = {table}\n"
        "UNION ALL SELECT 'trigger', g.tgname::text, pg_get_triggerdef(g.oid) || CASE g.tgenabled WHEN 'O' THEN ''\n"
        "       WHEN 'D' THEN ' DISABLED' WHEN 'A' THEN ' ALWAYS' ELSE ' REPLICA' END, '{{}}'\n"
        "  FROM pg_trigger AS g WHERE g.tgrelid = {table} AND NOT g.tgisinternal\n"
        ') AS x ORDER BY kind COLLATE "C", name COLLATE "C"',
        table=table, format=compose(ON, verbatim("i.indrelid"), verbatim("i.indkey")),
        format2=compose(ON, verbatim("k.conrelid"), verbatim("k.conkey")),
    )  # fmt: skip


def sequences(target_sql: str) -> Sql:
    """(name, last number handed out or NULL, definition) of the sequences that a table owns or its defaults ask."""
    table = compose("to_regclass({})", literal(target_sql))
    readable = verbatim("has_sequence_privilege(s.oid, 'USAGE, SELECT')")
    return compose(
        "SELECT s.oid::regclass::text, CASE WHEN {readable} THEN pg_sequence_last_value(s.oid) END,\n"
        "       concat_ws(' ', format_type(q.seqtypid, NULL), 'START', q.seqstart, 'INCREMENT', q.seqincrement,"
        " 'MINVALUE', q.seqmin, 'MAXVALUE', q.seqmax, 'CACHE', q.seqcache, CASE WHEN q.seqcycle THEN 'CYCLE' END)\n"
        "  FROM pg_class AS s JOIN pg_sequence AS q ON q.seqrelid = s.oid WHERE s.relkind = 'S' AND s.oid IN (\n"
        "SELECT d.objid FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')\n"
        "   AND (d.refclassid, d.refobjid) = ('pg_class'::regclass, {table})\n"
        "UNION SELECT d.refobjid FROM pg_depend AS d JOIN pg_attrdef AS f ON f.oid = d.objid\n"
        " WHERE (d.classid, d.refclassid) = ('pg_attrdef'::regclass, 'pg_class'::regclass) AND f.adrelid = {table}\n"
        ") ORDER BY 1",
        readable=readable,
        table=table,
    )
