"""A reference whose parent is in one of several table mappings: which is meant, as conditions at the source.

It becomes one reference for each parent, that a row asks only where that parent is meant, and one that leads nowhere
for rows of which that cannot be told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import psycopg

from mappings.catalog.describe import complaint, describe
from mappings.compiling import projection, references
from mappings.compiling.columns import Compiler
from mappings.compiling.referring import ids_inside
from mappings.expressions.parser import parse_expression
from mappings.language.spec import Column, Ref
from mappings.plan.keys import KeyPart
from mappings.plan.references import LookupBy, Reference
from mappings.problems import Problem
from mappings.sql import NOTHING, Sql, compose, joined, literal, operator, unused, verbatim


@dataclass(frozen=True, slots=True)
class Parent:
    """A table mapping that is referred to, and the key of its source rows."""

    compiler: Compiler
    key: tuple[KeyPart, ...]


def references_of(
    compiler: Compiler, column: Column, parents: Mapping[str, Parent], late: bool, on_error: str
) -> list[Reference]:
    """The references that fill a column; none, and Problems, where they cannot be compiled."""
    if not column.points_to <= parents.keys():
        return []
    if column.is_inside:
        places: list[tuple[str, Ref, str | None]] = [(one.path, one.ref, one.missing) for one in column.refs]
        places = places or [(column.split or column.pattern or "", column.parents[0], column.missing)]
        return _inside(compiler, column, places, parents, late, on_error)
    ref = column.ref
    assert ref is not None
    result: list[Reference] = []
    for one in ref.parents:
        parent, alone = parents[one.table], replace(column, ref=one)
        made = references.reference(compiler, alone, parent.compiler.table, parent.key, late, on_error)
        if made is None:
            return []
        result.append(made)
    if ref.by is not None:
        return _told_by(compiler, ref, result, on_error)
    return _any_of(compiler, result, parents, on_error) if ref.any_of else result


def _inside(
    compiler: Compiler,
    column: Column,
    places: list[tuple[str, Ref, str | None]],
    parents: Mapping[str, Parent],
    late: bool,
    on_error: str,
) -> list[Reference]:
    """One reference for each place of the value where ids are, each filled in what the ones before it made."""
    result: list[Reference] = []
    for said, ref, missing in places:
        parent = parents[ref.table]
        made = ids_inside.reference(
            compiler,
            replace(column, ref=ref),
            parent.compiler.table,
            parent.key,
            late,
            (said, missing, on_error),
        )
        if made is None:
            return []
        result.append(replace(made, earlier=tuple(result)))
    return result


def _told_by(compiler: Compiler, ref: Ref, result: list[Reference], on_error: str) -> list[Reference]:
    """Of each reference the `by` where the text says so; and what becomes of a text that says none."""
    assert ref.by is not None
    path = f"{compiler.table.path}.columns.{result[0].target}.ref.by"
    told = _text(compiler, ref.by, path)
    if told is None:
        return []
    said = [compose("{} {} {}", told, operator("=", ""), literal(text)) for text, _ in ref.of]
    arms = [_only_where(one, condition) for one, condition in zip(result, said, strict=True)]
    policy = ref.otherwise or ("quarantine" if on_error == "quarantine" else "stop")
    if policy == "null":
        return arms
    asked = joined(" AND ", (compose("({}) IS NOT NULL", part.sql) for part in result[0].by))
    known = joined(" OR ", said)
    words = compose(
        "concat({}, coalesce({}, 'NULL'))",
        literal(f"{ref.by} names no table mapping: "),
        told,
    )
    return [
        *arms,
        _nowhere(
            arms[0],
            compose(
                "CASE WHEN ({}) IS NOT TRUE AND {} THEN {} END",
                known,
                asked,
                words,
            ),
            policy,
        ),
    ]


def _text(compiler: Compiler, by: str, path: str) -> Sql | None:
    """What tells which parent is meant, as text; None and a Problem where that cannot be."""
    complaints = compiler.table.complaints(parse_expression(by))
    compiler.problems.extend(Problem(path, text) for text in complaints)
    if complaints:
        return None
    told = compose("({})::text", compiler.table.bound(by).sql)
    try:
        describe(compiler.databases.source, projection.select([told], compiler.from_sql))
    except psycopg.Error as error:
        compiler.problems.append(Problem(path, complaint(error)))
        return None
    return told


def _any_of(
    compiler: Compiler, result: list[Reference], parents: Mapping[str, Parent], on_error: str
) -> list[Reference]:
    """Each reference where its mapping alone has the row in scope; the first as well where none has."""
    taken = [_in_scope(one, parents[one.parent]) for one in result]
    others = [
        joined(" OR ", (scope for place, scope in enumerate(taken) if place != number))
        for number in range(len(taken))
    ]
    conditions = [compose("{} AND NOT ({})", scope, rest) for scope, rest in zip(taken, others, strict=True)]
    conditions[0] = compose("NOT ({})", others[0])
    arms = [_only_where(one, condition) for one, condition in zip(result, conditions, strict=True)]
    count = joined(" + ", (compose("({})::int", scope) for scope in taken))
    names = ", ".join(one.parent for one in result)
    key = projection.key_text([(part.sql, part.type) for part in result[0].by])
    words = compose("concat({}, {})", literal(f"more than one of {names} has the row "), key)
    policy = "quarantine" if on_error == "quarantine" else "stop"
    return [
        *arms,
        _nowhere(arms[0], compose("CASE WHEN {} > 1 THEN {} END", count, words), policy),
    ]


def _in_scope(ref: Reference, parent: Parent) -> Sql:
    """Whether the parent's mapping has the row that is asked for. Its tables are named inside, where the asking row's
    cannot be meant by mistake."""
    asked, mapped = unused("__asked", parent.compiler.table.aliases), parent.compiler
    columns = joined(", ", (compose("({}) AS k{}", part.sql, place) for place, part in enumerate(ref.by)))
    same = [
        compose(
            "({sql}){nothing} {operator} {asked}.k{place}",
            sql=part.sql,
            nothing=NOTHING if part.type == part.native else compose("::{}", part.type),
            operator=operator("=", part.kept_operators),
            asked=asked,
            place=place,
        )
        for place, part in enumerate(parent.key)
    ]
    where = joined(" AND ", [*([mapped.where_sql] if mapped.where_sql else []), *same])
    there = compose("EXISTS (SELECT FROM {} WHERE {})", mapped.from_sql, where)
    return compose("(SELECT {} FROM (SELECT {}) AS {})", there, columns, asked)


def _only_where(ref: Reference, condition: Sql) -> Reference:
    by = tuple(replace(part, sql=compose("CASE WHEN {} THEN {} END", condition, part.sql)) for part in ref.by)
    return replace(ref, by=by)


def _nowhere(like: Reference, sentence: Sql, policy: str) -> Reference:
    """A reference that is asked only by rows which are wrong."""
    by = (LookupBy(sentence, verbatim("text")),)
    return replace(
        like, parent="", value_column="", by=by, missing="stop" if policy == "stop" else "quarantine"
    )
