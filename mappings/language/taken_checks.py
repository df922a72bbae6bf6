"""Checks what a column says of a value that depends on those that are taken: unique and number."""

from __future__ import annotations

from mappings.expressions.parser import parse_ordering
from mappings.language.fields import Fields, name_problem, names_in, quoted
from mappings.language.spec import Column, Number, Unique

TAKEN_KEYS = ("unique", "number")
PLACE = "{n}"
"""Where in a suffix the number stands."""


def check_taken(fields: Fields) -> None:
    """unique stands on from or expr; number is all that a column says."""
    ways = [key for key in TAKEN_KEYS if fields.get(key) is not None]
    others = [key for key in ("ref", "refs", "value") if key in fields and fields.get(key) is not None]
    if len(ways) > 1:
        fields.note("Has both unique and number; a column can have only one of them.")
    elif ways and others:
        fields.refuse(ways[0], f"Cannot stand beside {others[0]}.")
    elif ways == ["number"] and fields.get("lookup") is not None:
        fields.refuse("number", "Cannot stand beside lookup.")


def unique_of(fields: Fields) -> Unique | None:
    """The suffix that a taken text gets, and within what it is taken."""
    if fields.get("unique") is None:
        return None
    inner = Fields(fields.notes, fields.at("unique"), fields.get("unique"), ("suffix", "within"))
    suffix = inner.text("suffix", required=True) or ""
    if suffix and suffix.count(PLACE) != 1:
        text = f"Needs {PLACE} once, where the number goes, such as -{PLACE}: without it {quoted(suffix)} ends nowhere."
        inner.refuse("suffix", text)
    return Unique(suffix, _within(inner))


def number_of(fields: Fields) -> Number | None:
    """Within what rows are numbered, in which order, and from where on."""
    if fields.get("number") is None:
        return None
    inner = Fields(fields.notes, fields.at("number"), fields.get("number"), ("within", "order_by", "after"))
    after = inner.get("after")
    if "after" in inner and after != "existing" and (type(after) is not int or abs(after) >= 2**62):
        inner.refuse("after", "Must be existing, or the whole number before the first.")
    first = after if type(after) is int else None
    return Number(_within(inner), inner.sql("order_by", parse_ordering) or None, first)


def _within(fields: Fields) -> tuple[str, ...]:
    value = fields.get("within")
    if value is None:
        return ()
    if not isinstance(value, list) or not value:
        fields.refuse(
            "within", "Must be a list of target columns such as [account_id]; leave it out for all rows."
        )
        return ()
    return names_in(fields.notes, fields.at("within"), value, problem_of=name_problem)


def check_within(path: str, columns: tuple[Column, ...], fields: Fields) -> None:
    """Each column of within is another one that the table mapping fills, and is not assigned itself."""
    known = {column.name: column for column in columns}
    for column in columns:
        for name in column.within:
            other = known.get(name)
            where = f"{path}.{column.name}.{'unique' if column.unique else 'number'}.within"
            if other is None:
                fields.notes.refuse(where, f"{quoted(name)} is no mapped column of this table mapping.")
            elif other.is_assigned:
                fields.notes.refuse(where, f"{quoted(name)} depends itself on what is taken.")
