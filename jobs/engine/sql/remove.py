"""Statements that count, walk and remove the rows of one run; one purpose each."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.engine.scope import Scope
from jobs.engine.sql import before_images, firing, key_sql
from jobs.engine.sql.firing import Statement
from jobs.engine.sql.key_sql import MAP
from jobs.engine.sql.walks.bounds import between, constant, row
from jobs.engine.sql.walks.chunk_range import MapRange, Range
from mappings.plan.table_plan import TablePlan
from mappings.sql import NOTHING, Sql, compose, ident, joined, literal, verbatim


def mapped(scope: Scope, chunk: Range) -> Sql:
    """The map rows `m` of one run in a range of the map, or in a walk over it in the order of its source keys."""
    conditions = [key_sql.of_table(scope.plan, scope.table.name), compose("m.run = {}", scope.run)]
    if chunk.only is not None:
        conditions.append(compose("m.source_key = ANY ({})", key_sql.texts(chunk.only)))
    if isinstance(chunk, MapRange):
        conditions.append(compose("m.xmin = ANY ({})", xids(chunk.writers)))
        ends = constant([chunk.above]), constant([chunk.up_to])
        conditions.append(between([verbatim("m.ctid")], [verbatim("tid")], *ends))
    else:
        conditions.append(between([verbatim("m.source_key")], [verbatim("text")], *key_sql.ends(chunk)))
    return joined(" AND ", conditions)


def unmapped(scope: Scope, chunk: Range) -> Sql:
    """The target rows `t` of one run where no map says so: by source id and the keys that the ledger lists."""
    own = _in_lists(scope)
    if scope.fresh:
        none, some = own
        return compose("{} AND ({} OR {})", _linked(scope.table, chunk), none, some)
    return compose("{} AND {}", _linked(scope.table, chunk), *own)


def unmapped_in_turn(scope: Scope, chunk: Range) -> list[Sql]:
    """The same rows by conditions that share none, for a statement each: where no other run lists any key, which each
    of them looks up once, the rows' own values are not even read."""
    if not scope.fresh:
        return [unmapped(scope, chunk)]
    none, some = _in_lists(scope)
    rows = _linked(scope.table, chunk)
    return [compose("{} AND {}", rows, none), compose("{} AND NOT {} AND {}", rows, none, some)]


def _in_lists(scope: Scope) -> tuple[Sql, ...]:
    """What keys that the ledger lists say of whose the target rows `t` are.

    Of a run before which no other brought rows of the table, two conditions of which one must hold: that no other run
    lists any key; that none lists the row's. Of any other run, one: that it lists the row's.
    """
    table = scope.table
    listed = compose(
        "FROM migrator.ledger l JOIN migrator.run r ON r.number = l.run"
        " WHERE r.mapping = {mapping} AND l.table_name = {name} AND l.keys IS NOT NULL"
        " AND l.run {part} {run}",
        mapping=literal(scope.plan.mapping), name=literal(table.name), part=verbatim("<>" if scope.fresh else "="),
        run=scope.run,
    )  # fmt: skip
    key, keys = key_sql.source_id_text(table, verbatim("t")), compose("SELECT unnest(l.keys) {}", listed)
    if scope.fresh:
        return compose("NOT EXISTS (SELECT {})", listed), compose("{} NOT IN ({})", key, keys)
    return (compose("{} IN ({})", key, keys),)


def _linked(table: TablePlan, chunk: Range) -> Sql:
    """The target rows `t` that have a source id in a range."""
    return compose("t.{} IS NOT NULL AND {}", ident(table.link.source_id[0]), within(table, chunk))


def within(table: TablePlan, chunk: Range) -> Sql:
    """The target rows `t` whose source ids are in a range; its bounds may be of the leading parts alone."""
    ids = key_sql.source_id_columns(table, verbatim("t"))
    types = [part.type for part in table.feed.key]
    own = key_sql.kept_operators(table)
    if chunk.only is not None:
        given = compose("unnest({}) AS o(key)", key_sql.texts(chunk.only))
        if any(own):
            same = key_sql.equal(ids, key_sql.decoded(verbatim("o.key"), types), own)
            return compose("EXISTS (SELECT FROM {} WHERE {})", given, same)
        return compose(
            "{} IN (SELECT {} FROM {})",
            row(ids),
            joined(", ", key_sql.decoded(verbatim("o.key"), types)),
            given,
        )
    low, high = key_sql.ends(chunk)
    above, up_to = (len(end.parts) if end else 0 for end in (low, high))
    return compose(
        "{} AND {}",
        between(ids[:above], types[:above], low, None, own[:above]),
        between(ids[:up_to], types[:up_to], None, high, own[:up_to]),
    )


