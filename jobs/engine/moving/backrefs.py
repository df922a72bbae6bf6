"""Writes the target's ids into the source's own column, holds them against the links, and takes them out again."""

from __future__ import annotations

from typing import Any, NamedTuple

from jobs.engine import feed
from jobs.engine.errors import EngineError
from jobs.engine.feed import Work, run_sql
from jobs.engine.sql import keep_differences, key_sql, links, remove
from jobs.engine.sql.keep_differences import Keep
from jobs.engine.sql.new_rows import there
from jobs.engine.sql.walks.chunk_range import Range
from jobs.engine.target import ledger
from jobs.engine.target.ledger import Ticket
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import Sql, compose, ident, joined, literal, verbatim

STAGE = verbatim("pg_temp.target_ids")


def write(work: Work, chunk: Range) -> None:
    """Fills the back-reference of one chunk's source rows, wherever it is not yet what it should be.

    Raises EngineError, and writes nothing, where one has a value that no run of the mapping wrote.
    """
    rows = pairs(work.plan, work.table, feed.relation(work, chunk, "link"))
    if work.plan.same_database:
        _refuse_others(work, compose("({})", rows))
        _run(work, update(work.table, compose("({})", rows)))
        return
    with work.source.transaction():
        run_sql(work.source, verbatim("DROP TABLE IF EXISTS pg_temp.target_ids"))
        run_sql(work.source, create_stage(work.table))
        out = compose("COPY ({}) TO STDOUT (FORMAT binary)", rows)
        into = compose("COPY {} FROM STDIN (FORMAT binary)", STAGE)
        feed.stream(work.target, out, work.source, into)
        _refuse_others(work, STAGE)
        _run(work, update(work.table, STAGE))


def validate(work: Work) -> None:
    """Has the foreign key checked that the back-reference is, where it was not yet; all ids are written."""
    if not work.table.link.backref_key:
        return
    row = run_sql(work.source, compose("SELECT {}", unvalidated(work.table))).fetchone()
    if row and row[0]:
        with work.source.transaction():
            run_sql(work.source, validation(work.table))


def unvalidated(table: TablePlan) -> Sql:
    """Whether the foreign key is there and was not checked as a whole."""
    return compose(
        "EXISTS (SELECT FROM pg_constraint WHERE conrelid = {source_sql}::regclass"
        " AND conname = {backref_key} AND NOT convalidated)",
        source_sql=literal(table.feed.source_sql),
        backref_key=literal(table.link.backref_key),
    )


def validation(table: TablePlan) -> Sql:
    """Reads the source, and keeps nobody from reading and writing it."""
    return compose(
        "ALTER TABLE {} VALIDATE CONSTRAINT {}", table.feed.source_sql, ident(table.link.backref_key)
    )


def _refuse_others(work: Work, relation: Sql) -> None:
    """Rows that came after the plan was made may bring values."""
    table = work.table
    key = key_sql.source_key_text(table)
    value = compose("{}.{}::text", table.feed.alias, ident(table.link.backref or ""))
    rows = run_sql(
        work.source,
        compose("SELECT {}, {} FROM {}", key, value, differing(table, relation)),
    ).fetchall()
    if rows:
        named = ", ".join(f"{value} in row {key}" for key, value in rows[:3])
        raise EngineError(
            f"{table.name}: {table.source}.{table.link.backref} has values in {len(rows):,} source rows that no run of"
            f" this mapping wrote ({named}), which would be overwritten; empty them, or name another column, and retry"
        )


def forget_gone(work: Work, relation: Sql) -> None:
    """Empties what names a target row that somebody deleted: the feed's row is about to be copied again."""
    if not (knows_gone(work.table) and work.guarded):
        return
    if pairs := run_sql(work.target, there.gone(work.plan, work.table, relation)).fetchall():
        empty(work, pairs)


def knows_gone(table: TablePlan) -> bool:
    """Whether the map tells which id a back-reference had."""
    return bool(table.link.backref) and table.link.keep_map


