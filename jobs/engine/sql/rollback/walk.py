"""Statements that cut the rows of a run into ranges, which are taken back one after the other."""

from __future__ import annotations

from jobs.engine.scope import RunNumber, Scope
from jobs.engine.sql import key_sql
from jobs.engine.sql.key_sql import MAP
from jobs.engine.sql.remove import mapped, unmapped, within
from jobs.engine.sql.walks.bounds import between, constant
from jobs.engine.sql.walks.chunk_range import Range
from mappings.plan.table_plan import TablePlan
from mappings.sql import Sql, compose, joined, literal, verbatim


def written(scope: Scope) -> Sql:
    """Where the map rows of one run lie: (writer, first place, last place, rows) of each transaction that wrote some.

    What one transaction wrote lies close together, in the map as in the target, so taking it back in that order
    costs a third of what it costs in the order of the keys.
    """
    return compose(
        "SELECT m.xmin::text, min(m.ctid)::text, max(m.ctid)::text, count(*) FROM {map} AS m\n"
        " WHERE {mapped} GROUP BY m.xmin ORDER BY min(m.ctid)",
        map=MAP,
        mapped=mapped(scope, Range()),
    )


def boundary(scope: Scope, chunk: Range, rows: int) -> Sql:
    """The key at which a walk over the run's rows in a range has passed `rows` of them, as texts; no row at the end."""
    table = scope.table
    if table.link.keep_map:
        return compose(
            "SELECT m.source_key FROM {map} m WHERE {mapped}\n ORDER BY m.source_key OFFSET {rows} LIMIT 1",
            map=MAP, mapped=mapped(scope, chunk), rows=rows - 1,
        )  # fmt: skip
    ids = key_sql.source_id_columns(table, verbatim("t"))
    texts = joined(", ", (compose("{}::text", column) for column in ids))
    return compose(
        "SELECT {texts} FROM {target_sql} t WHERE {unmapped}\n ORDER BY {ids} OFFSET {rows} LIMIT 1",
        texts=texts, target_sql=table.into.target_sql, unmapped=unmapped(scope, chunk),
        ids=joined(", ", ids), rows=rows - 1,
    )  # fmt: skip


def next_source_id(table: TablePlan, low: tuple[str, ...] | None, rows: int) -> Sql:
    """The source id at which a walk over the target has passed `rows` of them, as texts; no row at the end.

    Reads the index alone: rows of other runs count as well.
    """
    ids = key_sql.source_id_columns(table, verbatim("t"))
    texts = joined(", ", (compose("{}::text", column) for column in ids))
    bounds = within(table, Range(low=low))
    return compose(
        "SELECT {texts} FROM {target_sql} AS t WHERE {first} IS NOT NULL AND {bounds}\n"
        " ORDER BY {ids} OFFSET {rows} LIMIT 1",
        texts=texts, target_sql=table.into.target_sql, first=ids[0], bounds=bounds, ids=joined(", ", ids),
        rows=rows - 1,
    )  # fmt: skip


def next_cut(table: TablePlan, run: RunNumber, low: tuple[str, ...] | None, rows: int) -> Sql:
    """(bound, whether it is the last): the bound of the run's copy, an array of texts, by which `rows` rows were
    inserted above `low`, NULL for none; the last where fewer than `rows` are left, and no other run brought any, whose
    rows would be read as well; NULL where nothing tells.

    Asks the ledger alone. Ranges between any bounds, in whatever order, leave no row out.
    """
    parts = table.feed.key[: table.feed.range_parts]
    columns = [compose("(l.high[{}])::{}", number, part.type) for number, part in enumerate(parts, start=1)]
    above = len(low[: len(parts)]) if low else 0
    types, own = [part.type for part in parts[:above]], key_sql.kept_operators(table)[:above]
    beyond = between(columns[:above], types, constant(low and low[:above]), None, own)
    others = compose(
        "SELECT FROM migrator.ledger AS o WHERE o.run <> {run} AND o.table_name = {name}"
        " AND o.phase = 'copy' AND o.inserted > 0",
        run=run,
        name=literal(table.name),
    )
    return compose(
        "SELECT (array_agg(to_jsonb(x.high) ORDER BY x.passed) FILTER (WHERE x.high IS NOT NULL"
        " AND x.passed >= {rows}))[1], sum(x.inserted) < {rows} AND NOT EXISTS ({others})\n"
        "  FROM (SELECT l.high, l.inserted, sum(l.inserted) OVER (ORDER BY {columns}) AS passed\n"
        "  FROM migrator.ledger AS l WHERE l.run = {run} AND l.table_name = {name}\n"
        "   AND l.phase = 'copy' AND (l.high IS NULL OR {beyond})) AS x",
        rows=rows, others=others, columns=joined(", ", columns), run=run, name=literal(table.name),
        beyond=beyond,
    )  # fmt: skip
