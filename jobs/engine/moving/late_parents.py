"""Parents that came too late: they are in the source by now, but were not when their range was copied.

A row that refers to one is left for the sweep at the end, which brings the parent first; it is no bad row.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobs.engine.errors import MISSING_PARENT, RowError
from jobs.engine.feed import Work, run_sql
from jobs.engine.sql import key_sql
from jobs.engine.sql.references.ids_inside.keys import may_be_key
from mappings.plan.references import Reference
from mappings.sql import compose, ident, joined


def waits_for_parent(work: Work, error: RowError) -> bool:
    """Whether a row failed for nothing but a parent of another table that came too late."""
    if error.sqlstate != MISSING_PARENT:
        return False
    for ref in work.table.references:
        named = error.message.startswith(
            f"the {ref.parent} row "
        )  # of several parents the one that was asked
        if ref.target == error.column and ref.parent != work.table.name and error.parent_key and named:
            return bool(parents(work, ref, [error.parent_key]))
    return False


def parents(work: Work, ref: Reference, keys: Sequence[str]) -> set[str]:
    """Of parents that are not in the target, those in the run's scope at the source that were not set aside."""
    if ref.inside:
        keys = [key for key in keys if may_be_key(key, ref.inside.key)]
    if ref.parent not in work.plan.selected or not keys:
        return set()
    parent, asked = work.plan.table(ref.parent), ident("migrator asked")
    parts = key_sql.decoded(compose("{}.key", asked), [part.native for part in parent.feed.key])
    same = key_sql.equal(
        [part.sql for part in parent.feed.key], parts, [part.operators for part in parent.feed.key]
    )
    where = joined(" AND ", (condition for condition in (parent.feed.where_sql, same) if condition))
    there = run_sql(
        work.source,
        compose(
            "SELECT {asked}.key FROM unnest({texts}) AS {asked}(key)"
            " WHERE EXISTS (SELECT FROM {from_sql} WHERE {where})",
            asked=asked, texts=key_sql.texts(keys), from_sql=parent.feed.from_sql, where=where,
        ),
    ).fetchall()  # fmt: skip
    aside = work.target.execute(
        "SELECT source_key FROM migrator.quarantine"
        " WHERE mapping = %s AND table_name = %s AND source_key = ANY (%s)",
        [work.plan.mapping, parent.name, list(keys)],
    ).fetchall()
    return {row[0] for row in there} - {row[0] for row in aside}
