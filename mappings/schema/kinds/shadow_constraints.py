"""Checks and foreign keys of the column, made NOT VALID over its shadow."""

from __future__ import annotations

from mappings.catalog.column_dependents import Bound
from mappings.plan.schema_steps import Heaviness, Step
from mappings.schema.kinds.preparing import Preparing
from mappings.schema.lock_cost import EVERYBODY
from mappings.schema.rename import renamed
from mappings.schema.safe_change import Change, not_null_check
from mappings.sql import Sql, compose, ident


class ShadowConstraints(Preparing):
    """ADD CONSTRAINT … NOT VALID: rows that are there are looked at later."""

    name = "shadow_constraints"


def constrain_shadow(change: Change) -> Step | None:
    """Checks and foreign keys as the column has them; NOT VALID: rows that are there are looked at later."""
    result = change.dependents.of("check", "foreign key", "foreign key of another")
    made = [(one.relation, change.name(one), _definition(change, one)) for one in result]
    if change.dependents.not_null:
        check = compose("CHECK ({} IS NOT NULL) NOT VALID", ident(change.shadow.name))
        made.insert(0, (change.target.sql, not_null_check(change), check))
    if not made:
        return None
    adds = tuple(
        compose("ALTER TABLE {} ADD CONSTRAINT {} {}", table, ident(name), text) for table, name, text in made
    )
    drops = tuple(
        compose("ALTER TABLE IF EXISTS {} DROP CONSTRAINT IF EXISTS {}", table, ident(name))
        for table, name, _ in made
    )
    cost = Heaviness(waits=EVERYBODY, also_locked=change.plain.heaviness.also_locked)
    return ShadowConstraints().step(
        change,
        "make its constraints",
        adds,
        drops,
        weight="catalog only",
        heaviness=cost,
    )


def _definition(change: Change, one: Bound) -> Sql:
    printed, new = change.dependents.printed, ident(change.shadow.name)
    if one.kind == "check":
        text = renamed(one.definition, printed, new)
    elif one.kind == "foreign key":
        mine, rest = (renamed(part, printed, new) for part in (one.columns, one.definition))
        text = compose(
            "FOREIGN KEY ({mine}) REFERENCES {parent}({parent_columns}){rest}",
            mine=mine,
            parent=one.parent,
            parent_columns=one.parent_columns,
            rest=rest,
        )
    else:
        theirs = renamed(one.parent_columns, printed, new)
        text = compose(
            "FOREIGN KEY ({columns}) REFERENCES {parent}({theirs}){definition}",
            columns=one.columns,
            parent=one.parent,
            theirs=theirs,
            definition=one.definition,
        )
    return text if text.endswith((" NOT VALID", " NOT ENFORCED")) else compose("{} NOT VALID", text)
