"""How a feed row finds the value that was kept for it."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.engine.sql import key_sql
from mappings.plan.model import Plan
from mappings.plan.references import Reference
from mappings.sql import literal

KEPT = "migrator.assigned_value"

KNOWN = f"ANALYZE {KEPT} (mapping, table_name, column_name, source_key)"
"""Without it the planner looks each row up among all others."""

UNASSIGNED = "no value was assigned to it yet: it came, or changed, after that was done"


@dataclass(frozen=True, slots=True)
class Resolved:
    """A reference in terms of what is joined: joins to add, its value, and whether that is missing.

    lost: the key of the missing parent, where it is another than what the row gives.
    """

    joins: str
    value: str
    missing: str
    lost: str = ""


def is_of(plan: Plan, ref: Reference, alias: str, key: str) -> str:
    """Whether a kept value is that of a column and source key."""
    assert ref.assigned is not None
    of_table = key_sql.of_table(plan, ref.assigned.table, alias)
    return f"{of_table} AND {alias}.column_name = {literal(ref.target)} AND {alias}.source_key = {key}"


def says_itself(ref: Reference) -> bool:
    """Whether the source says a value, that is only changed where it is taken."""
    return len(ref.by) > 1


def own(number: int, row: str) -> str:
    """What the source says."""
    return f"{row}.r{number}_2"


def resolve(plan: Plan, number: int, ref: Reference, row: str) -> Resolved:
    """The value that was kept for a row; one whose source says something else by now has none yet."""
    alias, said = f"assigned{number}", own(number, row)
    joins = f"LEFT JOIN {KEPT} AS {alias} ON {is_of(plan, ref, alias, f'{row}.r{number}_1')}"
    missing = f"({alias}.source_key IS NULL OR {alias}.problem IS NOT NULL)"
    value = f"{alias}.value"
    if says_itself(ref):
        joins += f" AND {alias}.base = {said}"
        missing = f"{said} IS NOT NULL AND {missing}"
        value = f"CASE WHEN {alias}.source_key IS NULL THEN {said} ELSE {alias}.value END"
    return Resolved(joins, value, missing, f"coalesce({alias}.problem, {literal(UNASSIGNED)})")


def is_any_unassigned(plan: Plan, number: int, ref: Reference, relation: str) -> str:
    """Whether rows of a feed have no value yet."""
    asked = f"{own(number, 'f')} IS NOT NULL AND " if says_itself(ref) else ""
    where = f"{asked}assigned{number}.source_key IS NULL"
    return f"EXISTS (SELECT FROM {relation} AS f\n  {resolve(plan, number, ref, 'f').joins}\n WHERE {where})"
