"""How a feed row finds the value that was kept for it."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.engine.sql import key_sql
from mappings.plan.model import Plan
from mappings.plan.references import Reference
from mappings.sql import NOTHING, Sql, compose, literal, verbatim

KEPT = verbatim("migrator.assigned_value")

KNOWN = compose("ANALYZE {} (mapping, table_name, column_name, source_key)", KEPT)
"""Without it the planner looks each row up among all others."""

UNASSIGNED = "no value was assigned to it yet: it came, or changed, after that was done"


@dataclass(frozen=True, slots=True)
class Resolved:
    """A reference in terms of what is joined: joins to add, its value, and whether that is missing.

    lost: the key of the missing parent, where it is another than what the row gives.
    """

    joins: Sql
    value: Sql
    missing: Sql
    lost: Sql = NOTHING


def is_of(plan: Plan, ref: Reference, alias: Sql, key: Sql) -> Sql:
    """Whether a kept value is that of a column and source key."""
    assert ref.assigned is not None
    of_table = key_sql.of_table(plan, ref.assigned.table, alias)
    return compose(
        "{of_table} AND {alias}.column_name = {target} AND {alias}.source_key = {key}",
        of_table=of_table, alias=alias, target=literal(ref.target), key=key,
    )  # fmt: skip


def says_itself(ref: Reference) -> bool:
    """Whether the source says a value, that is only changed where it is taken."""
    return len(ref.by) > 1


def own(number: int, row: Sql) -> Sql:
    """What the source says."""
    return compose("{}.r{}_2", row, number)


def resolve(plan: Plan, number: int, ref: Reference, row: Sql) -> Resolved:
    """The value that was kept for a row; one whose source says something else by now has none yet.

    Looked up row by row (OFFSET 0): left to itself the planner reads what all rows got, again for each chunk.
    """
    alias, said = compose("assigned{}", number), own(number, row)
    kept = is_of(plan, ref, alias, compose("{}.r{}_1", row, number))
    if says_itself(ref):
        kept = compose("{} AND {}.base = {}", kept, alias, said)
    joins = compose(
        "LEFT JOIN LATERAL (SELECT * FROM {KEPT} AS {alias} WHERE {kept} OFFSET 0) AS {alias} ON true",
        KEPT=KEPT, alias=alias, kept=kept,
    )  # fmt: skip
    missing = compose("({alias}.source_key IS NULL OR {alias}.problem IS NOT NULL)", alias=alias)
    value = compose("{}.value", alias)
    if says_itself(ref):
        missing = compose("{} IS NOT NULL AND {}", said, missing)
        value = compose(
            "CASE WHEN {alias}.source_key IS NULL THEN {said} ELSE {alias}.value END", alias=alias, said=said
        )
    return Resolved(
        joins,
        value,
        missing,
        compose("coalesce({}.problem, {})", alias, literal(UNASSIGNED)),
    )


def is_any_unassigned(plan: Plan, number: int, ref: Reference, relation: Sql) -> Sql:
    """Whether rows of a feed have no value yet."""
    asked = compose("{} IS NOT NULL AND ", own(number, verbatim("f"))) if says_itself(ref) else NOTHING
    where = compose("{}assigned{}.source_key IS NULL", asked, number)
    return compose(
        "EXISTS (SELECT FROM {} AS f\n  {}\n WHERE {})",
        relation,
        resolve(plan, number, ref, verbatim("f")).joins,
        where,
    )
