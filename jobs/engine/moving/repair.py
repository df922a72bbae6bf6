"""One chunk repaired: rows that the run brought, and that differ from what the mapping yields now, are overwritten."""

from __future__ import annotations

from dataclasses import replace

import psycopg

from jobs.engine import feed
from jobs.engine.errors import blames_row
from jobs.engine.feed import Work
from jobs.engine.moving import bad_rows
from jobs.engine.moving.assigning import assign
from jobs.engine.scope import Scope
from jobs.engine.sql import compare, key_sql, remove
from jobs.engine.sql.key_sql import MAP
from jobs.engine.sql.walks.bounds import row
from jobs.engine.sql.walks.chunk_range import Range
from jobs.engine.target import ledger
from jobs.engine.target.ledger import Done, Ticket
from mappings.sql import NOTHING, Sql, compose, ident, joined, verbatim


def repair_chunk(work: Work, ticket: Ticket) -> Done:
    """Overwrites what differs in one chunk. A rollback deletes inserted rows, and restores updated ones, as before:
    their old values were kept when the run first updated them.

    A row whose value the target does not take stays as it is where bad rows may be set aside, and goes on to differ.
    Raises RowError for one that stops the run, Fenced, TooManyQuarantined, psycopg.Error.
    """
    chunk = replace(ticket.range, without=bad_rows.keys(work))
    try:
        return _commit(work, ticket, chunk)
    except psycopg.Error as error:
        if not blames_row(error):
            raise
    bad = tuple(error.key for error in bad_rows.find(work, chunk, _overwrite))
    return _commit(work, ticket, replace(chunk, without=(*chunk.without, *bad)))


def _commit(work: Work, ticket: Ticket, chunk: Range) -> Done:
    with work.target.transaction():
        ledger.fence(work.target, ticket)
        feed.hush(work)
        work.target.execute("SET CONSTRAINTS ALL IMMEDIATE")
        done = Done(updated=_overwrite(work, chunk))
        feed.settle(work)
        ledger.record(work.target, ticket, done)
    return done


def _overwrite(work: Work, chunk: Range) -> int:
    relation = assign.assign_late(work, chunk, "verify") or feed.relation(work, chunk, "verify")
    statement = overwrite(work, relation, chunk)
    return feed.change(work, statement)


def overwrite(work: Work, relation: Sql, chunk: Range) -> Sql:
    """Sets every column that is compared, but no key, in the run's own rows that differ.

    A row one of whose parents is missing is left as it is: its reference would become NULL in silence.
    """
    plan, table = work.plan, work.table
    by_map = table.link.link_by == "map"
    names = [key.column for key in table.into.target_key] if by_map else list(table.link.source_id)
    ids = [compose("t.{}", ident(name)) for name in names]
    result = ids if by_map else key_sql.key_of(table, verbatim("f"))
    listed = [compose("{} AS k{}", sql, number) for number, sql in enumerate(result, start=1)]
    keys = {key.column for key in table.into.target_key}
    differences = compare.differences(plan, table, work.identical)
    columns = [(name, sql) for name, _, sql, _ in differences if name not in keys]
    listed += [compose("{} AS n{}", sql, number) for number, (_, sql) in enumerate(columns, start=1)]
    conditions = [
        compare.differs(plan, table, work.identical),
        *(compose("NOT f.l{}", n) for n in range(1, len(table.references) + 1)),
    ]
    conditions += [compose("m.run = {}", work.run)] if by_map else []
    wrong = compose(
        "SELECT {}\n  FROM {}\n WHERE {}",
        joined(", ", listed),
        compare.comparison(plan, table, relation, chunk),
        joined(" AND ", (compose("({})", condition) for condition in conditions)),
    )
    sets = joined(
        ", ",
        (compose("{} = x.n{}", ident(name), number) for number, (name, _) in enumerate(columns, start=1)),
    )
    own_operators = key_sql.target_operators(table) if by_map else key_sql.kept_operators(table)
    wanted = [compose("x.k{}", n + 1) for n in range(len(names))]
    same = key_sql.equal(ids, wanted, own_operators)
    own = NOTHING if by_map else compose(" AND {}", _own(work))
    return compose(
        "UPDATE {target_sql} AS t SET {sets}\n  FROM (\n{wrong}\n) AS x\n WHERE {same}{own}",
        target_sql=table.into.target_sql, sets=sets, wrong=wrong, same=same, own=own,
    )  # fmt: skip


def _own(scope: Scope) -> Sql:
    """Whether the target row `t`, which carries its source id, is one that the run brought."""
    table = scope.table
    if table.link.keep_map:
        key = key_sql.source_id_text(table, verbatim("t"))
        mapped = compose("{} AND m.run = {}", key_sql.map_row(scope.plan, table, key), scope.run)
        return compose("EXISTS (SELECT FROM {} AS m WHERE {})", MAP, mapped)
    owned = remove.owned(scope, Range())
    if any(key_sql.kept_operators(table)):
        key = key_sql.source_id_text(table, verbatim("t"))
        return compose("{key} IN (SELECT {key} FROM {owned})", key=key, owned=owned)
    ids = row(key_sql.source_id_columns(table, verbatim("t")))
    return compose("{ids} IN (SELECT {ids} FROM {owned})", ids=ids, owned=owned)
