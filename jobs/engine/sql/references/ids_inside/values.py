"""The ids in a value of one place: arrays, lists in a text, what a pattern finds, paths of a document."""

from __future__ import annotations

import json

from jobs.engine.sql.references.ids_inside.document import Document
from jobs.engine.sql.references.ids_inside.keys import as_key
from jobs.engine.sql.references.lookup import Resolved
from mappings.catalog.types import of_array
from mappings.plan.references import Inside, Reference
from mappings.sql import NOTHING, Sql, compose, literal, verbatim


def elements(inside: Inside, value: Sql) -> Sql:
    """A query of the ids in a value: `raw` as it stands there, `id` as a key, its place `o`. Runs on either side."""
    text = compose("({})::text", value)
    if inside.how == "each":
        key = as_key(_trimmed(verbatim("x.id")), inside.key) if inside.parts else verbatim("x.id")
        rows = compose(
            "SELECT x.id::text AS raw, {key} AS id, x.o FROM unnest({value}) WITH ORDINALITY AS x(id, o)",
            key=key, value=value,
        )  # fmt: skip
        return compose("(SELECT y.raw, y.id, y.o FROM ({}) AS y WHERE y.raw IS NOT NULL)", rows)
    if inside.how == "split":
        tokens = compose(
            "unnest(string_to_array({}, {})) WITH ORDINALITY AS x(id, o)", text, literal(inside.parts[0])
        )
        rows = compose("SELECT {} AS raw, x.o FROM {}", _trimmed(verbatim("x.id")), tokens)
    elif inside.how == "pattern":
        result = compose(
            "regexp_matches({text}, {grouped}, 'g') WITH ORDINALITY AS x(found, o)",
            text=text,
            grouped=literal(_grouped(inside)),
        )
        rows = compose("SELECT (x.found)[2] AS raw, x.o FROM {}", result)
    else:
        result = compose(
            "jsonb_path_query({}, {}) WITH ORDINALITY AS x(found, o)", value, literal(_jsonpath(inside))
        )
        scalar = verbatim("jsonb_typeof(x.found) IN ('string', 'number')")
        rows = compose("SELECT x.found #>> '{{}}' AS raw, x.o FROM {} WHERE {}", result, scalar)
    typed = compose("SELECT y.raw, {} AS id, y.o FROM ({}) AS y", as_key(verbatim("y.raw"), inside.key), rows)
    return compose("({} WHERE y.raw IS NOT NULL)", typed)


def replaced(ref: Reference, value: Sql, number: int, lookup: Resolved) -> Sql:
    """The value, an SQL expression, with each id replaced. number: of the reference, for names that are its own."""
    inside = ref.inside
    assert inside is not None
    make = {"each": _array, "split": _split, "pattern": _pattern, "path": _document}[inside.how]
    return make(ref, inside, value, number, lookup)


def _array(ref: Reference, inside: Inside, value: Sql, number: int, lookup: Resolved) -> Sql:
    joins, result = lookup.joins, lookup.value
    kind = of_array(ref.type)
    kept = (
        compose("coalesce(({found})::{kind}, x.raw::{kind})", found=result, kind=kind)
        if inside.policy == "keep"
        else compose("({})::{}", result, kind)
    )
    gone = (
        compose(" FILTER (WHERE x.raw IS NULL OR {} IS NOT NULL)", result)
        if inside.policy == "drop"
        else NOTHING
    )
    key = as_key(_trimmed(verbatim("x.raw")), inside.key) if inside.parts else verbatim("x.raw")
    rows = compose(
        "unnest({value}) WITH ORDINALITY AS x(raw, o) CROSS JOIN LATERAL (SELECT {key} AS r{number}_1) AS e\n  {joins}",
        value=value, key=key, number=number, joins=joins,
    )  # fmt: skip
    made = compose(
        "SELECT coalesce(array_agg({kept} ORDER BY x.o){gone}, '{{}}') FROM {rows}",
        kept=kept, gone=gone, rows=rows,
    )  # fmt: skip
    return compose("CASE WHEN {} IS NOT NULL THEN ({})::{} END", value, made, ref.type)