def pair(table: TablePlan, text: Sql, key: Sql) -> Sql:
    """How target rows `t` are found from a map row: by source id where rows carry it, else by their key."""
    if table.link.link_by == "source_id":
        ids = key_sql.source_id_columns(table, verbatim("t"))
        decoded = key_sql.decoded(text, [part.kept for part in table.feed.key])
        return key_sql.equal(ids, decoded, key_sql.kept_operators(table))
    names = key_sql.target_keys(table, verbatim("t"))
    decoded = key_sql.decoded(key, [part.kept for part in table.into.target_key])
    return key_sql.equal(names, decoded, key_sql.target_operators(table))


def owned(
    scope: Scope,
    chunk: Range,
    actions: tuple[str, ...] = ("inserted",),
) -> Sql:
    """A FROM clause and condition of the target rows `t` that a run inserted, or did other things to."""
    table = scope.table
    if table.link.keep_map:
        condition = compose("{} AND m.action = ANY ({})", mapped(scope, chunk), key_sql.texts(actions))
        on = pair(table, verbatim("m.source_key"), verbatim("m.target_key"))
        return compose(
            "{target_sql} AS t JOIN {map} AS m ON {on} WHERE {condition}",
            target_sql=table.into.target_sql, map=MAP, on=on, condition=condition,
        )  # fmt: skip
    return compose("{} AS t WHERE {}", table.into.target_sql, unmapped(scope, chunk))


def source_keys(scope: Scope, chunk: Range) -> Sql:
    """The source keys, as texts, of a run's rows."""
    table = scope.table
    if table.link.keep_map:
        return compose("SELECT m.source_key FROM {} AS m WHERE {}", MAP, mapped(scope, chunk))
    key = key_sql.source_id_text(table, verbatim("t"))
    return compose("SELECT {} FROM {} AS t WHERE {}", key, table.into.target_sql, unmapped(scope, chunk))


def own_pairs(scope: Scope, chunk: Range) -> Sql:
    """(key, id): the source keys of a run's rows and their target keys, as texts."""
    table = scope.table
    if table.link.keep_map:
        return compose(
            "SELECT m.source_key AS key, m.target_key AS id FROM {map} AS m WHERE {mapped}",
            map=MAP,
            mapped=mapped(scope, chunk),
        )
    key = key_sql.source_id_text(table, verbatim("t"))
    columns = key_sql.target_keys(table, verbatim("t"))
    rows = compose("{} AS t WHERE {}", table.into.target_sql, unmapped(scope, chunk))
    return compose("SELECT {} AS key, {} AS id FROM {}", key, key_sql.target_key_text(table, columns), rows)


def unlink(scope: Scope, chunk: Range) -> Sql:
    """Empties the deferred references of a run's rows, so that rows can go in any order.

    Those of rows that it updated too: restoring them brings back what they referred to before.
    """
    columns = list(dict.fromkeys(ref.target for ref in scope.table.references if ref.deferred))
    which = verbatim("m.action IN ('inserted', 'updated')")
    return empty(scope, chunk, columns=columns, which=which)


def empty(
    scope: Scope,
    chunk: Range,
    *,
    columns: Sequence[str],
    which: Sql = verbatim("m.action <> 'kept' AND m.superseded_by IS NULL"),
) -> Sql:
    """Sets columns of a run's rows to NULL. which: of its map rows, by default those that say what the row says."""
    table = scope.table
    names = [ident(column) for column in columns]
    sets = joined(", ", (compose("{} = NULL", name) for name in names))
    some = joined(" OR ", (compose("t.{} IS NOT NULL", name) for name in names))
    if table.link.keep_map:
        matched = compose(
            "{} AND {}",
            pair(table, verbatim("m.source_key"), verbatim("m.target_key")),
            mapped(scope, chunk),
        )
        condition = compose("{} AND {} AND ({})", matched, which, some)
        return compose(
            "UPDATE {target_sql} AS t SET {sets} FROM {map} AS m WHERE {condition}",
            target_sql=table.into.target_sql, sets=sets, map=MAP, condition=condition,
        )  # fmt: skip
    return compose(
        "UPDATE {target_sql} AS t SET {sets} WHERE {unmapped} AND ({some})",
        target_sql=table.into.target_sql, sets=sets, unmapped=unmapped(scope, chunk),
        some=some,
    )  # fmt: skip


