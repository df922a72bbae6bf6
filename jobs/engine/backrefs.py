"""Writes the target's ids into the source's own column, and takes them out again."""

from __future__ import annotations

from jobs.engine import feed, pieces, removals, statements
from jobs.engine.feed import Work, run_sql
from jobs.engine.pieces import Range
from mappings.projection import ident, key_text

STAGE = "pg_temp.target_ids"


def write(work: Work, chunk: Range) -> None:
    """Fills the back-reference of one chunk's source rows, wherever it is not yet what it should be."""
    relation = feed.relation(work, chunk, "link")
    pairs, condition = statements.linked(work.plan, work.table, relation, None, untouched=True)
    key = work.table.target_key[0]
    rows = (
        f"SELECT {', '.join(pieces.key_of(work.table, 'f'))}, t.{ident(key.column)}"
        f" FROM {pairs}, {work.table.target_sql} AS t WHERE {condition}"
    )
    if work.plan.same_database:
        names = ", ".join([*_key_names(work), "id"])
        run_sql(work.source, _update(work, f"(SELECT * FROM ({rows}) AS x({names}))"))
        return
    with work.source.transaction():
        columns = [f"{name} {part.type}" for name, part in zip(_key_names(work), work.table.key, strict=True)]
        run_sql(work.source, "DROP TABLE IF EXISTS pg_temp.target_ids")
        run_sql(
            work.source,
            f"CREATE TEMPORARY TABLE target_ids ({', '.join(columns)}, id {key.type}) ON COMMIT DROP",
        )
        out, into = f"COPY ({rows}) TO STDOUT (FORMAT binary)", f"COPY {STAGE} FROM STDIN (FORMAT binary)"
        feed.stream(work.target, out, work.source, into)
        run_sql(work.source, _update(work, STAGE))


def _key_names(work: Work) -> list[str]:
    return [f"k{number}" for number in range(1, len(work.table.key) + 1)]


def _update(work: Work, relation: str) -> str:
    """Sets the back-reference from (key, id) rows."""
    column = ident(work.table.backref or "")
    base = work.table.base_sql
    condition = pieces.equal(
        [part.sql for part in work.table.key], [f"i.{name}" for name in _key_names(work)]
    )
    qualified = f"{work.table.key[0].sql.rpartition('.')[0]}.{column}"
    changed = f"{qualified} IS DISTINCT FROM i.id"
    return f"UPDATE {base} SET {column} = i.id FROM {relation} AS i WHERE {condition} AND {changed}"


def clear(work: Work, chunk: Range) -> None:
    """Empties the back-references of the source rows that a range of a walk over the run's rows stands for."""
    statement = removals.source_keys(work.plan, work.table, work.run, work.fresh, chunk)
    keys = [row[0] for row in run_sql(work.target, statement)]
    column, whole = ident(work.table.backref or ""), [(part.sql, part.native) for part in work.table.key]
    run_sql(
        work.source,
        f"UPDATE {work.table.base_sql} SET {column} = NULL WHERE {key_text(whole)} = ANY ({pieces.texts(keys)})",
    )