def _split(ref: Reference, inside: Inside, value: Sql, number: int, lookup: Resolved) -> Sql:
    joins, result = lookup.joins, lookup.value
    between, id_ = literal(inside.parts[0]), verbatim("e.raw")
    core = compose(
        r"substring(x.token FROM '^\s*') || ({found})::text || substring(x.token FROM '\s*$')", found=result
    )
    other = verbatim("x.token" if inside.policy == "keep" else "NULL")
    filled = compose(
        "CASE WHEN {id} IS NULL THEN x.token ELSE coalesce({core}, {other}) END",
        id=id_, core=core, other=other,
    )  # fmt: skip
    gone = (
        compose(" FILTER (WHERE {} IS NULL OR {} IS NOT NULL)", id_, result)
        if inside.policy == "drop"
        else NOTHING
    )
    tokens = compose(
        "unnest(string_to_array({value}, {between})) WITH ORDINALITY AS x(token, o)",
        value=value,
        between=between,
    )
    raw = compose("(SELECT {} AS raw) AS y", _trimmed(verbatim("x.token")))
    key = as_key(verbatim("y.raw"), inside.key)
    ids = compose(
        "CROSS JOIN LATERAL (SELECT y.raw, {key} AS r{number}_1 FROM {raw}) AS e",
        key=key, number=number, raw=raw,
    )  # fmt: skip
    made = compose(
        "SELECT coalesce(string_agg({filled}, {between} ORDER BY x.o){gone}, '') FROM {tokens}\n  {ids}\n  {joins}",
        filled=filled, between=between, gone=gone, tokens=tokens, ids=ids, joins=joins,
    )  # fmt: skip
    return compose("CASE WHEN {value} <> '' THEN ({made}) ELSE {value} END", value=value, made=made)


def _trimmed(token: Sql) -> Sql:
    return compose(r"nullif(regexp_replace({}, '^\s+|\s+$', '', 'g'), '')", token)


def _pattern(ref: Reference, inside: Inside, value: Sql, number: int, lookup: Resolved) -> Sql:
    """Pieces and marks alternate; behind the last piece there is none. One that was lost leaves no value at all."""
    joins, result = lookup.joins, lookup.value
    regex = literal(_grouped(inside))
    mark = compose("m.found[1] || ({})::text || m.found[3]", result)
    others = {"keep": verbatim("m.found[1] || m.found[2] || m.found[3]"), "drop": verbatim("''")}
    other = others.get(inside.policy, verbatim("NULL"))
    marks = compose("regexp_matches({}, {}, 'g') WITH ORDINALITY AS m(found, o)", value, regex)
    ids = compose(
        "CROSS JOIN LATERAL (SELECT {} AS r{}_1) AS e", as_key(verbatim("m.found[2]"), inside.key), number
    )
    made = compose(
        "SELECT m.o, coalesce({mark}, {other}) AS mark FROM {marks}\n  {ids}\n  {joins}",
        mark=mark, other=other, marks=marks, ids=ids, joins=joins,
    )  # fmt: skip
    pieces = compose(
        "regexp_split_to_table({value}, {regex}) WITH ORDINALITY AS s(piece, o)", value=value, regex=regex
    )
    whole = verbatim("string_agg(s.piece || CASE WHEN w.o IS NULL THEN '' ELSE w.mark END, '' ORDER BY s.o)")
    lost = verbatim("bool_or(w.o IS NOT NULL AND w.mark IS NULL)")
    return compose(
        "(SELECT CASE WHEN NOT {lost} THEN {whole} END FROM {pieces} LEFT JOIN ({made}) AS w ON w.o = s.o)",
        lost=lost, whole=whole, pieces=pieces, made=made,
    )  # fmt: skip


def _document(ref: Reference, inside: Inside, value: Sql, number: int, lookup: Resolved) -> Sql:
    joins, result = lookup.joins, lookup.value
    steps = [json.loads(step) for step in inside.parts]
    return Document(ref, inside, number, joins, result).at(value, steps, 0)


def _grouped(inside: Inside) -> str:
    """The pattern with three groups: before the id, the id, behind it."""
    before, group, behind = inside.parts
    return f"({before}){group}({behind})"


def _jsonpath(inside: Inside) -> str:
    steps = [json.loads(step) for step in inside.parts]
    result = "$"
    for step in steps:
        if isinstance(step, str):
            result += f".{json.dumps(step, ensure_ascii=False)}"
        else:
            result += "[*]" if step is None else f"[{step}]"
    return result