def remove(scope: Scope, chunk: Range) -> Statement:
    """Deletes a run's rows and what the map says of them.

    Returns (rows deleted, source keys freed, rows that should have been there to be deleted).
    """
    table = scope.table
    if not table.link.keep_map:
        own = unmapped(scope, chunk)
        rows = compose("DELETE FROM {} AS t WHERE {} RETURNING 1", table.into.target_sql, own)
        counted = compose("SELECT count(*), count(*), count(*) FROM gone{}", firing.gate(table))
        return firing.gated(table, compose("WITH gone AS ({})\n {}", rows, counted))
    restored = NOTHING
    if table.into.existing:
        restored = compose("{}, ", before_images.restore(table, scope.run, verbatim("gone")))
    return firing.gated(
        table,
        compose(
            "WITH gone AS (DELETE FROM {map} AS m WHERE {mapped}\n"
            " RETURNING m.source_key, m.target_key, m.action), {restored}removed AS (\n"
            "DELETE FROM {target_sql} AS t USING gone\n"
            " WHERE gone.action = 'inserted' AND {pair} RETURNING 1)"
            "\nSELECT (SELECT count(*) FROM removed), (SELECT count(*) FROM gone),"
            " (SELECT count(*) FROM gone WHERE action = 'inserted'){gate}",
            map=MAP, mapped=mapped(scope, chunk), restored=restored,
            target_sql=table.into.target_sql,
            pair=pair(table, verbatim("gone.source_key"), verbatim("gone.target_key")),
            gate=firing.gate(table),
        ),
    )  # fmt: skip


def restored_too(scope: Scope, chunk: Range) -> list[Sql]:
    """Lists this transaction as the other runs' own whose rows it restores, although other table mappings brought
    those: by the writers in the ledger a later rollback tells whether anyone else changed the rows."""
    table = scope.table
    others = [
        other.name
        for other in scope.plan.tables
        if other.into.target_sql == table.into.target_sql and other != table
    ]
    if not others or not table.into.existing or table.into.existing.then != "update":
        return []
    writer = key_sql.WRITER
    return [
        compose(
            "INSERT INTO migrator.ledger"
            " (run, table_name, phase, chunk, inserted, updated, kept, quarantined, writer)\n"
            "SELECT DISTINCT o.run, o.table_name, 'restored in ' || {run} || ' by ' || {writer},"
            " 0, 0, 0, 0, 0, {writer}\n"
            "  FROM {map} AS m JOIN {map} AS o ON o.mapping = m.mapping AND o.table_name = ANY ({texts})"
            " AND o.target_key = m.target_key AND o.run <> m.run AND o.action <> 'kept'\n"
            " WHERE {mapped} AND m.action = 'updated'\nON CONFLICT DO NOTHING",
            run=scope.run, writer=writer, map=MAP, texts=key_sql.texts(others),
            mapped=mapped(scope, chunk),
        )
    ]  # fmt: skip


def done_to(scope: Scope, chunk: Range) -> Sql:
    """(action, how many) of a run's map rows."""
    return compose(
        "SELECT m.action, count(*) FROM {map} AS m WHERE {mapped} GROUP BY m.action",
        map=MAP,
        mapped=mapped(scope, chunk),
    )


def sharers(scope: Scope, chunk: Range) -> Sql:
    """(table mapping, source key, source key of this table) of a run's other rows whose target row these brought,
    or overwrote: several source rows may stand for one target row."""
    names = [other.name for other in scope.plan.moved if other.into.target_sql == scope.table.into.target_sql]
    return compose(
        "SELECT s.table_name, s.source_key, m.source_key FROM {map} AS m\n"
        "  JOIN {map} AS s ON s.mapping = m.mapping AND s.table_name = ANY ({texts})"
        " AND s.target_key = m.target_key AND s.run = m.run AND (s.table_name, s.source_key)"
        " <> (m.table_name, m.source_key)\n"
        " WHERE {mapped} AND m.action <> 'kept'",
        map=MAP, texts=key_sql.texts(names), mapped=mapped(scope, chunk),
    )  # fmt: skip


def remove_unmapped(scope: Scope, chunk: Range) -> list[Sql]:
    """Deletes a run's rows where no map says so. Their row counts together say how many."""
    target = scope.table.into.target_sql
    return [compose("DELETE FROM {} AS t WHERE {}", target, own) for own in unmapped_in_turn(scope, chunk)]


def xids(writers: Sequence[str]) -> Sql:
    return compose("{}::xid[]", literal("{" + ",".join(writers) + "}"))
