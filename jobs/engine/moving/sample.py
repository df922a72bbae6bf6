"""A sample that hangs together: the first rows of each table, and of their parents all that they point to."""

from __future__ import annotations

from dataclasses import replace

from jobs.engine.feed import Work, run_sql
from jobs.engine.sql import key_sql, parents
from jobs.engine.sql.key_sql import Range
from mappings.compiling.projection import key_text
from mappings.plan.references import Reference

MOST_ROUNDS = 10
"""Generations of parents that are followed."""


def add_parents(works: dict[str, Work], ranges: dict[str, list[Range]]) -> None:
    """Adds to each table's range the keys beyond it that rows of the sample point to, and those that these do."""
    wanted: dict[str, set[str]] = {name: set() for name in works}
    new = {name: list(found) for name, found in ranges.items()}
    for _ in range(MOST_ROUNDS):
        asked: dict[str, set[str]] = {}
        for name, found in new.items():
            for ref in works[name].table.references:
                if ref.parent in works and ranges[ref.parent][0].high is not None:
                    for one in found:
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
    inside = f", LATERAL {parents.elements(ref.inside, ref.by[0].sql)} AS e" if ref.inside else ""
    if ref.inside:
        text = key_text([("e.id", ref.inside.key)])
    known = " AND ".join(f"({by.sql}) IS NOT NULL" for by in ref.by)
    conditions = [
        work.table.feed.where_sql,
        key_sql.source_range(work.table, replace(one, without=())),
        known,
    ]
    where = " AND ".join(f"({part})" for part in conditions if part)
    rows = run_sql(
        work.source, f"SELECT DISTINCT {text} FROM {work.table.feed.from_sql}{inside} WHERE {where}"
    )
    return {row[0] for row in rows}
