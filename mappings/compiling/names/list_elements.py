"""The elements of a list of the row, with their places, as rows: so that a value which cannot be computed fails where
it is used, and is the fault of its row, and not where the list is read, which nobody could leave out.

A cast of the whole list is a cast of each element; what is written as ARRAY[…] is computed element by element; a text
that is to become a list or a document is asked whether it can, where the server tells that without an error.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import psycopg

from mappings.catalog import extensions
from mappings.catalog.describe import types_of
from mappings.compiling.names.bind_names import Names
from mappings.expressions.parser import Expression
from mappings.sql import NOTHING, Sql, compose, joined, literal, verbatim

JSONB = 3802
"""PostgreSQL: its oid."""

ASKS_INPUT = 160000
"""PostgreSQL: the first version that tells whether it can read a text as a type."""


@dataclass(frozen=True, slots=True)
class Elements:
    """rows: a query of `value` and `place`; element: the oid of the value's type; no_list: where the list may turn out
    to be none, which gives one row with the place 0, what is said of it."""

    rows: Sql
    element: int
    no_list: Sql | None = None


@dataclass(frozen=True, slots=True)
class _Read:
    """A list as it is read: the SQL of it, when it is none (a condition), and what it is then."""

    sql: Sql
    wrong: Sql = NOTHING
    what: Sql = NOTHING


def elements(names: Names, scope: Sql, expression: Expression) -> Elements | None:
    """Of an expression over the source tables in `scope`; None where it is no list. Raises psycopg.Error where it
    cannot be described."""
    (oid,) = types_of(names.conn, compose("SELECT {} FROM {}", expression.sql, scope))
    element = JSONB if oid == JSONB else names.facts(oid).element
    if not element:
        return None
    if oid != JSONB and (items := expression.items) and not _is_list(names, scope, items[0]):
        return _one_by_one(items, element, names)
    if oid != JSONB and (cast := expression.element_cast):
        inner = elements(names, scope, cast[0])
        if inner and inner.element != JSONB:
            each = compose(
                "SELECT (y.value)::{} AS value, y.place AS place FROM ({}) AS y", cast[1], inner.rows
            )
            return replace(inner, rows=each, element=element)
    read = _read(names, scope, expression)
    return _of_document(read, expression) if oid == JSONB else _of_array(read, expression, element)


def _is_list(names: Names, scope: Sql, expression: Expression) -> bool:
    """Whether an element is itself an array: all of its elements are those of the whole then."""
    (oid,) = types_of(names.conn, compose("SELECT {} FROM {}", expression.sql, scope))
    return bool(names.facts(oid).element)


def _one_by_one(items: tuple[Expression, ...], element: int, names: Names) -> Elements:
    whens = joined(
        " ", (compose("WHEN {} THEN {}", number, item.sql) for number, item in enumerate(items, start=1))
    )
    value = compose("(CASE x.place {} END)::{}", whens, extensions.type_sql(names.conn, element))
    places = compose("generate_series(1::bigint, {}) AS x(place)", len(items))
    return Elements(compose("SELECT {} AS value, x.place AS place FROM {}", value, places), element)


def _read(names: Names, scope: Sql, expression: Expression) -> _Read:
    """Whole; a text that becomes it is asked first whether it can."""
    cast = expression.last_cast
    if cast is None or names.conn.info.server_version < ASKS_INPUT:
        return _Read(expression.sql)
    text, kind = compose("({})::text", cast[0]), cast[1]
    try:
        (oid,) = types_of(names.conn, compose("SELECT {} FROM {}", cast[0], scope))
    except psycopg.Error:
        return _Read(expression.sql)
    if names.facts(oid).category != "S":
        return _Read(expression.sql)
    fits = compose("pg_catalog.pg_input_is_valid({}, {})", text, literal(kind))
    return _Read(
        compose("CASE WHEN {} THEN {} END", fits, expression.sql),
        compose("NOT {}", fits),
        compose("pg_catalog.left({}, 60)", text),
    )


def _of_array(read: _Read, expression: Expression, element: int) -> Elements:
    rows = compose("SELECT x.value, x.place FROM unnest({}) WITH ORDINALITY AS x(value, place)", read.sql)
    if not read.wrong:
        return Elements(rows, element)
    none = compose(" UNION ALL SELECT NULL, 0::bigint WHERE {}", read.wrong)
    return Elements(compose("{}{}", rows, none), element, _said(expression, read.what))


def _of_document(read: _Read, expression: Expression) -> Elements:
    """null is a list of nothing, like NULL; anything else that is none is one row with the place 0."""
    kind = compose("jsonb_typeof({})", read.sql)
    rows = compose(
        "SELECT x.value, x.place FROM jsonb_array_elements(CASE {} WHEN 'array' THEN {} ELSE '[]' END)"
        " WITH ORDINALITY AS x(value, place)",
        kind,
        read.sql,
    )
    wrong = compose("{} NOT IN ('array', 'null')", kind)
    what = compose("concat({}, ' ', left(({})::text, 60))", kind, read.sql)
    if read.wrong:
        what = compose("CASE WHEN {} THEN {} ELSE {} END", read.wrong, read.what, what)
        wrong = compose("{} OR {}", wrong, read.wrong)
    none = compose(" UNION ALL SELECT NULL::jsonb, 0::bigint WHERE {}", wrong)
    return Elements(compose("{}{}", rows, none), JSONB, _said(expression, what))


def _said(expression: Expression, what: Sql) -> Sql:
    return compose("concat({}, {})", literal(f"{expression.text} is no list but "), what or verbatim("''"))
