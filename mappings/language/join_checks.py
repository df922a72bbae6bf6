"""Checks the joins of a table mapping: other source tables, and lists of the row itself."""

from __future__ import annotations

from mappings.expressions.parser import parse_expression, parse_relation
from mappings.language.fields import Fields, Notes, Plain, quoted
from mappings.language.spec import Join


def join_of(notes: Notes, path: str, item: Plain) -> Join:
    if isinstance(item, dict) and "unnest" in item:
        return _unnest(Fields(notes, path, item, ("unnest", "alias", "ordinality")))
    fields = Fields(notes, path, item, ("table", "alias", "condition", "type"))
    return Join(
        table=fields.sql("table", parse_relation, required=True),
        alias=fields.name("alias", required=True) or "",
        condition=fields.sql("condition", parse_expression, required=True),
        type=fields.choice("type", ("inner", "left")) or "inner",
    )


def _unnest(fields: Fields) -> Join:
    unnest = fields.sql("unnest", parse_expression, required=True)
    alias, ordinality = fields.name("alias", required=True), fields.name("ordinality", required=True)
    if alias and alias == ordinality:
        fields.refuse("ordinality", "Has the same name as the element itself.")
    return Join("", alias or "", "", unnest=unnest, ordinality=ordinality)


def check_aliases(fields: Fields, alias: str | None, joins: tuple[Join, ...]) -> None:
    if joins and alias is None:
        fields.refuse("alias", "Is missing: with joins, the source table needs an alias.")
    seen = {alias} if alias else set()
    for number, join in enumerate(joins):
        if join.alias and join.alias in seen:
            fields.refuse(f"joins[{number}].alias", f"The alias {quoted(join.alias)} is already taken.")
        seen.add(join.alias)
