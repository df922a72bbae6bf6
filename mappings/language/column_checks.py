"""Checks how the target columns of one table mapping are filled."""

from __future__ import annotations

from mappings.expressions.parser import parse_expression, parse_relation
from mappings.language.fields import (
    Fields,
    Notes,
    Plain,
    WrittenNumber,
    inside,
    label_problem,
    name_problem,
    names_in,
)
from mappings.language.inside_checks import (
    INSIDE_KEYS,
    POLICIES,
    check_inside,
    missing_of,
    pattern_of,
    refs_of,
    split_of,
)
from mappings.language.spec import Column, Constant, InsidePolicy, Lookup, Ref
from mappings.language.taken_checks import TAKEN_KEYS, check_taken, check_within, number_of, unique_of

COLUMN_KEYS = ("from", "expr", "value", "lookup", "ref", "missing", *INSIDE_KEYS, *TAKEN_KEYS)


def check_columns(fields: Fields, aliases: frozenset[str]) -> tuple[Column, ...]:
    """The table mapping's columns in the order of the file."""
    value = fields.required("columns")
    path = fields.at("columns")
    if value is None:
        return ()
    if not isinstance(value, dict) or not value:
        fields.refuse(
            "columns", "Must say how at least one target column is filled, as `target column: source column`."
        )
        return ()
    columns = tuple(
        _column(fields.notes, inside(path, name), name, item, aliases) for name, item in value.items()
    )
    check_within(path, columns, fields)
    return columns


def _column(notes: Notes, path: str, name: str, item: Plain, aliases: frozenset[str]) -> Column:
    if problem := name_problem(name):
        notes.refuse(path, problem)
    if type(item) is str:
        return Column(name, from_=names_in(notes, path, [item], aliases))
    if item is None:
        notes.refuse(path, "Says nothing: write the source column's name, or {value: null} for NULL.")
        return Column(name)
    if not isinstance(item, dict):
        notes.refuse(
            path, "Must be a source column's name (in quotes if it looks like a number), or a mapping."
        )
        return Column(name)
    fields = Fields(notes, path, item, COLUMN_KEYS)
    _check_combination(fields)
    has_value = "value" in fields
    return Column(
        name=name,
        from_=_from(fields, aliases),
        expr=fields.sql("expr", parse_expression) or None,
        value=constant(notes, fields.at("value"), fields.get("value")) if has_value else None,
        has_value=has_value,
        lookup=_lookup(fields),
        ref=_ref(fields),
        missing=_missing(fields),
        each=fields.flag("each", False),
        split=split_of(fields),
        pattern=pattern_of(fields),
        refs=refs_of(fields, _one_ref),
        unique=unique_of(fields),
        number=number_of(fields),
    )


def _check_combination(fields: Fields) -> None:
    """Exactly one of from, expr, value and number; lookup and ref stand on from or expr, and not together."""
    ways = [way for way in ("from", "expr") if fields.get(way) is not None]
    ways += ["value"] if "value" in fields else []
    if fields.get("number") is not None and ways:
        fields.refuse("number", f"Is all that fills the column; leave {' and '.join(ways)} out.")
    elif len(ways) != 1 and fields.get("number") is None:
        result = " and ".join(ways) or "none of them"
        fields.note(f"Needs exactly one of from, expr and value; it has {result}.")
    has_lookup, has_ref = fields.get("lookup") is not None, fields.get("ref") is not None
    if has_lookup and has_ref:
        fields.note("Has both lookup and ref; a column can have only one of them.")
    for key, there in (("lookup", has_lookup), ("ref", has_ref)):
        if there and ways == ["value"]:
            fields.refuse(key, "Needs from or expr; a constant cannot be looked up.")
    check_inside(fields)
    check_taken(fields)
    if "missing" in fields and not has_ref:
        fields.refuse("missing", "Says what happens to a reference; without ref it means nothing.")


