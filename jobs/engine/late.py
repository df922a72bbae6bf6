"""Parents that came too late: they are in the source by now, but were not when their range was copied.

A row that refers to one is left for the sweep at the end, which brings the parent first; it is no bad row.
"""

from __future__ import annotations

from jobs.engine import feed, pieces
from jobs.engine.errors import MISSING_PARENT, RowError
from jobs.engine.feed import Work, run_sql
from jobs.engine.pieces import Range
from mappings.plan import Reference
from mappings.projection import key_text, literal


def waits_for_parent(work: Work, error: RowError) -> bool:
    """Whether a row failed for nothing but a parent of another table that came too late."""
    if error.sqlstate != MISSING_PARENT:
        return False
    for ref in work.table.references:
        said = f"the {ref.parent} row "
        if ref.target == error.column and ref.parent != work.table.name and error.message.startswith(said):
            return _is_late(work, ref, error.message.removeprefix(said).removesuffix(" was not migrated"))
    return False


def all_late(work: Work, chunk: Range) -> bool:
    """Whether every parent that a range's deferred references do not find came too late."""
    with work.target.transaction():
        relation = feed.relation(work, chunk, "link")
        lost = [
            (ref, key)
            for number, ref in pieces.references(work.table, "link")
            if ref.missing != "null"
            for key in _lost(work, relation, number, ref)
        ]
    return all(_is_late(work, ref, key) for ref, key in lost)


def _lost(work: Work, relation: str, number: int, ref: Reference) -> list[str]:
    """Source keys of the parents that one reference looks for, and that are not in the target."""
    found = pieces.resolve(work.plan, number, ref)
    key = key_text([(f"f.r{number}_{place}", by.type) for place, by in enumerate(ref.by, start=1)])
    query = f"SELECT DISTINCT {key} FROM {relation} AS f\n  {found.joins} WHERE {found.missing}"
    return [row[0] for row in run_sql(work.target, query)]


def _is_late(work: Work, ref: Reference, key: str) -> bool:
    """Whether a parent that is not in the target is in the run's scope at the source, and was not set aside."""
    if ref.parent not in work.plan.selected:
        return False
    parent = work.plan.table(ref.parent)
    parts = pieces.decoded(literal(key), [part.native for part in parent.key])
    same = pieces.equal([part.sql for part in parent.key], parts)
    where = " AND ".join(condition for condition in (parent.where_sql, same) if condition)
    if run_sql(work.source, f"SELECT 1 FROM {parent.from_sql} WHERE {where} LIMIT 1").fetchone() is None:
        return False
    aside = work.target.execute(
        "SELECT 1 FROM migrator.quarantine WHERE mapping = %s AND table_name = %s AND source_key = %s",
        [work.plan.mapping, parent.name, key],
    )
    return aside.fetchone() is None
