"""Rows of a run whose parent was not migrated, though it should be looked up after the copy: which they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jobs.engine import feed
from jobs.engine.errors import RowError, orphan
from jobs.engine.feed import Work, run_sql
from jobs.engine.moving import late_parents
from jobs.engine.sql import key_sql, links, parents, remove
from jobs.engine.sql.key_sql import FeedColumn, Range
from mappings.compiling.projection import key_text
from mappings.plan.references import Reference


def of_range(work: Work, chunk: Range) -> list[RowError]:
    """Rows of a range whose deferred reference finds no parent that is there or may come late; each row once.

    One more than may be set aside at most.
    """
    found: dict[str, RowError] = {}
    with work.target.transaction():
        relation = feed.relation(work, chunk, "link")
        for number, ref in key_sql.references(work.table, "link"):
            if ref.missing != "null":
                for error in _without_parent(work, relation, number, ref):
                    found.setdefault(error.key, error)
    return list(found.values())


def _without_parent(work: Work, relation: str, number: int, ref: Reference) -> list[RowError]:
    lost = _lost(work, relation, number, ref)
    asked = [row[0] for row in run_sql(work.target, f"SELECT DISTINCT x.parent FROM ({lost}) AS x")]
    gone = sorted(set(asked) - late_parents.parents(work, ref, asked))
    if not gone:
        return []
    some = f"WHERE x.parent = ANY ({key_sql.texts(gone)}) LIMIT {work.plan.max_quarantined + 1}"
    rows = run_sql(work.target, f"SELECT x.key, x.parent FROM ({lost}) AS x {some}")
    return [orphan(work.table.name, key, ref.target, ref.parent, parent) for key, parent in rows]


def _lost(work: Work, relation: str, number: int, ref: Reference) -> str:
    """(key, parent): source keys of rows that the run brought, and of the parents that they do not find."""
    table, found = work.table, parents.resolve(work.plan, number, ref)
    inner = (
        f"(SELECT {', '.join(key_sql.key_of(table, 'f'))}, ({parents.first_lost(work.plan, number, ref)}) AS parent\n"
        f"  FROM {relation} AS f\n  {found.joins}\n WHERE {found.missing})"
    )
    run = None if work.fresh else work.run
    source, condition = links.linked(work.plan, table, inner, run, untouched=True)
    key = key_sql.feed_key_text(table, "f")
    return f"SELECT {key} AS key, f.parent FROM {source}, {table.into.target_sql} AS t\n WHERE {condition}"


def children(work: Work, number: int, ref: Reference, keys: Sequence[str]) -> list[RowError]:
    """Rows that the run brought and that refer to one of these source rows of the parent's table."""
    parts = [
        FeedColumn(f"k{place}", f"({part.sql})::{part.type}", "")
        for place, part in enumerate(work.table.feed.key, 1)
    ]
    parts += [FeedColumn(f"r{number}_{place}", by.sql, "") for place, by in enumerate(ref.by, 1)]
    asked = _inside(work, number, ref, keys, parts) if ref.inside else _plain(work, number, ref, keys, parts)
    found: dict[str, str] = dict(run_sql(work.source, asked).fetchall())
    own = brought(work, found)
    return [
        orphan(work.table.name, key, ref.target, ref.parent, parent)
        for key, parent in found.items()
        if key in own
    ]


def _plain(work: Work, number: int, ref: Reference, keys: Sequence[str], parts: Sequence[FeedColumn]) -> str:
    """(key, parent's key) of source rows that refer to one of these keys."""
    key, parent = key_sql.feed_key_text(work.table, "f"), parents.parent_key_text(number, ref)
    return (
        f"SELECT {key}, {parent} FROM (\n{key_sql.projected(work.table, Range(), parts)}\n) AS f\n"
        f" WHERE {key_sql.begins_as(f'f.r{number}_1', ref.by[0].type, keys, len(ref.by), ref.by[0].operators)}"
        f" AND {parent} = ANY ({key_sql.texts(keys)})"
    )


def _inside(work: Work, number: int, ref: Reference, keys: Sequence[str], parts: Sequence[FeedColumn]) -> str:
    """The same where ids are inside a value; of several parents the first that goes is named."""
    assert ref.inside is not None
    key, text = key_sql.feed_key_text(work.table, "f"), key_text([("e.id", ref.inside.key)])
    ids = parents.elements(ref.inside, f"f.r{number}_1")
    return (
        f"SELECT DISTINCT ON (1) {key}, {text} FROM (\n{key_sql.projected(work.table, Range(), parts)}\n) AS f,"
        f" LATERAL {ids} AS e\n WHERE {text} = ANY ({key_sql.texts(keys)}) ORDER BY 1, e.o"
    )


def brought(work: Work, keys: Iterable[str]) -> set[str]:
    """Which of these source rows the run brought."""
    chunk = Range(only=tuple(keys))
    if not chunk.only:
        return set()
    own = remove.source_keys(work.plan, work.table, work.run, work.fresh, chunk)
    return {row[0] for row in run_sql(work.target, own)}
