"""Statements that take a table's fingerprint: its rows as one digest, its definitions, where its sequences stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.engine.sql import digest
from jobs.engine.sql.digest import Images
from jobs.engine.sql.key_sql import RunNumber
from jobs.engine.sql.remove import xids
from mappings.sql import ident, literal


@dataclass(frozen=True, slots=True)
class Column:
    """A column whose values are digested: its name, its type without modifier, and whether by their texts, because
    PostgreSQL does not send every value of that type in binary."""

    name: str
    type: str
    as_text: bool


def columns(target_sql: str) -> str:
    """(name, type, as text) of each column, by name: their order in the table says nothing."""
    return (
        "SELECT a.attname::text, quote_ident(n.nspname) || '.' || quote_ident(t.typname),\n"
        "       p.typsend::oid = 0 OR p.typtype = 'c' OR EXISTS (SELECT FROM pg_type AS b WHERE b.oid = p.typbasetype"
        " AND b.typtype = 'c')\n"
        "  FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid\n"
        "  JOIN pg_namespace AS n ON n.oid = t.typnamespace\n"
        "  JOIN pg_type AS p ON p.oid = CASE WHEN t.typcategory = 'A' AND t.typelem <> 0 THEN t.typelem\n"
        "                                    ELSE t.oid END\n"
        f" WHERE a.attrelid = to_regclass({literal(target_sql)}) AND a.attnum > 0 AND NOT a.attisdropped\n"
        ' ORDER BY a.attname COLLATE "C"'
    )


def rows(
    target_sql: str, was: Sequence[Column], now: Mapping[str, Column], version: int, some: str = "true"
) -> str:
    """The digest (sql.digest) of the rows `t` in the columns `was`. now: how those are in the table by now: what is of
    another type meanwhile is read as of the former one; some: which rows."""
    images = tuple(_image(column, now[column.name]) for column in was)
    return digest.digest_of(Images(images or ("NULL",), "true", f"{target_sql} AS t WHERE {some}"), version)


def _image(was: Column, now: Column) -> str:
    value = f"t.{ident(was.name)}"
    if now.type != was.type:
        value = f"{value}::{was.type}"
    return f"{value}::text" if was.as_text else value


ESTIMATE = "SELECT CASE WHEN c.reltuples >= 0 THEN c.reltuples ELSE pg_table_size(c.oid) / 100 END::bigint"
"""About how many rows, of a row `c` of pg_class; before the first ANALYZE by the size."""


def estimate(target_sql: str) -> str:
    """About how many rows a table has, its partitions' included, without reading it."""
    parts = (
        f"SELECT to_regclass({literal(target_sql)})::oid"
        f" UNION SELECT relid::oid FROM pg_partition_tree(to_regclass({literal(target_sql)}))"
    )
    return f"SELECT coalesce(sum(greatest(({ESTIMATE}), 0)), 0)::bigint FROM pg_class AS c WHERE c.oid IN ({parts})"


def count(target_sql: str) -> str:
    return f"SELECT count(*) FROM {target_sql}"


NOW = "SELECT pg_current_snapshot()::text, current_setting('server_version_num')::int"
"""Which transactions have ended by now, and the server's version."""

SINCE = (
    "SELECT (pg_snapshot_xmax({0})::text::numeric % 4294967296)::bigint::text,\n"
    "       ARRAY(SELECT (x::text::numeric % 4294967296)::bigint::text FROM pg_snapshot_xip({0}) AS x),\n"
    "       pg_snapshot_xmax(pg_current_snapshot())::text::numeric - pg_snapshot_xmax({0})::text::numeric\n"
    "         BETWEEN 0 AND 2147000000"
)


def since(snapshot: str) -> str:
    """(the first transaction that began after a snapshot, those that were under way, whether rows can still be told
    by them: a row carries 32 bits of its writer's number)."""
    return SINCE.format(f"{literal(snapshot)}::pg_snapshot")


KNOWN = "SELECT DISTINCT writer FROM migrator.ledger UNION SELECT xmin::text FROM migrator.schema_step"
"""The transactions in which this product wrote rows or rewrote tables."""


def of_other_runs(run: RunNumber) -> str:
    """The transactions in which runs but this one wrote rows."""
    return f"SELECT DISTINCT writer FROM migrator.ledger WHERE run <> {run}"


def of_leaving(run: RunNumber) -> str:
    """The transactions in which the rollback let go of rows that it was told to leave."""
    return f"SELECT DISTINCT writer FROM migrator.ledger WHERE run = {run} AND phase = 'leave'"


@dataclass(frozen=True, slots=True)
class Since:
    """By what to tell a row `t` that was written since: the first transaction after a snapshot, those that were under
    way, and of all of them the `known` ones, in which this product wrote."""

    first: str
    under_way: tuple[str, ...]
    known: tuple[str, ...]

    @property
    def written(self) -> str:
        later = f"age(t.xmin) BETWEEN -1000000 AND age({literal(self.first)}::xid)"
        return f"({later} OR t.xmin = ANY ({xids(self.under_way)}))" if self.under_way else later

    @property
    def by_strangers(self) -> str:
        return f"t.xmin <> ALL ({xids(self.known)})"


