"""Statements for rows of a run that somebody edited since, and that its rollback leaves: they are let go, and named."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.engine.scope import Scope
from jobs.engine.sql import before_images, firing, key_sql, past_triggers, remove
from jobs.engine.sql.firing import Statement
from jobs.engine.sql.key_sql import MAP
from jobs.engine.sql.rollback import as_copied
from jobs.engine.sql.walks.chunk_range import Range
from mappings.plan.table_plan import TablePlan
from mappings.sql import Sql, compose, ident, joined, literal, verbatim

WROTE = ("inserted", "updated")


def _own_keys(table: TablePlan) -> Sql:
    """The source key and the target key, as texts, of a run's row `t`, with its map row `m` where there is one."""
    if table.link.keep_map:
        return verbatim("m.source_key AS key, m.target_key AS target")
    target = key_sql.target_key_text(table, key_sql.target_keys(table, verbatim("t")))
    return compose("{} AS key, {} AS target", key_sql.source_id_text(table, verbatim("t")), target)


def edited(scope: Scope) -> Sql:
    """(source key, target key) of the rows whose last writer is none of the run's own transactions."""
    rows = remove.owned(scope, Range(), WROTE)
    own = compose("SELECT l.writer FROM migrator.ledger AS l WHERE l.run = {}", scope.run)
    return compose(
        "SELECT x.key, x.target FROM (\nSELECT {own_keys}, t.xmin::text AS writer FROM {rows}\n) AS x"
        " WHERE x.writer NOT IN ({own}) ORDER BY x.key",
        own_keys=_own_keys(scope.table), rows=rows, own=own,
    )  # fmt: skip


def pointed_to(
    parent: Scope,
    child: Scope,
    *,
    keys: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    operators: Sequence[str],
) -> Sql:
    """(source key, target key) of the parent's rows, inserted by the run, to which these rows of the child point.

    keys: source keys of the child; pairs: (child column, parent column).
    """
    names = [compose("t.{} AS c{}", ident(column), number) for number, (column, _) in enumerate(pairs)]
    children = remove.owned(child, Range(only=tuple(keys)), WROTE)
    same = key_sql.equal(
        [compose("t.{}", ident(column)) for _, column in pairs],
        [compose("c.c{}", number) for number in range(len(pairs))],
        operators,
    )
    rows = remove.owned(parent, Range())
    pointing = compose("SELECT FROM (SELECT {} FROM {}) AS c WHERE {}", joined(", ", names), children, same)
    return compose("SELECT {} FROM {} AND EXISTS (\n{})", _own_keys(parent.table), rows, pointing)


def note(scope: Scope, rows: Sequence[tuple[str, str | None, str]]) -> Sql:
    """Lists rows (source key, target key, why) as left."""
    keys, targets, whys = zip(*rows, strict=True)
    arrays = joined(", ", [key_sql.texts(keys), _nullable(targets), key_sql.texts(whys)])
    return compose(
        "INSERT INTO migrator.left_row (run, mapping, table_name, source_key, target_key, why)\n"
        "SELECT {run}, {mapping}, {name}, u.* FROM unnest({arrays}) AS u\n"
        "ON CONFLICT DO NOTHING",
        run=scope.run, mapping=literal(scope.plan.mapping), name=literal(scope.table.name), arrays=arrays,
    )  # fmt: skip


def _nullable(values: Sequence[str | None]) -> Sql:
    return compose(
        "ARRAY[{}]::text[]",
        joined(", ", (verbatim("NULL") if value is None else literal(value) for value in values)),
    )


def release(scope: Scope, keys: Sequence[str], *, owners: bool) -> list[Statement]:
    """The rows stay as they are, and nothing says any more that they were migrated. In a transaction.

    owners: whether the source id is a column of the table's owner, which keeps its value.
    """
    table = scope.table
    chunk = Range(only=tuple(keys))
    links = [] if owners else [(name, verbatim("NULL")) for name in table.link.source_id]
    links += [(table.link.is_migrated, verbatim("false"))] if table.link.is_migrated else []
    done: list[Statement] = [_unlink(scope, chunk, links)] if links else []
    if links and table.into.existing and table.into.existing.then == "update":
        done.append(_relink(scope, chunk, [name for name, _ in links]))
    done = past_triggers.all_past(table, done)
    if not table.link.keep_map:
        return done
    images = compose(
        "DELETE FROM migrator.before_image AS b USING {map} AS m\n WHERE {image_of} AND {mapped}",
        map=MAP, image_of=before_images.image_of(table, scope.run, verbatim("b"), verbatim("m.target_key")),
        mapped=remove.mapped(scope, chunk),
    )  # fmt: skip
    return [*done, images, as_copied.unmap(scope, chunk)]


def _unlink(scope: Scope, chunk: Range, links: Sequence[tuple[str, Sql]]) -> Statement:
    """Of rows that the run inserted."""
    table = scope.table
    sets = joined(", ", (compose("{} = {}", ident(name), value) for name, value in links))
    update = compose("UPDATE {} AS t SET {}", table.into.target_sql, sets)
    if not table.link.keep_map:
        return firing.counted(table, compose("{} WHERE {}", update, remove.unmapped(scope, chunk)))
    same = remove.pair(table, verbatim("m.source_key"), verbatim("m.target_key"))
    mine = compose("{} AND m.action = 'inserted'", remove.mapped(scope, chunk))
    return firing.counted(
        table,
        compose(
            "{update} FROM {map} AS m WHERE {same} AND {mine}", update=update, map=MAP, same=same, mine=mine
        ),
    )


def _relink(scope: Scope, chunk: Range, names: Sequence[str]) -> Statement:
    """Rows that the run updated say again what they said before it of where they came from."""
    table = scope.table
    sets = joined(
        ", ",
        (
            compose("{} = (b.old_values[{}])::{}", ident(name), place, kind)
            for place, (name, kind) in enumerate(before_images.imaged(table), start=1)
            if name in names
        ),
    )
    return firing.counted(
        table,
        compose(
            "UPDATE {target_sql} AS t SET {sets}\n  FROM {map} AS m JOIN migrator.before_image AS b"
            " ON {image_of}\n"
            " WHERE {paired} AND {mapped}"
            " AND m.action = 'updated'",
            target_sql=table.into.target_sql, sets=sets, map=MAP,
            image_of=before_images.image_of(table, scope.run, verbatim("b"), verbatim("m.target_key")),
            paired=before_images.paired(table, verbatim("m.target_key")), mapped=remove.mapped(scope, chunk),
        ),
    )  # fmt: skip


LEFT = verbatim(
    "SELECT l.table_name, l.source_key, l.target_key, l.why FROM migrator.left_row AS l WHERE l.run = %s"
    " ORDER BY l.table_name, l.why <> 'edited', l.source_key"
)
"""(table, source key, target key, why) of what the rollback of a run left."""
