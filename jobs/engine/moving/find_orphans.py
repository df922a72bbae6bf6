"""Rows of a run whose parent was not migrated, though it should be looked up after the copy: which they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jobs.engine import feed
from jobs.engine.errors import RowError, orphan
from jobs.engine.feed import Work, run_sql
from jobs.engine.moving import late_parents
from jobs.engine.sql import key_sql, links, remove
from jobs.engine.sql.key_sql import FeedColumn
from jobs.engine.sql.references import parents
from jobs.engine.sql.references.ids_inside.values import elements
from jobs.engine.sql.walks.chunk_range import Range
from mappings.compiling.projection import key_text
from mappings.plan.references import Reference
from mappings.sql import NOTHING, Sql, compose, joined, verbatim


def of_range(work: Work, chunk: Range) -> list[RowError]:
    """Rows of a range whose deferred reference finds no parent that is there or may come late; each row once.

    One more than may be set aside at most.
    """
    result: dict[str, RowError] = {}
    with work.target.transaction():
        relation = feed.relation(work, chunk, "link")
        for number, ref in key_sql.references(work.table, "link"):
            if ref.missing != "null":
                for error in _without_parent(work, relation, number, ref):
                    result.setdefault(error.key, error)
    return list(result.values())


def _without_parent(work: Work, relation: Sql, number: int, ref: Reference) -> list[RowError]:
    lost = _lost(work, relation, number, ref)
    asked = [row[0] for row in run_sql(work.target, compose("SELECT DISTINCT x.parent FROM ({}) AS x", lost))]
    gone = sorted(set(asked) - late_parents.parents(work, ref, asked))
    if not gone:
        return []
    some = compose("WHERE x.parent = ANY ({}) LIMIT {}", key_sql.texts(gone), work.plan.max_quarantined + 1)
    rows = run_sql(work.target, compose("SELECT x.key, x.parent FROM ({}) AS x {}", lost, some))
    return [orphan(work.table.name, key, ref.target, ref.parent, parent) for key, parent in rows]


def _lost(work: Work, relation: Sql, number: int, ref: Reference) -> Sql:
    """(key, parent): source keys of rows that the run brought, and of the parents that they do not find."""
    table, result = work.table, parents.resolve(work.plan, number, ref)
    inner = compose(
        "(SELECT {key_of}, ({first_lost}) AS parent\n  FROM {relation} AS f\n  {joins}\n WHERE {missing})",
        key_of=joined(", ", key_sql.key_of(table, verbatim("f"))),
        first_lost=parents.first_lost(work.plan, number, ref), relation=relation, joins=result.joins,
        missing=result.missing,
    )  # fmt: skip
    run = None if work.fresh else work.run
    source, condition = links.linked(work.plan, table, inner, run, untouched=True)
    key = key_sql.feed_key_text(table, verbatim("f"))
    return compose(
        "SELECT {key} AS key, f.parent FROM {source}, {target_sql} AS t\n WHERE {condition}",
        key=key, source=source, target_sql=table.into.target_sql, condition=condition,
    )  # fmt: skip


def children(work: Work, number: int, ref: Reference, keys: Sequence[str]) -> list[RowError]:
    """Rows that the run brought and that refer to one of these source rows of the parent's table."""
    parts = [
        FeedColumn(
            compose("k{}", place),
            compose("({})::{}", part.sql, part.type),
            NOTHING,
        )
        for place, part in enumerate(work.table.feed.key, 1)
    ]
    parts += [
        FeedColumn(compose("r{}_{}", number, place), by.sql, NOTHING) for place, by in enumerate(ref.by, 1)
    ]
    asked = _inside(work, number, ref, keys, parts) if ref.inside else _plain(work, number, ref, keys, parts)
    rows: dict[str, str] = dict(run_sql(work.source, asked).fetchall())
    own = brought(work, rows)
    return [
        orphan(work.table.name, key, ref.target, ref.parent, parent)
        for key, parent in rows.items()
        if key in own
    ]


def _plain(work: Work, number: int, ref: Reference, keys: Sequence[str], parts: Sequence[FeedColumn]) -> Sql:
    """(key, parent's key) of source rows that refer to one of these keys."""
    key, parent = key_sql.feed_key_text(work.table, verbatim("f")), parents.parent_key_text(number, ref)
    return compose(
        "SELECT {key}, {parent} FROM (\n{projected}\n) AS f\n WHERE {begins_as} AND {parent} = ANY ({texts})",
        key=key,
        parent=parent,
        projected=key_sql.projected(work.table, Range(), parts),
        begins_as=key_sql.begins_as(
            compose("f.r{}_1", number), ref.by[0].type, keys, len(ref.by), ref.by[0].operators
        ),
        texts=key_sql.texts(keys),
    )


def _inside(work: Work, number: int, ref: Reference, keys: Sequence[str], parts: Sequence[FeedColumn]) -> Sql:
    """The same where ids are inside a value; of several parents the first that goes is named."""
    assert ref.inside is not None
    key = key_sql.feed_key_text(work.table, verbatim("f"))
    text = key_text([(verbatim("e.id"), ref.inside.key)])
    ids = elements(ref.inside, compose("f.r{}_1", number))
    return compose(
        "SELECT DISTINCT ON (1) {key}, {text} FROM (\n{projected}\n) AS f,"
        " LATERAL {ids} AS e\n WHERE {text} = ANY ({texts}) ORDER BY 1, e.o",
        key=key, text=text, projected=key_sql.projected(work.table, Range(), parts), ids=ids,
        texts=key_sql.texts(keys),
    )  # fmt: skip


def brought(work: Work, keys: Iterable[str]) -> set[str]:
    """Which of these source rows the run brought."""
    chunk = Range(only=tuple(keys))
    if not chunk.only:
        return set()
    own = remove.source_keys(work, chunk)
    return {row[0] for row in run_sql(work.target, own)}
