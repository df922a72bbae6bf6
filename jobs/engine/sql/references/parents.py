"""How a feed row finds the rows that its parents became: by joins, or inside a value, of which nothing else changes."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.engine.sql import key_sql
from jobs.engine.sql.references import lookup
from jobs.engine.sql.references.ids_inside.values import elements, replaced
from jobs.engine.sql.references.lookup import Resolved
from mappings.compiling.projection import key_text
from mappings.plan.model import Plan
from mappings.plan.references import Reference
from mappings.sql import NOTHING, Sql, collated, compose, ident, joined, literal, verbatim

F = verbatim("f")
"""A row of the feed."""


def parent_key_text(number: int, ref: Reference, row: Sql = F) -> Sql:
    """The key of the parent that a feed row refers to, as the map writes it."""
    return key_text(
        [(part, by.type) for part, by in zip(looked_up_by(number, ref, row), ref.by, strict=True)]
    )


def looked_up_by(number: int, ref: Reference, row: Sql = F) -> list[Sql]:
    """The parts of that key, as the feed has them."""
    return [compose("{}.r{}_{}", row, number, place) for place in range(1, len(ref.by) + 1)]


def resolve(plan: Plan, number: int, ref: Reference, row: Sql = F) -> Resolved:
    """How the feed row finds the parent's row: by its source id, or through the map."""
    if ref.assigned:
        return lookup.resolve(plan, number, ref, row)
    return _inside(plan, number, ref, row) if ref.inside else _parent(plan, number, ref, row)


def _inside(plan: Plan, number: int, ref: Reference, row: Sql) -> Resolved:
    """The same for ids inside a value: the value with all of them replaced, those of earlier places too."""
    value = compose("{}.r{}_1", row, number - len(ref.earlier))
    first = number - len(ref.earlier)
    for place, one in enumerate((*ref.earlier, ref), start=first):
        value = replaced(one, value, place, _parent(plan, place, one, verbatim("e")))
    lost = ref.inside is not None and not ref.inside.policy
    missing = compose("({}) IS NOT NULL", first_lost(plan, number, ref, row)) if lost else verbatim("false")
    return Resolved(NOTHING, value, missing, first_lost(plan, number, ref, row))


def first_lost(plan: Plan, number: int, ref: Reference, row: Sql = F) -> Sql:
    """The key of the parent that a feed row refers to; inside a value the first that was not migrated."""
    if ref.assigned:
        return lookup.resolve(plan, number, ref, row).lost
    if ref.inside is None:
        return parent_key_text(number, ref, row)
    result = _parent(plan, number, ref, verbatim("e"), verbatim("e.raw IS NOT NULL"))
    ids = elements(ref.inside, compose("{}.r{}_1", row, number))
    key = key_text([(compose("e.r{}_1", number), ref.inside.key)])
    return compose(
        "SELECT coalesce({key}, e.raw) FROM {ids} AS e(raw, r{number}_1, o)\n  {joins}\n"
        " WHERE {missing} ORDER BY e.o LIMIT 1",
        key=key, ids=ids, number=number, joins=result.joins, missing=result.missing,
    )  # fmt: skip


def _parent(plan: Plan, number: int, ref: Reference, row: Sql, asked: Sql = NOTHING) -> Resolved:
    """asked: whether there is a parent to be found, by default wherever its key is given."""
    if not ref.parent:
        return Resolved(
            NOTHING,
            compose("NULL::{}", ref.type),
            compose("{}.r{}_1 IS NOT NULL", row, number),
        )
    parent = plan.table(ref.parent)
    by = looked_up_by(number, ref, row)
    asked = asked or joined(" AND ", (compose("{} IS NOT NULL", part) for part in by))
    row_alias, map_alias = compose("p{}", number), compose("m{}", number)
    if parent.link.link_by == "source_id":
        ids = key_sql.source_id_columns(parent, row_alias)
        same = key_sql.equal(ids, by, key_sql.kept_operators(parent))
        joins = compose("LEFT JOIN {} AS {} ON {}", parent.into.target_sql, row_alias, same)
        return Resolved(
            joins,
            compose("{}.{}", row_alias, ident(ref.value_column)),
            compose("{} IS NULL AND {}", ids[0], asked),
        )
    parts = list(zip(by, [part.type for part in parent.feed.key], strict=True))
    joins = compose(
        "LEFT JOIN {map} AS {map_alias} ON {of_table} AND {map_alias}.source_key = {key_text}",
        map=key_sql.MAP, map_alias=map_alias, of_table=key_sql.of_table(plan, parent.name, map_alias),
        key_text=key_text(parts),
    )  # fmt: skip
    keys = key_sql.decoded(compose("{}.target_key", map_alias), [key.kept for key in parent.into.target_key])
    names = key_sql.target_keys(parent, row_alias)
    same = key_sql.equal(names, keys, key_sql.target_operators(parent))
    joins = compose(
        "{joins}\n  LEFT JOIN {target_sql} AS {row_alias} ON {same}",
        joins=joins, target_sql=parent.into.target_sql, row_alias=row_alias, same=same,
    )  # fmt: skip
    return Resolved(
        joins,
        compose("{}.{}", row_alias, ident(ref.value_column)),
        compose("{} IS NULL AND {}", names[0], asked),
    )


def reference_value(number: int, ref: Reference, resolved: Resolved, strict: bool, row: Sql = F) -> Sql:
    """The reference's SQL of the target's type; with strict a missing parent raises MG001 unless it may be NULL."""
    value = collated(compose("({})::{}", resolved.value, ref.type), ref.collation)
    if not strict or ref.missing == "null":
        return value
    key = compose("({})", resolved.lost) if resolved.lost else parent_key_text(number, ref, row)
    raised = compose(
        "migrator.missing_parent({target}, {parent}, {key}, NULL::{type})",
        target=literal(ref.target), parent=literal(ref.parent), key=key, type=ref.type,
    )  # fmt: skip
    return compose("CASE WHEN {} THEN {} ELSE {} END", resolved.missing, raised, value)


def together(refs: Sequence[tuple[int, Reference]], values: Sequence[Sql]) -> Sql:
    """What fills a column that has several references: the one that is not NULL; of places in a document the last,
    which is made of those before.
    """
    if len(values) == 1:
        return values[0]
    if refs[0][1].inside:  # the others are read as well: they refuse a row whose parent is missing there
        return compose(
            "CASE WHEN {} THEN {} END",
            joined(" AND ", (compose("{} IS NOT NULL", value) for value in values[:-1])),
            values[-1],
        )
    return compose("coalesce({})", joined(", ", values))
