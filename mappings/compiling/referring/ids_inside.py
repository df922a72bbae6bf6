"""References to parents whose ids are inside a value: an array, a document, a text."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Literal

import psycopg

from mappings.catalog import tables as catalog
from mappings.catalog.describe import complaint, describe, types_of
from mappings.compiling import projection, references
from mappings.compiling.columns import Compiler
from mappings.compiling.names.resolve import Resolved
from mappings.language.inside_checks import groups_of, steps_of
from mappings.language.spec import Column
from mappings.plan.keys import KeyPart
from mappings.plan.references import Inside, LookupBy, Reference
from mappings.problems import Problem
from mappings.sql import NOTHING, Sql, cast, compose, encoded, literal, verbatim

POLICIES: dict[str, Literal["null", "drop", "keep"]] = {"null": "null", "drop": "drop", "keep": "keep"}
"""What becomes of a single id without its row being wrong."""

Policy = tuple[str, str | None, str]
"""(where in the value, as written; missing; the mapping's on_error)."""


def reference(
    compiler: Compiler, column: Column, parent: Resolved, key: tuple[KeyPart, ...], late: bool, policy: Policy
) -> Reference | None:
    """One compiled reference; None and Problems where there can be none."""
    path = f"{compiler.table.path}.columns.{column.name}"
    target = compiler.fillable(column.name, path)
    value = references.checked_value_column(compiler, column, parent, path)
    given = references.sources(compiler, column, path)
    if target is None or value is None or given is None:
        return None
    if (text := _refused(compiler, column, target, parent, key, late)) is not None:
        compiler.problems.append(Problem(path, text))
        return None
    said, missing, on_error = policy
    inside = _where(column, said, key[0].type, _of_texts(compiler, given[0]))
    if not _is_understood(compiler, inside, path) or not _fits(compiler, parent, value, inside, target, path):
        return None
    kind = (
        compose("{}[]", verbatim("text") if inside.parts else key[0].type)
        if inside.how == "each"
        else verbatim("jsonb")
        if inside.how == "path"
        else verbatim("text")
    )
    sql = compiler.converted(path, given[0], kind)
    if sql is None:
        return None
    inside = replace(inside, policy=POLICIES.get(missing or "", ""))
    return Reference(
        column.name, target.base, parent.spec.name, value, (LookupBy(_flat(sql, kind), kind),),
        references.row_policy(missing, on_error), late, target.operators, target.collation or NOTHING, inside,
    )  # fmt: skip


def _of_texts(compiler: Compiler, value: Sql) -> bool:
    """Whether a value is an array of texts, of which not every one has to be an id."""
    try:
        (oid,) = types_of(compiler.databases.source, projection.select([value], compiler.from_sql))
    except psycopg.Error:
        return False  # which the conversion itself complains of
    element = compiler.table.names.facts(oid).element
    return bool(element) and compiler.table.names.facts(element).is_text


def _where(column: Column, said: str, key: Sql, of_texts: bool) -> Inside:
    if column.each:
        return Inside("each", ("text",) if of_texts else (), key, "", "element")
    if column.split is not None:
        return Inside("split", (said,), key, "", said)
    if column.pattern is not None:
        parts = groups_of(said)
        assert not isinstance(parts, str)
        return Inside("pattern", parts, key, "", said)
    return Inside("path", tuple(json.dumps(step) for step in steps_of(said) or ()), key, "", said)


def _refused(
    compiler: Compiler,
    column: Column,
    target: catalog.Column,
    parent: Resolved,
    key: tuple[KeyPart, ...],
    late: bool,
) -> str | None:
    """Why ids inside this column cannot be followed, or None."""
    if len(key) != 1:
        return f"the key of {parent.spec.name} has {len(key)} columns; inside a value only a single one can be found"
    if parent.spec.name == compiler.table.spec.name and not late:
        return f"{target.name} is NOT NULL and holds ids of its own table, which are known only after its rows are in"
    if column.refs and target.base != "jsonb":
        return f"{target.name} is {target.type}; ids inside a document can be filled in jsonb"
    if column.each and target.category != "A":
        return f"{target.name} is {target.type}, and no array, whose elements each would be an id"
    return None


def _flat(sql: Sql, kind: Sql) -> Sql:
    """An array of one dimension that begins at 1; another one is an error of its row, which names it."""
    if not kind.endswith("[]"):
        return sql
    odd = compose("array_ndims({sql}) > 1 OR array_lower({sql}, 1) <> 1", sql=sql)
    return compose(
        "CASE WHEN {odd} THEN ('more than a plain list of ids: ' || ({sql})::text)::{kind} ELSE {sql} END",
        odd=odd,
        sql=sql,
        kind=kind,
    )


def _is_understood(compiler: Compiler, inside: Inside, path: str) -> bool:
    """Whether the target reads the pattern."""
    if inside.how != "pattern":
        return True
    try:
        compiler.databases.target.execute(
            encoded(compose("SELECT regexp_matches('', {})", literal("".join(inside.parts))))
        )
    except psycopg.Error as error:
        compiler.problems.append(Problem(f"{path}.pattern", complaint(error)))
        return False
    return True


def _fits(
    compiler: Compiler, parent: Resolved, name: str, inside: Inside, target: catalog.Column, path: str
) -> bool:
    """Whether the parent's value may stand in the place of an id."""
    value = parent.target.column(name)
    assert value is not None
    if inside.how != "each":
        return True
    try:
        describe(
            compiler.databases.target,
            compose("SELECT {}", cast(compose("NULL::{}[]", value.base), target.base)),
        )
    except psycopg.Error:
        text = f"{parent.target.display}.{name} is {value.type}, of which no {target.type} is made"
        compiler.problems.append(Problem(path, text))
        return False
    return True
