"""A sample that hangs together: the first rows of each table, and of their parents all that they point to."""

from __future__ import annotations

from dataclasses import replace

from jobs.engine.feed import Work, run_sql
from jobs.engine.sql import key_sql
from jobs.engine.sql.references.ids_inside.values import elements
from jobs.engine.sql.walks.chunk_range import Range
from mappings.compiling.projection import key_text
from mappings.plan.references import Reference
from mappings.sql import NOTHING, compose, joined, verbatim

MOST_ROUNDS = 10
"""Generations of parents that are followed."""


def add_parents(works: dict[str, Work], ranges: dict[str, list[Range]]) -> None:
    """Adds to each table's range the keys beyond it that rows of the sample point to, and those that these do."""
    wanted: dict[str, set[str]] = {name: set() for name in works}
    new = {name: list(result) for name, result in ranges.items()}
    for _ in range(MOST_ROUNDS):
        asked: dict[str, set[str]] = {}
        for name, result in new.items():
            for ref in works[name].table.references:
                if ref.parent in works and ranges[ref.parent][0].high is not None:
                    for one in result:
                        asked.setdefault(ref.parent, set()).update(_parents(works[name], ref, one))
        more = {name: keys - wanted[name] for name, keys in asked.items() if keys - wanted[name]}
        if not more:
            break
        for name, keys in more.items():
            wanted[name] |= keys
        new = {name: [_beyond(ranges[name][0], keys)] for name, keys in more.items()}
    for name, keys in wanted.items():
        if keys:
            ranges[name].append(_beyond(ranges[name][0], keys))


def _beyond(first: Range, keys: set[str]) -> Range:
    """These keys, as far as they are not in the first range."""
    return Range(low=first.high, only=tuple(sorted(keys)))


def _parents(work: Work, ref: Reference, one: Range) -> set[str]:
    """The keys of the parents that a range's rows point to, as the map writes them."""
    text = key_text([(by.sql, by.type) for by in ref.by])
    inside = compose(", LATERAL {} AS e", elements(ref.inside, ref.by[0].sql)) if ref.inside else NOTHING
    if ref.inside:
        text = key_text([(verbatim("e.id"), ref.inside.key)])
    known = joined(" AND ", (compose("({}) IS NOT NULL", by.sql) for by in ref.by))
    conditions = [
        work.table.feed.where_sql,
        key_sql.source_range(work.table, replace(one, without=())),
        known,
    ]
    where = joined(" AND ", (compose("({})", part) for part in conditions if part))
    rows = run_sql(
        work.source,
        compose(
            "SELECT DISTINCT {text} FROM {from_sql}{inside} WHERE {where}",
            text=text, from_sql=work.table.feed.from_sql, inside=inside, where=where,
        ),
    )  # fmt: skip
    return {row[0] for row in rows}
