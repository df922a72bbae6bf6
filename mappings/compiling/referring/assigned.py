"""Columns whose values depend on those that are taken: the next free text, the next number of a list."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet

import psycopg

from mappings.catalog import equality
from mappings.catalog import tables as catalog
from mappings.catalog.describe import describe
from mappings.catalog.types import INTEGERS
from mappings.compiling import projection, references
from mappings.compiling.columns import Compiler
from mappings.compiling.names.resolve import Resolved
from mappings.language.spec import Column, MappingSpec
from mappings.language.taken_checks import PLACE
from mappings.plan.keys import KeyPart
from mappings.plan.references import Assigned, LookupBy, Reference
from mappings.problems import Problem
from mappings.sql import NOTHING, Sql, cast, collated, compose, encoded, ident, joined, verbatim

TEXT_CATEGORY = "S"
"""PostgreSQL: pg_type.typcategory of texts, citext among them."""

TOLD_APART = verbatim("""
SELECT p.part FROM pg_index i
  CROSS JOIN LATERAL generate_series(1, i.indnkeyatts) AS k
  LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k - 1] AND a.attnum > 0
  LEFT JOIN pg_collation l ON l.oid = i.indcollation[k - 1]
       AND CASE WHEN a.attnum IS NULL THEN NOT l.collisdeterministic ELSE l.oid <> a.attcollation END
  CROSS JOIN LATERAL (SELECT pg_get_indexdef(i.indexrelid, k, false) || CASE WHEN l.oid IS NULL THEN ''
         ELSE ' COLLATE ' || l.oid::regcollation END AS part) AS p
 WHERE i.indrelid = %(table)s AND i.indisunique AND i.indisvalid
   AND (a.attnum IS NULL OR (a.attname = %(column)s AND l.oid IS NOT NULL))
 ORDER BY i.indexrelid, k
""")
"""What unique indexes tell rows apart by, other than columns as they stand."""


def reference(
    compiler: Compiler, column: Column, key: tuple[KeyPart, ...], on_error: str
) -> Reference | None:
    """The column as a reference to what is kept for its row; None and Problems where there can be none."""
    path = f"{compiler.table.path}.columns.{column.name}"
    target = compiler.fillable(column.name, path)
    if target is None or not key:
        return None
    if problem := _unfit(compiler, column, target):
        compiler.problems.append(Problem(path, problem))
        return None
    own = _own_value(compiler, column, path)
    order = _order(compiler, column, key)
    if order is None or (column.unique and own is None):
        return None
    text = projection.key_text([(part.sql, part.native) for part in key])
    by = (LookupBy(text, verbatim("text")), *([own] if own else []))
    return Reference(
        column.name, target.base, "", "", by, references.row_policy(None, on_error), False, target.operators,
        target.collation or NOTHING, assigned=_assigned(compiler, column, target, order),
    )  # fmt: skip


def _unfit(compiler: Compiler, column: Column, target: catalog.Column) -> str | None:
    """Why a column cannot have such values."""
    if column.number and target.base not in (*INTEGERS, "numeric"):
        return f"{target.name} is {target.type}, which cannot be numbered"
    if column.unique and target.category != TEXT_CATEGORY:
        return f"{target.name} is {target.type}; only a text can get a suffix"
    if column.unique and (most := _most(target)) and most <= len(column.unique.suffix.replace(PLACE, "2")):
        return f"{target.name} holds {most} characters, which the suffix alone fills: make it shorter"
    if column.name in references.matched_columns(compiler.table.spec):
        return (
            "rows are found in the target by this very column (existing.match), so one that is taken is a row that is"
            " there: leave unique and number out, or match by other columns"
        )
    return None


def known_too_late(
    table: Resolved, column: Column, spec: MappingSpec, deferred: AbstractSet[tuple[str, str]]
) -> Iterator[Problem]:
    """Parents that are told only after all rows are in may be rows that are there, whose values then are not known."""
    for name in column.within:
        (other,) = (one for one in table.spec.columns if one.name == name)
        late = (table.spec.name, name) in deferred or table.spec.name in other.points_to
        result = sorted(one.name for one in spec.tables if one.name in other.points_to and one.existing)
        if late and result:
            text = (
                f"within {name} it cannot be told what is taken: {name} refers to rows of {', '.join(result)}, which"
                f" may be rows that are there already (existing), and that is known only after all rows are in; leave"
                f" {name} out of within, or existing out of {', '.join(result)}"
            )
            yield Problem(f"{table.path}.columns.{column.name}", text)


def _most(target: catalog.Column) -> int:
    match = re.search(r"\((\d+)\)$", target.full_type)
    return int(match[1]) if match else 0


def _own_value(compiler: Compiler, column: Column, path: str) -> LookupBy | None:
    """What the source says, as text."""
    number = compiler.table.spec.columns.index(column)
    if column.number or number not in compiler.expressions:
        return None
    sql = compiler.converted(path, compiler.expressions[number], verbatim("text"))
    return LookupBy(sql, verbatim("text")) if sql else None


def _order(compiler: Compiler, column: Column, key: tuple[KeyPart, ...]) -> Sql | None:
    """The place of a row among those that are read with it; None and a Problem where the source does not say so."""
    number, keys = column.number, joined(", ", (part.sql for part in key))
    by = keys
    if number and number.order_by:
        by = compose("{}, {}", compiler.table.bound_ordering(number.order_by), keys)
    order = compose("row_number() OVER (ORDER BY {})", by)
    try:
        describe(compiler.databases.source, projection.select([order], compiler.from_sql))
    except psycopg.Error as error:
        if compiler.sound:
            where = f"{compiler.table.path}.columns.{column.name}.number.order_by"
            compiler.problems.append(Problem(where, str(error.diag.message_primary)))
        return None
    return order


def _assigned(compiler: Compiler, column: Column, target: catalog.Column, order: Sql) -> Assigned:
    table = compiler.table
    of_within = [table.target.column(name) for name in column.within]
    folded = tuple(one.name for one in of_within if one and (one.operators or one.loose))
    match = tuple(sorted(references.matched_columns(table.spec)))
    if column.number:
        return Assigned(table.spec.name, column.within, folded, order, after=column.number.after, match=match)
    assert column.unique is not None
    told, operators = _told_apart(compiler, target)
    return Assigned(
        table.spec.name, column.within, folded, order, column.unique.suffix, _most(target), told, operators,
        match=match,
    )  # fmt: skip


def _told_apart(compiler: Compiler, target: catalog.Column) -> tuple[Sql, str]:
    """By what the target tells values of a column apart, and the schema of that type's operators.

    What a unique index says on top of the column's own equality counts: lower(login), another collation.
    """
    conn = compiler.databases.target
    for told in (*_of_indexes(compiler, target), ident(target.name)):
        value = collated(cast(verbatim("NULL"), target.base), target.collation or NOTHING)
        try:
            return told, equality.of_query(
                conn, compose("SELECT {} FROM (SELECT {} AS {}) AS x", told, value, ident(target.name))
            )[0]
        except psycopg.Error:
            continue  # an expression over other columns
    return ident(target.name), target.operators


def _of_indexes(compiler: Compiler, target: catalog.Column) -> Iterator[Sql]:
    asked = {"table": compiler.table.target.oid, "column": target.name}
    for (part,) in compiler.databases.target.execute(encoded(TOLD_APART), asked).fetchall():
        yield part
