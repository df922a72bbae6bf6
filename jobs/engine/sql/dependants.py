"""Statements that count what ties a run's rows to others: who changed them since, which rows point to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from jobs.engine.scope import RunNumber, Scope
from jobs.engine.sql import key_sql
from jobs.engine.sql.key_sql import MAP
from jobs.engine.sql.remove import owned, xids
from jobs.engine.sql.walks.chunk_range import Range
from mappings.compiling.projection import key_text
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import NOTHING, Sql, compose, ident, joined, literal, verbatim

WHOLE = Range()


def writers(plan: Plan) -> Sql:
    """All transactions of the mapping's runs, as rows carry them (PostgreSQL: xmin)."""
    return compose(
        "SELECT DISTINCT l.writer FROM migrator.ledger l JOIN migrator.run r ON r.number = l.run"
        " WHERE r.mapping = {mapping}",
        mapping=literal(plan.mapping),
    )


def written_by_others(table: TablePlan, known: Sequence[str]) -> Sql:
    """How many target rows with a source id were last written by other transactions than the `known` ones.

    Constants are hashed, which takes a third of the time that a subquery takes; to count can be divided among
    processes, which to look for the first one is not.
    """
    first = compose("t.{}", ident(table.link.source_id[0]))
    return compose(
        "SELECT count(*) FROM {target_sql} AS t WHERE {first} IS NOT NULL AND t.xmin <> ALL ({xids})",
        target_sql=table.into.target_sql, first=first, xids=xids(known),
    )  # fmt: skip


def changed(scope: Scope, most: int) -> Sql:
    """Rows of a run that someone changed since: their last writer is none of the run's own transactions.

    Returns (how many, up to `most` source keys). The ledger lists the transactions (PostgreSQL: xmin).
    """
    key = (
        verbatim("m.source_key")
        if scope.table.link.keep_map
        else key_sql.source_id_text(scope.table, verbatim("t"))
    )
    own = compose(
        "SELECT l.writer FROM migrator.ledger l WHERE l.run = {}", scope.run
    )  # of all tables: they may share a target
    source = owned(scope, Range(), ("inserted", "updated"))
    rows = compose("SELECT {} AS key, t.xmin::text AS writer FROM {}", key, source)
    return compose(
        "SELECT count(*), (array_agg(key))[1:{most}] FROM (\n{rows}\n) AS x WHERE writer NOT IN ({own})",
        most=most, rows=rows, own=own,
    )  # fmt: skip


class Child(NamedTuple):
    """A foreign key onto a target: the table that has it, its (child column, parent column) names.

    operators: the schemas of those by which the key compares; falls: its rows are deleted with their parents, and no
    table points to it. Those that triggers of the target made in the run's own transactions then go with a rollback
    as they came.
    """

    table: Sql
    pairs: list[tuple[str, str]]
    operators: list[str]
    falls: bool


FALLS = verbatim(
    "k.confdeltype = 'c'"
    " AND NOT EXISTS (SELECT FROM pg_constraint f WHERE f.contype = 'f' AND f.confrelid = k.conrelid)"
)
"""Child.falls, of a row `k` of pg_constraint."""


def dependants(
    scope: Scope,
    *,
    child: Child,
    brings: list[str],
    own: list[Sql],
) -> Sql:
    """How many rows of a child table point to a run's rows through one foreign key, without the run's own rows.

    brings: the table mappings that fill the child; own: conditions on the child row `c`, any of which tells the
    run's rows. Most are told by their writer, without asking those.
    """
    told = (
        [compose("c.xmin NOT IN ({})", written(scope.run, None if child.falls else brings))]
        if own or child.falls
        else []
    )
    told += [compose("NOT ({})", joined(" OR ", own))] if own else []
    rows = owned(scope, Range())
    return compose(
        "{}{}{}", _pointing(child, rows), verbatim(" WHERE ") if told else NOTHING, joined(" AND ", told)
    )


def written(run: RunNumber, brings: list[str] | None = None) -> Sql:
    """The transactions of a run; brings: only those of these table mappings."""
    some = NOTHING if brings is None else compose(" AND l.table_name = ANY ({})", key_sql.texts(brings))
    return compose(
        "SELECT l.writer::xid FROM migrator.ledger AS l WHERE l.run = {run}{some}", run=run, some=some
    )


def _pointing(child: Child, rows: Sql) -> Sql:
    """How many rows `c` of a child table point to these rows `t`; conditions on `c` may follow."""
    on = key_sql.equal(
        [compose("p.{}", ident(b)) for _, b in child.pairs],
        [compose("c.{}", ident(a)) for a, _ in child.pairs],
        child.operators,
    )
    parents = joined(", ", (compose("t.{}", ident(b)) for _, b in child.pairs))
    return compose(
        "SELECT count(*) FROM {table} AS c JOIN (\nSELECT {parents} FROM {rows}\n) AS p ON {on}",
        table=child.table, parents=parents, rows=rows, on=on,
    )  # fmt: skip


def hung_on(
    scope: Scope,
    chunk: Range,
    *,
    child: Child,
) -> Sql:
    """How many rows of a child table point to these of a run's rows, without these themselves."""
    themselves = NOTHING
    if child.table == scope.table.into.target_sql:
        themselves = compose(" WHERE NOT {}", is_own(scope, chunk))
    return compose("{}{}", _pointing(child, owned(scope, chunk)), themselves)


def is_own(scope: Scope, chunk: Range = WHOLE) -> Sql:
    """Whether the row `c` of this table's target is one that the run inserted, or updated and will restore."""
    table = scope.table
    names, operators = [part.column for part in table.into.target_key], key_sql.target_operators(table)
    if not names:
        names, operators = list(table.link.source_id), key_sql.kept_operators(table)
    same = key_sql.equal(
        [compose("c.{}", ident(name)) for name in names],
        [compose("t.{}", ident(name)) for name in names],
        operators,
    )
    rows = owned(scope, chunk, ("inserted", "updated"))
    return compose("EXISTS (SELECT FROM {} AND {})", rows, same)


def is_back_reference(scope: Scope) -> Sql:
    """Whether a row `c` of the source points to the target row that it became, as the run wrote it itself."""
    table = scope.table
    keys = [compose("c.{}", ident(part.column)) for part in table.feed.key]
    back = compose("c.{}", ident(table.link.backref or ""))
    target = ident(table.into.target_key[0].column)
    if table.link.keep_map:
        text = key_text([(key, part.native) for key, part in zip(keys, table.feed.key, strict=True)])
        same = compose(
            "m.source_key = {} AND m.target_key = {}", text, key_sql.target_key_text(table, [back])
        )
        mapped_here = compose("{} AND m.run = {}", key_sql.of_table(scope.plan, table.name), scope.run)
        return compose("EXISTS (SELECT FROM {} AS m WHERE {} AND {})", MAP, mapped_here, same)
    ids = key_sql.equal(key_sql.source_id_columns(table, verbatim("t")), keys, key_sql.kept_operators(table))
    same = key_sql.equal([compose("t.{}", target)], [back], key_sql.target_operators(table))
    return compose("EXISTS (SELECT FROM {} AS t WHERE {} AND {})", table.into.target_sql, ids, same)


def writes_back_to(plan: Plan, table: TablePlan, relation: str) -> bool:
    """Whether a relation, which has a foreign key onto a target, is the source that gets the target's ids written."""
    return bool(
        table.link.backref
        and plan.same_database
        and table.into.target_key
        and not table.feed.key_is_content
        and table.feed.source_sql == relation
    )