def _run(work: Work, statements: list[Sql]) -> None:
    for statement in statements:
        run_sql(work.source, statement)


def _unnoticed(table: TablePlan, statement: Sql) -> list[Sql]:
    """The statement, while the source's triggers are off that it would fire: nothing that they know of changes."""
    if table.link.woken is None:
        return [statement]
    relation, triggers = table.link.woken.relation, table.link.woken.triggers
    return [
        compose("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", relation),
        verbatim("SET CONSTRAINTS ALL IMMEDIATE"),
        *(
            compose("ALTER TABLE {} DISABLE TRIGGER {}", relation, ident(trigger.name))
            for trigger in triggers
        ),
        statement,
        *(
            compose("ALTER TABLE {} {} {}", relation, trigger.enable, ident(trigger.name))
            for trigger in triggers
        ),
    ]


def pairs(plan: Plan, table: TablePlan, relation: Sql) -> Sql:
    """The source key, as k1.., and the target's id of each feed row of `relation` that has a target row."""
    result, condition = links.linked(plan, table, relation, None, untouched=True)
    keys = [
        compose("{} AS {}", key, name)
        for key, name in zip(key_sql.key_of(table, verbatim("f")), _key_names(table), strict=True)
    ]
    key = ident(table.into.target_key[0].column)
    return compose(
        "SELECT {keys}, t.{key} AS id FROM {found}, {target_sql} AS t WHERE {condition}",
        keys=joined(", ", keys), key=key, found=result, target_sql=table.into.target_sql, condition=condition,
    )  # fmt: skip


def create_stage(table: TablePlan) -> Sql:
    """The source's temporary table of such pairs."""
    names = zip(_key_names(table), table.feed.key, strict=True)
    columns = joined(", ", (compose("{} {}", name, part.type) for name, part in names))
    kind = table.into.target_key[0].type
    return compose(
        "CREATE TEMPORARY TABLE target_ids ({columns}, id {kind}) ON COMMIT DROP", columns=columns, kind=kind
    )


def _key_names(table: TablePlan) -> list[Sql]:
    return [compose("k{}", number) for number in range(1, len(table.feed.key) + 1)]


def differing(table: TablePlan, relation: Sql) -> Sql:
    """FROM and WHERE: source rows with a back-reference that is not the one in (key, id) rows."""
    return _stored(table, relation, verbatim("<>"))


def unlike(table: TablePlan, relation: Sql) -> Sql:
    """The same, with those that have none."""
    return _stored(table, relation, verbatim("IS DISTINCT FROM"))


def _stored(table: TablePlan, relation: Sql, compared: Sql) -> Sql:
    column = compose("{}.{}", table.feed.alias, ident(table.link.backref or ""))
    return compose(
        "{base_sql}, {relation} AS i WHERE {same_row} AND {column} {compared} i.id",
        base_sql=table.feed.base_sql, relation=relation, same_row=_same_row(table), column=column,
        compared=compared,
    )  # fmt: skip


def _same_row(table: TablePlan) -> Sql:
    names = [compose("i.{}", name) for name in _key_names(table)]
    return key_sql.equal([part.sql for part in table.feed.key], names, key_sql.kept_operators(table))


def update(table: TablePlan, relation: Sql) -> list[Sql]:
    """Sets the back-reference from (key, id) rows; in a transaction."""
    column = ident(table.link.backref or "")
    changed = compose("{}.{} IS DISTINCT FROM i.id", table.feed.alias, column)
    rows = compose("{} AS i WHERE {} AND {}", relation, _same_row(table), changed)
    statement = compose("UPDATE {} SET {} = i.id FROM {}", table.feed.base_sql, column, rows)
    return _unnoticed(table, statement)


Pairs = list[tuple[str, str]]
"""Texts of source keys, each with that of the target key which the row got."""


