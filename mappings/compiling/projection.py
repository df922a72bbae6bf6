"""Composes the SQL by which a source row becomes a feed row: FROM clause, values, keys. Nothing is executed here."""

from __future__ import annotations

import json
from collections.abc import Sequence

from mappings.catalog.types import INTEGERS, TIMES
from mappings.compiling.names.resolve import Resolved
from mappings.expressions.parser import parse_expression, parse_relation
from mappings.language.spec import Column, Constant
from mappings.sql import NOTHING, Sql, compose, ident, joined, literal, operator, unused, verbatim

KEY_TEXT_TRIMMED = frozenset({"numeric"})
"""Types of which equal values have several texts; their key text is normalised (PostgreSQL: trim_scale)."""


WITHOUT_COLLATION = frozenset({*INTEGERS, "numeric", "uuid", "boolean", "date", *TIMES})
"""Types whose text has no collation of its own, which could be another than the map's."""


def content(table: Resolved) -> Sql:
    """The key of a row without a key: the hash of its content and which of the equal rows it is."""
    return unused("__content", [column.name for column in table.source.columns])


def alias(table: Resolved) -> Sql:
    """What the source table is called in its FROM clause."""
    return ident(table.alias)


def base_clause(table: Resolved) -> Sql:
    """The source table under its alias; for `key: content` with the key that its rows have by their content."""
    if not table.spec.key_is_content:
        return compose("{} AS {}", table.source.sql, alias(table))
    row = verbatim("ROW(x.*)::text")
    occurrence = compose("row_number() OVER (PARTITION BY {})", row)
    key = compose(
        "md5({}) || ':' || {} AS {}",
        row,
        occurrence,
        content(table),
    )
    return compose(
        "(SELECT x.*, {} FROM {} AS x) AS {}",
        key,
        table.source.sql,
        alias(table),
    )


JOIN = {"inner": verbatim("INNER"), "left": verbatim("LEFT")}


def from_clause(table: Resolved) -> Sql:
    """The source table, its joins, and one derived table for each lookup."""
    parts = [base_clause(table)]
    for join in table.spec.joins:
        condition = verbatim("true") if join.unnest else table.bound(join.condition).sql
        there = compose("{} AS {}", table.aliases[join.alias].sql, ident(join.alias))
        parts.append(compose("{} JOIN {} ON ({})", JOIN[join.type], there, condition))
    return joined("\n  ", parts)


def lookup_clause(
    table: Resolved, number: int, column: Column, lookup_table: Sql, as_text: bool, operators: str = ""
) -> Sql:
    """LEFT JOIN of one lookup. Its own names stay inside, so that they hide none of the source's.

    operators: the schema of those of the key's type, where the value is of that type too.
    """
    lookup = column.lookup
    assert lookup is not None
    key, value = (
        table.names.bind(parse_expression(text), lookup_table).expression.sql
        for text in (lookup.key, lookup.value)
    )
    alias = lookup_alias(table, number)
    suffix = verbatim("::text") if as_text else NOTHING
    derived = compose(
        '(SELECT ({key}) AS "__key", ({value}) AS "__value" FROM {lookup_table})',
        key=key,
        value=value,
        lookup_table=lookup_table,
    )
    equals = operator("=", "" if as_text else operators)
    condition = compose(
        '{alias}."__key"{suffix} {equals} ({source_sql}){suffix}',
        alias=alias,
        suffix=suffix,
        equals=equals,
        source_sql=source_sql(table, column),
    )
    return compose("LEFT JOIN {} AS {} ON {}", derived, alias, condition)


def lookup_alias(table: Resolved, number: int) -> Sql:
    """The alias of the lookup for the column at `number`."""
    return unused(f"__lookup_{number}", table.aliases)


def source_sql(table: Resolved, column: Column) -> Sql:
    """The column's own SQL at the source: a name, or the operator's re-printed expression."""
    if column.expr is not None:
        return table.bound(column.expr).sql
    return name_sql(table, column.from_[0])


def name_sql(table: Resolved, name: str) -> Sql:
    """A source column under its alias. The name must exist."""
    result = table.source_column(name)
    assert result is not None, name
    return ident(result[0], result[1].name)


def constant_sql(value: Constant, type_name: Sql, is_array: bool) -> Sql:
    """A constant of the target's type; lists become arrays, or JSON where the target is not an array."""
    if value is None:
        return compose("NULL::{}", type_name)
    return compose(
        "{}::{}",
        literal(constant_text(value, is_array)),
        type_name,
    )


def constant_text(value: Constant, is_array: bool) -> str:
    """A constant as PostgreSQL's input text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list) and is_array:
        return "{" + ",".join(_element(item) for item in value) + "}"
    if isinstance(value, tuple | list | dict):
        return _json(value)
    return str(value)


def _element(value: Constant) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, tuple | list):
        return constant_text(value, True)
    text = constant_text(value, True).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _json(value: Constant) -> str:
    return json.dumps(value, ensure_ascii=False)


def select(columns: Sequence[Sql], from_sql: Sql, where: Sql | None = None, tail: Sql = NOTHING) -> Sql:
    """A SELECT of already composed pieces."""
    listed = joined(", ", columns) or verbatim("1")
    condition = compose("\n WHERE {}", where) if where else NOTHING
    return compose("SELECT {}\n  FROM {}{}{}", listed, from_sql, condition, tail)


def key_text(parts: Sequence[tuple[Sql, str]]) -> Sql:
    """A key as one text, as the map keeps it. parts: (SQL, type) of each key part.

    One part: its text. Several: a JSON array of texts, which no two different keys share.
    """
    texts = [
        compose("(trim_scale({}))::text" if kind in KEY_TEXT_TRIMMED else "({})::text", part)
        for part, kind in parts
    ]
    if len(texts) > 1:
        return compose("jsonb_build_array({})::text", joined(", ", texts))
    return texts[0] if parts[0][1] in WITHOUT_COLLATION else compose('{} COLLATE pg_catalog."C"', texts[0])


def relation_key(text: str) -> tuple[str | None, str]:
    """What a table's name in the file means, for telling whether two are the same."""
    name = parse_relation(text)
    return (name.schema, name.name)