def _from(fields: Fields, aliases: frozenset[str]) -> tuple[str, ...]:
    value = fields.get("from")
    if value is None:
        return ()
    if type(value) is not str and (not isinstance(value, list) or not value):
        fields.refuse(
            "from", "Must be a source column's name, in quotes if it looks like a number or true or false."
        )
        return ()
    parts = value if isinstance(value, list) else [value]
    if len(parts) > 1 and fields.get("ref") is None:
        fields.refuse("from", "Several columns are only possible with ref, for a composite key.")
    return names_in(fields.notes, fields.at("from"), parts, aliases)


def _lookup(fields: Fields) -> Lookup | None:
    value = fields.get("lookup")
    if value is None:
        return None
    inner = Fields(fields.notes, fields.at("lookup"), value, ("table", "key", "value"))
    return Lookup(
        table=inner.sql("table", parse_relation, required=True),
        key=inner.sql("key", parse_expression, required=True),
        value=inner.sql("value", parse_expression, required=True),
    )


def _ref(fields: Fields) -> Ref | None:
    value = fields.get("ref")
    if value is None:
        return None
    if isinstance(value, list):
        return _any_of(fields, value)
    if isinstance(value, dict) and {"by", "of", "else"} & value.keys():
        return _told_by(Fields(fields.notes, fields.at("ref"), value, ("by", "of", "else")))
    return _one_ref(fields.notes, fields.at("ref"), value)


def _one_ref(notes: Notes, path: str, value: Plain) -> Ref:
    if type(value) is str:
        return Ref(notes.name(path, value, label_problem))
    inner = Fields(notes, path, value, ("table", "column"))
    return Ref(inner.name("table", required=True) or "", inner.column("column"))


def _any_of(fields: Fields, values: list[Plain]) -> Ref | None:
    result = [_one_ref(fields.notes, f"{fields.at('ref')}[{n}]", item) for n, item in enumerate(values)]
    if len({ref.table for ref in result}) < max(len(values), 2):
        fields.refuse("ref", "A list needs two different table mappings or more.")
        return None
    return Ref("", any_of=tuple(result))


def _told_by(fields: Fields) -> Ref | None:
    by = fields.sql("by", parse_expression, required=True)
    of, path = fields.required("of"), fields.at("of")
    if "else" in fields and fields.get("else") is None:
        fields.refuse("else", 'Is empty; to leave the reference NULL, write "null" in quotes.')
    otherwise = fields.choice("else", ("stop", "quarantine", "null"))
    if not isinstance(of, dict) or not of:
        fields.refuse(
            "of", "Must say for each text which table mapping is meant, such as {Post: post, Photo: photo}."
        )
        return None
    arms = tuple((text, _one_ref(fields.notes, inside(path, text), item)) for text, item in of.items())
    return Ref("", by=by, of=arms, otherwise=otherwise)


def _missing(fields: Fields) -> InsidePolicy | None:
    """drop and keep are for ids inside a value; a text has no NULL inside."""
    if fields.get("split") is not None or fields.get("pattern") is not None:
        return missing_of(fields, ("stop", "quarantine", "drop", "keep"))
    return missing_of(fields, POLICIES if fields.get("each") else POLICIES[:3])


def constant(notes: Notes, path: str, value: Plain, nested: bool = False) -> Constant:
    """A constant as the spec keeps it: lists as tuples, fractions as text (inside lists and mappings not)."""
    if isinstance(value, list):
        return tuple(constant(notes, f"{path}[{n}]", item, True) for n, item in enumerate(value))
    if isinstance(value, dict):
        for key in value:
            notes.text(inside(path, key), key, empty=True)
        return {key: constant(notes, inside(path, key), item, True) for key, item in value.items()}
    if isinstance(value, WrittenNumber | float):
        written = value.text if isinstance(value, WrittenNumber) else str(value)
        return notes.fraction(path, written) if nested else written
    return notes.text(path, value, empty=True) if isinstance(value, str) else value
