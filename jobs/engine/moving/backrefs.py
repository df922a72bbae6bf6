"""Writes the target's ids into the source's own column, and takes them out again, past the source's triggers."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.engine import feed
from jobs.engine.feed import Work, run_sql
from jobs.engine.sql import key_sql, links, remove
from jobs.engine.sql.key_sql import Range
from mappings.plan.model import Plan, TablePlan
from mappings.sql import ident, literal

STAGE = "pg_temp.target_ids"


def write(work: Work, chunk: Range) -> None:
    """Fills the back-reference of one chunk's source rows, wherever it is not yet what it should be."""
    rows = pairs(work.plan, work.table, feed.relation(work, chunk, "link"))
    if work.plan.same_database:
        _run(work, update(work.table, f"({rows})"))
        return
    with work.source.transaction():
        run_sql(work.source, "DROP TABLE IF EXISTS pg_temp.target_ids")
        run_sql(work.source, create_stage(work.table))
        out, into = f"COPY ({rows}) TO STDOUT (FORMAT binary)", f"COPY {STAGE} FROM STDIN (FORMAT binary)"
        feed.stream(work.target, out, work.source, into)
        _run(work, update(work.table, STAGE))


def validate(work: Work) -> None:
    """Has the foreign key checked that the back-reference is, where it was not yet; all ids are written."""
    if not work.table.backref_key:
        return
    row = run_sql(work.source, f"SELECT {unvalidated(work.table)}").fetchone()
    if row and row[0]:
        with work.source.transaction():
            run_sql(work.source, validation(work.table))


def unvalidated(table: TablePlan) -> str:
    """Whether the foreign key is there and was not checked as a whole."""
    return (
        f"EXISTS (SELECT FROM pg_constraint WHERE conrelid = {literal(table.source_sql)}::regclass"
        f" AND conname = {literal(table.backref_key)} AND NOT convalidated)"
    )


def validation(table: TablePlan) -> str:
    """Reads the source, and keeps nobody from reading and writing it."""
    return f"ALTER TABLE {table.source_sql} VALIDATE CONSTRAINT {ident(table.backref_key)}"


def _run(work: Work, statements: list[str]) -> None:
    for statement in statements:
        run_sql(work.source, statement)


def _unnoticed(table: TablePlan, statement: str) -> list[str]:
    """The statement, while the source's triggers are off that it would fire: nothing that they know of changes."""
    if table.woken is None:
        return [statement]
    relation, triggers = table.woken.relation, table.woken.triggers
    return [
        f"LOCK TABLE {relation} IN SHARE ROW EXCLUSIVE MODE",
        "SET CONSTRAINTS ALL IMMEDIATE",
        *(f"ALTER TABLE {relation} DISABLE TRIGGER {ident(trigger.name)}" for trigger in triggers),
        statement,
        *(f"ALTER TABLE {relation} {trigger.enable} {ident(trigger.name)}" for trigger in triggers),
    ]


def pairs(plan: Plan, table: TablePlan, relation: str) -> str:
    """The source key, as k1.., and the target's id of each feed row of `relation` that has a target row."""
    found, condition = links.linked(plan, table, relation, None, untouched=True)
    keys = [
        f"{key} AS {name}" for key, name in zip(key_sql.key_of(table, "f"), _key_names(table), strict=True)
    ]
    key = ident(table.target_key[0].column)
    return f"SELECT {', '.join(keys)}, t.{key} AS id FROM {found}, {table.target_sql} AS t WHERE {condition}"


def create_stage(table: TablePlan) -> str:
    """The source's temporary table of such pairs."""
    names = zip(_key_names(table), table.key, strict=True)
    columns = ", ".join(f"{name} {part.type}" for name, part in names)
    kind = table.target_key[0].type
    return f"CREATE TEMPORARY TABLE target_ids ({columns}, id {kind}) ON COMMIT DROP"


def _key_names(table: TablePlan) -> list[str]:
    return [f"k{number}" for number in range(1, len(table.key) + 1)]


def update(table: TablePlan, relation: str) -> list[str]:
    """Sets the back-reference from (key, id) rows; in a transaction."""
    column = ident(table.backref or "")
    condition = key_sql.equal(
        [part.sql for part in table.key],
        [f"i.{name}" for name in _key_names(table)],
        key_sql.kept_operators(table),
    )
    changed = f"{table.alias}.{column} IS DISTINCT FROM i.id"
    statement = (
        f"UPDATE {table.base_sql} SET {column} = i.id FROM {relation} AS i WHERE {condition} AND {changed}"
    )
    return _unnoticed(table, statement)


def clear(work: Work, chunk: Range) -> None:
    """Empties the back-references of the source rows that a range of a walk over the run's rows stands for."""
    statement = remove.source_keys(work.plan, work.table, work.run, work.fresh, chunk)
    keys = [row[0] for row in run_sql(work.target, statement)]
    empty(work, keys)


def empty(work: Work, keys: Sequence[str]) -> None:
    """Empties the back-references of source rows, by their keys' texts."""
    with work.source.transaction():
        _run(work, emptied(work.table, key_sql.texts(keys)))


def emptied(table: TablePlan, keys: str) -> list[str]:
    """Empties the back-references of source rows; in a transaction. keys: an array of their texts."""
    same = key_sql.equal(
        [part.sql for part in table.key],
        key_sql.decoded("i.key", [part.native for part in table.key]),
        [part.operators for part in table.key],
    )
    column = ident(table.backref or "")
    statement = f"UPDATE {table.base_sql} SET {column} = NULL FROM unnest({keys}) AS i(key) WHERE {same}"
    return _unnoticed(table, statement)