def clear(work: Work, chunk: Range) -> None:
    """Empties the back-references of the source rows that a range of a walk over the run's rows stands for."""
    empty(work, written(work, chunk))


def written(work: Work, chunk: Range) -> Pairs:
    """What the run has written, or would have, as long as its rows are there."""
    return run_sql(work.target, remove.own_pairs(work, chunk)).fetchall()


def empty(work: Work, pairs: Pairs) -> None:
    """Empties the back-references that say so."""
    keys, ids = (key_sql.texts([pair[place] for pair in pairs]) for place in (0, 1))
    with work.source.transaction():
        _run(work, emptied(work.table, compose("unnest({}, {})", keys, ids)))


def emptied(table: TablePlan, pairs: Sql) -> list[Sql]:
    """Empties back-references; in a transaction. pairs: a FROM item of (key, id), both texts. Another value stays."""
    same = key_sql.equal(
        [part.sql for part in table.feed.key],
        key_sql.decoded(verbatim("i.key"), [part.native for part in table.feed.key]),
        [part.operators for part in table.feed.key],
    )
    column = ident(table.link.backref or "")
    own = compose("{} = i.id", key_sql.target_key_text(table, [compose("{}.{}", table.feed.alias, column)]))
    statement = compose(
        "UPDATE {base_sql} SET {column} = NULL FROM {pairs} AS i(key, id) WHERE {same} AND {own}",
        base_sql=table.feed.base_sql, column=column, pairs=pairs, same=same, own=own,
    )  # fmt: skip
    return _unnoticed(table, statement)


LINKED = verbatim("pg_temp.linked_ids")

CREATE_LINKED = verbatim("CREATE TEMPORARY TABLE linked_ids (key text, id text) ON COMMIT DROP")

MOST_KEPT = 10_000
"""Of a table's back-references that differ; all are counted."""


class Compared(NamedTuple):
    """How many differ, how many of them are kept in the target, and some as objects {kind, key, columns}."""

    differing: int = 0
    kept: int = 0
    samples: tuple[dict[str, Any], ...] = ()


def compare(work: Work, ticket: Ticket, keep: Keep, samples: int) -> Compared:
    """Compares all back-references of a table and keeps by key which differ, up to as many as may be kept.

    ticket: of the table's verification, as its chunk 0; raises Fenced, and nothing is kept, where it does not hold.
    """
    most = min(keep.most, MOST_KEPT)
    rows = _differing(work, max(most, samples))
    kept = rows[:most]
    with work.target.transaction():
        ledger.fence(work.target, ticket)
        run_sql(work.target, keep_differences.forget_chunk(work.run, work.table.name, keep))
        if kept:
            run_sql(
                work.target,
                keep_differences.keep_backrefs(work.table, work.run, keep, [row[:3] for row in kept]),
            )
    column = keep_differences.backref_column(work.table)
    shown = tuple(
        {"kind": "different", "key": key, "columns": [{"column": column, "expected": own, "found": result}]}
        for key, own, result, _ in rows[:samples]
    )
    return Compared(rows[0][3] if rows else 0, len(kept), shown)


def _differing(work: Work, most: int) -> list[tuple[str, str, str | None, int]]:
    """(source key, id that it should name, what it names, how many in all) of those that differ, by key."""
    pairs = links.linked_pairs(work.plan, work.table)
    if work.plan.same_database:
        return run_sql(
            work.source, links.differing_backrefs(work.table, compose("({})", pairs), most)
        ).fetchall()
    with work.source.transaction(force_rollback=True):
        run_sql(work.source, CREATE_LINKED)
        out = compose("COPY ({}) TO STDOUT (FORMAT binary)", pairs)
        into = compose("COPY {} FROM STDIN (FORMAT binary)", LINKED)
        feed.stream(work.target, out, work.source, into)
        run_sql(work.source, compose("ANALYZE {}", LINKED))
        return run_sql(work.source, links.differing_backrefs(work.table, LINKED, most)).fetchall()
