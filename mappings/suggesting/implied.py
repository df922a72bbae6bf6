"""Foreign keys that no constraint declares: a column that is called like another table's key."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from mappings.suggesting.casts import family
from mappings.suggesting.names import units
from mappings.suggesting.sides import Column, Reference, Side, Table
from mappings.suggesting.vocabulary import singular, vocabulary, words_of

Words = tuple[str, ...]


def with_implied(side: Side) -> Side:
    """The side with an implied reference for each column that has none and is called like a key elsewhere."""
    by_key: dict[tuple[str, str], list[Table]] = defaultdict(list)
    by_name: dict[tuple[str, Words], list[Table]] = defaultdict(list)
    for table in side.tables.values():
        if len(table.primary_key) == 1:
            by_name[table.schema, _base(table.name)].append(table)
            if len(units(table.primary_key[0])) > 1:
                by_key[table.schema, table.primary_key[0]].append(table)
    return Side(
        {oid: replace(t, references=_references(t, by_key, by_name)) for oid, t in side.tables.items()}
    )


def _references(
    table: Table,
    by_key: dict[tuple[str, str], list[Table]],
    by_name: dict[tuple[str, Words], list[Table]],
) -> tuple[Reference, ...]:
    declared = {name for reference in table.references for name in reference.columns}
    result = list(table.references)
    for column in table.columns:
        if column.name in declared or (column.name,) == table.primary_key:
            continue
        named = by_key[table.schema, column.name] or by_name[table.schema, _without_id(column.name)]
        parents = [p for p in named if p.oid != table.oid and _same_type(column, p)]
        if len(parents) == 1:
            result.append(Reference((column.name,), parents[0].oid, parents[0].primary_key, implied=True))
    return tuple(result)


def _same_type(column: Column, parent: Table) -> bool:
    key = parent.column(parent.primary_key[0])
    return key is not None and family(key) == family(column)


def _base(name: str) -> Words:
    """The words of a table's name in the singular, without tbl and the like."""
    words = tuple(singular(word) for word in words_of(name))
    return tuple(word for word in words if word not in vocabulary().weak) or words


def _without_id(name: str) -> Words:
    """What stands before id in a column's name; () where it does not end like that, or nothing stands there."""
    words = words_of(name)
    if len(words) < 2 or not vocabulary().meanings(words[-1]) & {"id"}:
        return ("",)
    return tuple(singular(word) for word in words[:-1])
