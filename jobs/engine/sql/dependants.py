"""Statements that count what ties a run's rows to others: who changed them since, which rows point to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from jobs.engine.sql import key_sql
from jobs.engine.sql.key_sql import MAP, Range, RunNumber
from jobs.engine.sql.remove import owned, xids
from mappings.compiling.projection import key_text
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import ident, literal

WHOLE = Range()


def writers(plan: Plan) -> str:
    """All transactions of the mapping's runs, as rows carry them (PostgreSQL: xmin)."""
    return (
        "SELECT DISTINCT l.writer FROM migrator.ledger l JOIN migrator.run r ON r.number = l.run"
        f" WHERE r.mapping = {literal(plan.mapping)}"
    )


def written_by_others(table: TablePlan, known: Sequence[str]) -> str:
    """How many target rows with a source id were last written by other transactions than the `known` ones.

    Constants are hashed, which takes a third of the time that a subquery takes; to count can be divided among
    processes, which to look for the first one is not.
    """
    first = f"t.{ident(table.link.source_id[0])}"
    others = f"{first} IS NOT NULL AND t.xmin <> ALL ({xids(known)})"
    return f"SELECT count(*) FROM {table.into.target_sql} AS t WHERE {others}"


def changed(plan: Plan, table: TablePlan, run: RunNumber, fresh: bool, most: int) -> str:
    """Rows of a run that someone changed since: their last writer is none of the run's own transactions.

    Returns (how many, up to `most` source keys). The ledger lists the transactions (PostgreSQL: xmin).
    """
    key = "m.source_key" if table.link.keep_map else key_sql.source_id_text(table, "t")
    own = f"SELECT l.writer FROM migrator.ledger l WHERE l.run = {run}"  # of all tables: they may share a target
    source = owned(plan, table, run, fresh, Range(), ("inserted", "updated"))
    rows = f"SELECT {key} AS key, t.xmin::text AS writer FROM {source}"
    return f"SELECT count(*), (array_agg(key))[1:{most}] FROM (\n{rows}\n) AS x WHERE writer NOT IN ({own})"


class Child(NamedTuple):
    """A foreign key onto a target: the table that has it, its (child column, parent column) names.

    operators: the schemas of those by which the key compares; falls: its rows are deleted with their parents, and no
    table points to it. Those that triggers of the target made in the run's own transactions then go with a rollback
    as they came.
    """

    table: str
    pairs: list[tuple[str, str]]
    operators: list[str]
    falls: bool


FALLS = (
    "k.confdeltype = 'c'"
    " AND NOT EXISTS (SELECT FROM pg_constraint f WHERE f.contype = 'f' AND f.confrelid = k.conrelid)"
)
"""Child.falls, of a row `k` of pg_constraint."""


def dependants(
    plan: Plan,
    table: TablePlan,
    run: RunNumber,
    fresh: bool,
    *,
    child: Child,
    brings: list[str],
    own: list[str],
) -> str:
    """How many rows of a child table point to a run's rows through one foreign key, without the run's own rows.

    brings: the table mappings that fill the child; own: conditions on the child row `c`, any of which tells the
    run's rows. Most are told by their writer, without asking those.
    """
    told = [f"c.xmin NOT IN ({written(run, None if child.falls else brings)})"] if own or child.falls else []
    told += [f"NOT ({' OR '.join(own)})"] if own else []
    rows = owned(plan, table, run, fresh, Range())
    return f"{_pointing(child, rows)}{' WHERE ' if told else ''}{' AND '.join(told)}"


def written(run: RunNumber, brings: list[str] | None = None) -> str:
    """The transactions of a run; brings: only those of these table mappings."""
    some = "" if brings is None else f" AND l.table_name = ANY ({key_sql.texts(brings)})"
    return f"SELECT l.writer::xid FROM migrator.ledger AS l WHERE l.run = {run}{some}"


def _pointing(child: Child, rows: str) -> str:
    """How many rows `c` of a child table point to these rows `t`; conditions on `c` may follow."""
    on = key_sql.equal(
        [f"p.{ident(b)}" for _, b in child.pairs], [f"c.{ident(a)}" for a, _ in child.pairs], child.operators
    )
    parents = ", ".join(f"t.{ident(b)}" for _, b in child.pairs)
    return f"SELECT count(*) FROM {child.table} AS c JOIN (\nSELECT {parents} FROM {rows}\n) AS p ON {on}"


def hung_on(
    plan: Plan,
    table: TablePlan,
    run: RunNumber,
    fresh: bool,
    chunk: Range,
    *,
    child: Child,
) -> str:
    """How many rows of a child table point to these of a run's rows, without these themselves."""
    themselves = ""
    if child.table == table.into.target_sql:
        themselves = f" WHERE NOT {is_own(plan, table, run, fresh, chunk)}"
    return f"{_pointing(child, owned(plan, table, run, fresh, chunk))}{themselves}"


def is_own(plan: Plan, table: TablePlan, run: RunNumber, fresh: bool, chunk: Range = WHOLE) -> str:
    """Whether the row `c` of this table's target is one that the run inserted, or updated and will restore."""
    names, operators = [part.column for part in table.into.target_key], key_sql.target_operators(table)
    if not names:
        names, operators = list(table.link.source_id), key_sql.kept_operators(table)
    same = key_sql.equal(
        [f"c.{ident(name)}" for name in names], [f"t.{ident(name)}" for name in names], operators
    )
    rows = owned(plan, table, run, fresh, chunk, ("inserted", "updated"))
    return f"EXISTS (SELECT FROM {rows} AND {same})"


def is_back_reference(plan: Plan, table: TablePlan, run: RunNumber) -> str:
    """Whether a row `c` of the source points to the target row that it became, as the run wrote it itself."""
    keys = [f"c.{ident(part.column)}" for part in table.feed.key]
    back, target = f"c.{ident(table.link.backref or '')}", ident(table.into.target_key[0].column)
    if table.link.keep_map:
        text = key_text([(key, part.native) for key, part in zip(keys, table.feed.key, strict=True)])
        same = f"m.source_key = {text} AND m.target_key = {key_sql.target_key_text(table, [back])}"
        mapped_here = f"{key_sql.of_table(plan, table.name)} AND m.run = {run}"
        return f"EXISTS (SELECT FROM {MAP} AS m WHERE {mapped_here} AND {same})"
    ids = key_sql.equal(
        [f"t.{ident(name)}" for name in table.link.source_id], keys, key_sql.kept_operators(table)
    )
    same = key_sql.equal([f"t.{target}"], [back], key_sql.target_operators(table))
    return f"EXISTS (SELECT FROM {table.into.target_sql} AS t WHERE {ids} AND {same})"


def writes_back_to(plan: Plan, table: TablePlan, relation: str) -> bool:
    """Whether a relation, which has a foreign key onto a target, is the source that gets the target's ids written."""
    return bool(
        table.link.backref
        and plan.same_database
        and table.into.target_key
        and not table.feed.key_is_content
        and table.feed.source_sql == relation
    )