def written_since(target_sql: str, since: Since, others: Sequence[str]) -> str:
    """(rows that transactions of `others` wrote since, rows that none of the known did)."""
    return (
        f"SELECT count(*) FILTER (WHERE t.xmin = ANY ({xids(others)})),\n"
        f"       count(*) FILTER (WHERE {since.by_strangers})\n  FROM {target_sql} AS t WHERE {since.written}"
    )


def apart(since: Since, others: Sequence[str]) -> str:
    """Which rows `t` none of these wrote since: what was there, and what was put back."""
    return f"NOT ({since.written} AND ({since.by_strangers} OR t.xmin = ANY ({xids(others)})))"


def facts(target_sql: str) -> str:
    """(kind, name, definition, columns that it is on) of a table's columns, indexes, constraints and triggers, in a
    stable order."""
    table = f"to_regclass({literal(target_sql)})"
    on = "ARRAY(SELECT a.attname::text FROM pg_attribute AS a WHERE a.attrelid = {} AND a.attnum = ANY ({}::int2[]))"
    return (
        "SELECT kind, name, definition, of FROM (\n"
        "SELECT 'column' AS kind, a.attname::text AS name, concat_ws(' ', format_type(a.atttypid, a.atttypmod),\n"
        "       CASE WHEN a.attcollation <> t.typcollation THEN 'COLLATE ' || a.attcollation::regcollation END,\n"
        "       CASE WHEN a.attnotnull THEN 'NOT NULL' END,\n"
        "       CASE WHEN a.attgenerated <> '' THEN 'GENERATED' WHEN d.oid IS NOT NULL THEN 'DEFAULT' END,\n"
        "       pg_get_expr(d.adbin, d.adrelid), CASE a.attidentity WHEN 'a' THEN 'GENERATED ALWAYS AS IDENTITY'\n"
        "       WHEN 'd' THEN 'GENERATED BY DEFAULT AS IDENTITY' END) AS definition, '{}'::text[] AS of\n"
        "  FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid\n"
        "  LEFT JOIN pg_attrdef AS d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)\n"
        f" WHERE a.attrelid = {table} AND a.attnum > 0 AND NOT a.attisdropped\n"
        "UNION ALL SELECT 'index', c.relname::text, pg_get_indexdef(i.indexrelid)\n"
        f"       || CASE WHEN i.indisvalid THEN '' ELSE ' INVALID' END, {on.format('i.indrelid', 'i.indkey')}\n"
        f"  FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid WHERE i.indrelid = {table}\n"
        "UNION ALL SELECT 'constraint', k.conname::text, pg_get_constraintdef(k.oid),"
        f" {on.format('k.conrelid', 'k.conkey')}\n  FROM pg_constraint AS k WHERE k.conrelid = {table}\n"
        "UNION ALL SELECT 'trigger', g.tgname::text, pg_get_triggerdef(g.oid) || CASE g.tgenabled WHEN 'O' THEN ''\n"
        "       WHEN 'D' THEN ' DISABLED' WHEN 'A' THEN ' ALWAYS' ELSE ' REPLICA' END, '{}'\n"
        f"  FROM pg_trigger AS g WHERE g.tgrelid = {table} AND NOT g.tgisinternal\n"
        ') AS x ORDER BY kind COLLATE "C", name COLLATE "C"'
    )


def sequences(target_sql: str) -> str:
    """(name, last number handed out or NULL, definition) of the sequences that a table owns or its defaults ask."""
    table = f"to_regclass({literal(target_sql)})"
    readable = "has_sequence_privilege(s.oid, 'USAGE, SELECT')"
    return (
        f"SELECT s.oid::regclass::text, CASE WHEN {readable} THEN pg_sequence_last_value(s.oid) END,\n"
        "       concat_ws(' ', format_type(q.seqtypid, NULL), 'START', q.seqstart, 'INCREMENT', q.seqincrement,"
        " 'MINVALUE', q.seqmin, 'MAXVALUE', q.seqmax, 'CACHE', q.seqcache, CASE WHEN q.seqcycle THEN 'CYCLE' END)\n"
        "  FROM pg_class AS s JOIN pg_sequence AS q ON q.seqrelid = s.oid WHERE s.relkind = 'S' AND s.oid IN (\n"
        "SELECT d.objid FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')\n"
        f"   AND (d.refclassid, d.refobjid) = ('pg_class'::regclass, {table})\n"
        "UNION SELECT d.refobjid FROM pg_depend AS d JOIN pg_attrdef AS f ON f.oid = d.objid\n"
        f" WHERE (d.classid, d.refclassid) = ('pg_attrdef'::regclass, 'pg_class'::regclass) AND f.adrelid = {table}\n"
        ") ORDER BY 1"
    )
