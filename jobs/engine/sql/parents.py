"""How a feed row finds the rows that its parents became: by joins, or inside a value, of which nothing else changes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from jobs.engine.sql import key_sql
from jobs.engine.sql.assigning import lookup
from jobs.engine.sql.assigning.lookup import Resolved
from mappings.compiling.projection import key_text
from mappings.plan.model import Plan
from mappings.plan.references import Inside, Reference
from mappings.sql import collated, ident, literal

WHOLE = {"smallint": (-(2**15), 2**15 - 1), "integer": (-(2**31), 2**31 - 1), "bigint": (-(2**63), 2**63 - 1)}
NUMBER = "^-?[0-9]{1,19}$"
SHAPES = {
    "uuid": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
    "numeric": "^-?[0-9]{1,100}([.][0-9]{1,100})?$",
}
"""Of keys that not every text is: what such a text looks like, read alike by Python and PostgreSQL."""


def parent_key_text(number: int, ref: Reference, row: str = "f") -> str:
    """The key of the parent that a feed row refers to, as the map writes it."""
    return key_text([(f"{row}.r{number}_{place}", by.type) for place, by in enumerate(ref.by, start=1)])


def resolve(plan: Plan, number: int, ref: Reference, row: str = "f") -> Resolved:
    """How the feed row finds the parent's row: by its source id, or through the map."""
    if ref.assigned:
        return lookup.resolve(plan, number, ref, row)
    return _inside(plan, number, ref, row) if ref.inside else _parent(plan, number, ref, row)


def _inside(plan: Plan, number: int, ref: Reference, row: str) -> Resolved:
    """The same for ids inside a value: the value with all of them replaced, those of earlier places too."""
    value, first = f"{row}.r{number - len(ref.earlier)}_1", number - len(ref.earlier)
    for place, one in enumerate((*ref.earlier, ref), start=first):
        value = replaced(one, value, place, _parent(plan, place, one, "e"))
    lost = ref.inside is not None and not ref.inside.policy
    missing = f"({first_lost(plan, number, ref, row)}) IS NOT NULL" if lost else "false"
    return Resolved("", value, missing, first_lost(plan, number, ref, row))


def first_lost(plan: Plan, number: int, ref: Reference, row: str = "f") -> str:
    """The key of the parent that a feed row refers to; inside a value the first that was not migrated."""
    if ref.assigned:
        return lookup.resolve(plan, number, ref, row).lost
    if ref.inside is None:
        return parent_key_text(number, ref, row)
    found = _parent(plan, number, ref, "e", "e.raw IS NOT NULL")
    ids = elements(ref.inside, f"{row}.r{number}_1")
    key = key_text([(f"e.r{number}_1", ref.inside.key)])
    return (
        f"SELECT coalesce({key}, e.raw) FROM {ids} AS e(raw, r{number}_1, o)\n  {found.joins}\n"
        f" WHERE {found.missing} ORDER BY e.o LIMIT 1"
    )


def _parent(plan: Plan, number: int, ref: Reference, row: str, asked: str = "") -> Resolved:
    """asked: whether there is a parent to be found, by default wherever its key is given."""
    if not ref.parent:
        return Resolved("", f"NULL::{ref.type}", f"{row}.r{number}_1 IS NOT NULL")
    parent = plan.table(ref.parent)
    by = [f"{row}.r{number}_{place}" for place in range(1, len(ref.by) + 1)]
    asked = asked or " AND ".join(f"{part} IS NOT NULL" for part in by)
    row_alias, map_alias = f"p{number}", f"m{number}"
    if parent.link.link_by == "source_id":
        ids = [f"{row_alias}.{ident(name)}" for name in parent.link.source_id]
        same = key_sql.equal(ids, by, key_sql.kept_operators(parent))
        joins = f"LEFT JOIN {parent.into.target_sql} AS {row_alias} ON {same}"
        return Resolved(joins, f"{row_alias}.{ident(ref.value_column)}", f"{ids[0]} IS NULL AND {asked}")
    parts = list(zip(by, [part.type for part in parent.feed.key], strict=True))
    joins = (
        f"LEFT JOIN {key_sql.MAP} AS {map_alias} ON {key_sql.of_table(plan, parent.name, map_alias)}"
        f" AND {map_alias}.source_key = {key_text(parts)}"
    )
    keys = key_sql.decoded(f"{map_alias}.target_key", [key.kept for key in parent.into.target_key])
    names = [f"{row_alias}.{ident(key.column)}" for key in parent.into.target_key]
    same = key_sql.equal(names, keys, key_sql.target_operators(parent))
    joins += f"\n  LEFT JOIN {parent.into.target_sql} AS {row_alias} ON {same}"
    return Resolved(joins, f"{row_alias}.{ident(ref.value_column)}", f"{names[0]} IS NULL AND {asked}")


def reference_value(number: int, ref: Reference, found: Resolved, strict: bool, row: str = "f") -> str:
    """The reference's SQL of the target's type; with strict a missing parent raises MG001 unless it may be NULL."""
    value = collated(f"({found.value})::{ref.type}", ref.collation)
    if not strict or ref.missing == "null":
        return value
    key = f"({found.lost})" if found.lost else parent_key_text(number, ref, row)
    raised = f"migrator.missing_parent({literal(ref.target)}, {literal(ref.parent)}, {key}, NULL::{ref.type})"
    return f"CASE WHEN {found.missing} THEN {raised} ELSE {value} END"


def together(refs: Sequence[tuple[int, Reference]], values: Sequence[str]) -> str:
    """What fills a column that has several references: the one that is not NULL; of places in a document the last,
    which is made of those before.
    """
    if len(values) == 1:
        return values[0]
    if refs[0][1].inside:  # the others are read as well: they refuse a row whose parent is missing there
        return (
            f"CASE WHEN {' AND '.join(f'{value} IS NOT NULL' for value in values[:-1])} THEN {values[-1]} END"
        )
    return f"coalesce({', '.join(values)})"


def elements(inside: Inside, value: str) -> str:
    """A query of the ids in a value: `raw` as it stands there, `id` as a key, its place `o`. Runs on either side."""
    text = f"({value})::text"
    if inside.how == "each":
        rows = f"SELECT x.id::text AS raw, x.id, x.o FROM unnest({value}) WITH ORDINALITY AS x(id, o)"
        return f"(SELECT y.raw, y.id, y.o FROM ({rows}) AS y WHERE y.raw IS NOT NULL)"
    if inside.how == "split":
        tokens = f"unnest(string_to_array({text}, {literal(inside.parts[0])})) WITH ORDINALITY AS x(id, o)"
        rows = f"SELECT {_trimmed('x.id')} AS raw, x.o FROM {tokens}"
    elif inside.how == "pattern":
        found = f"regexp_matches({text}, {literal(_grouped(inside))}, 'g') WITH ORDINALITY AS x(found, o)"
        rows = f"SELECT (x.found)[2] AS raw, x.o FROM {found}"
    else:
        found = f"jsonb_path_query({value}, {literal(_jsonpath(inside))}) WITH ORDINALITY AS x(found, o)"
        scalar = "jsonb_typeof(x.found) IN ('string', 'number')"
        rows = f"SELECT x.found #>> '{{}}' AS raw, x.o FROM {found} WHERE {scalar}"
    typed = f"SELECT y.raw, {_as_key('y.raw', inside.key)} AS id, y.o FROM ({rows}) AS y"
    return f"({typed} WHERE y.raw IS NOT NULL)"


def _as_key(text: str, kind: str) -> str:
    """A text as a key; NULL where it is none, so that it misses its parent instead of failing all rows at once."""
    if limits := WHOLE.get(kind):
        within = f"CASE WHEN {text}::numeric BETWEEN {limits[0]} AND {limits[1]} THEN {text}::{kind} END"
        return f"CASE WHEN {text} ~ {literal(NUMBER)} THEN {within} END"
    return (
        f"CASE WHEN {text} ~* {literal(SHAPES[kind])} THEN {text}::{kind} END"
        if kind in SHAPES
        else f"{text}::{kind}"
    )


def may_be_key(text: str, kind: str) -> bool:
    """The same for a text that is at hand."""
    if limits := WHOLE.get(kind):
        return bool(re.fullmatch(NUMBER[1:-1], text)) and limits[0] <= int(text) <= limits[1]
    return kind not in SHAPES or bool(re.fullmatch(SHAPES[kind][1:-1], text, re.IGNORECASE))


def replaced(ref: Reference, value: str, number: int, lookup: Resolved) -> str:
    """The value, an SQL expression, with each id replaced. number: of the reference, for names that are its own."""
    inside = ref.inside
    assert inside is not None
    make = {"each": _array, "split": _split, "pattern": _pattern, "path": _document}[inside.how]
    return make(ref, inside, value, number, lookup)


def _array(ref: Reference, inside: Inside, value: str, number: int, lookup: Resolved) -> str:
    joins, found = lookup.joins, lookup.value
    kind = ref.type.removesuffix("[]")
    kept = (
        f"coalesce(({found})::{kind}, e.r{number}_1::{kind})"
        if inside.policy == "keep"
        else f"({found})::{kind}"
    )
    gone = f" FILTER (WHERE e.r{number}_1 IS NULL OR {found} IS NOT NULL)" if inside.policy == "drop" else ""
    rows = f"unnest({value}) WITH ORDINALITY AS e(r{number}_1, o)\n  {joins}"
    made = f"SELECT coalesce(array_agg({kept} ORDER BY e.o){gone}, '{{}}') FROM {rows}"
    return f"CASE WHEN {value} IS NOT NULL THEN ({made})::{ref.type} END"


def _split(ref: Reference, inside: Inside, value: str, number: int, lookup: Resolved) -> str:
    joins, found = lookup.joins, lookup.value
    between, id_ = literal(inside.parts[0]), "e.raw"
    core = rf"substring(x.token FROM '^\s*') || ({found})::text || substring(x.token FROM '\s*$')"
    other = "x.token" if inside.policy == "keep" else "NULL"
    filled = f"CASE WHEN {id_} IS NULL THEN x.token ELSE coalesce({core}, {other}) END"
    gone = f" FILTER (WHERE {id_} IS NULL OR {found} IS NOT NULL)" if inside.policy == "drop" else ""
    tokens = f"unnest(string_to_array({value}, {between})) WITH ORDINALITY AS x(token, o)"
    raw, key = f"(SELECT {_trimmed('x.token')} AS raw) AS y", _as_key("y.raw", inside.key)
    ids = f"CROSS JOIN LATERAL (SELECT y.raw, {key} AS r{number}_1 FROM {raw}) AS e"
    made = f"SELECT coalesce(string_agg({filled}, {between} ORDER BY x.o){gone}, '') FROM {tokens}\n  {ids}\n  {joins}"
    return f"CASE WHEN {value} <> '' THEN ({made}) ELSE {value} END"


def _trimmed(token: str) -> str:
    return rf"nullif(regexp_replace({token}, '^\s+|\s+$', '', 'g'), '')"


def _pattern(ref: Reference, inside: Inside, value: str, number: int, lookup: Resolved) -> str:
    """Pieces and marks alternate; behind the last piece there is none. One that was lost leaves no value at all."""
    joins, found = lookup.joins, lookup.value
    regex = literal(_grouped(inside))
    mark = f"m.found[1] || ({found})::text || m.found[3]"
    other = {"keep": "m.found[1] || m.found[2] || m.found[3]", "drop": "''"}.get(inside.policy, "NULL")
    marks = f"regexp_matches({value}, {regex}, 'g') WITH ORDINALITY AS m(found, o)"
    ids = f"CROSS JOIN LATERAL (SELECT {_as_key('m.found[2]', inside.key)} AS r{number}_1) AS e"
    made = f"SELECT m.o, coalesce({mark}, {other}) AS mark FROM {marks}\n  {ids}\n  {joins}"
    pieces = f"regexp_split_to_table({value}, {regex}) WITH ORDINALITY AS s(piece, o)"
    whole = "string_agg(s.piece || CASE WHEN w.o IS NULL THEN '' ELSE w.mark END, '' ORDER BY s.o)"
    lost = "bool_or(w.o IS NOT NULL AND w.mark IS NULL)"
    return (
        f"(SELECT CASE WHEN NOT {lost} THEN {whole} END FROM {pieces} LEFT JOIN ({made}) AS w ON w.o = s.o)"
    )


def _document(ref: Reference, inside: Inside, value: str, number: int, lookup: Resolved) -> str:
    joins, found = lookup.joins, lookup.value
    steps = [json.loads(step) for step in inside.parts]
    return _Document(ref, inside, number, joins, found).at(value, steps, 0)


class _Document:
    """Fills one path of a document. A place that is not there stays so; NULL in SQL is an element that goes."""

    def __init__(self, ref: Reference, inside: Inside, number: int, joins: str, found: str) -> None:
        self.ref, self.inside, self.number, self.joins, self.found = ref, inside, number, joins, found

    def at(self, doc: str, steps: list[str | int | None], depth: int) -> str:
        """The document `doc`, an SQL expression that is read several times, with the rest of the path filled."""
        if not steps:
            return self._id(doc)
        name = f"d{self.number}_{depth}"
        step, kind = steps[0], "object" if isinstance(steps[0], str) else "array"
        if step is None:
            rows = f"jsonb_array_elements({name}.v) WITH ORDINALITY AS x(v, o)"
            inner = f"SELECT x.o, {self.at('x.v', steps[1:], depth + 1)} AS v FROM {rows}"
            kept = "jsonb_agg(y.v ORDER BY y.o) FILTER (WHERE y.v IS NOT NULL)"
            filled = f"(SELECT coalesce({kept}, '[]') FROM ({inner}) AS y)"
        else:
            key = literal(step) if isinstance(step, str) else str(step)
            there = f"{name}.v -> {key}"
            inner = self.at(f"({there})", steps[1:], depth + 1)
            place = f"ARRAY[{literal(str(step))}]"
            changed = f"jsonb_set_lax({name}.v, {place}, {inner}, true, 'delete_key')"
            filled = f"CASE WHEN ({there}) IS NULL THEN {name}.v ELSE {changed} END"
        is_kind, nothing = f"jsonb_typeof({name}.v) = '{kind}'", f"jsonb_typeof({name}.v) = 'null'"
        filled = (
            f"CASE WHEN {is_kind} THEN {filled} WHEN {nothing} THEN {name}.v ELSE {self._wrong(name)} END"
        )
        return f"(SELECT {filled} FROM (SELECT {doc} AS v) AS {name} WHERE {name}.v IS NOT NULL)"

    def _id(self, doc: str) -> str:
        name, kind = f"i{self.number}", f"jsonb_typeof(i{self.number}.v)"
        key = _as_key(f"({name}.v #>> '{{}}')", self.inside.key)
        missing = {"keep": f"{name}.v", "null": "'null'::jsonb"}.get(self.inside.policy, "NULL::jsonb")
        made = (
            f"CASE {kind} WHEN 'string' THEN to_jsonb(({self.found})::text) ELSE to_jsonb({self.found}) END"
        )
        looked_up = (
            f"(SELECT CASE WHEN {self.found} IS NULL THEN {missing} ELSE {made} END"
            f" FROM (SELECT {key} AS r{self.number}_1) AS e\n  {self.joins})"
        )
        cases = f"WHEN {kind} IN ('string', 'number') THEN {looked_up} WHEN {kind} = 'null' THEN {name}.v"
        return f"(SELECT CASE {cases} ELSE {self._wrong(name)} END FROM (SELECT {doc} AS v) AS {name})"

    def _wrong(self, name: str) -> str:
        meets = literal(f"the path {self.inside.said} meets ")
        said = f"concat({meets}, jsonb_typeof({name}.v), ' ', left({name}.v::text, 60))"
        return f"migrator.missing_parent({literal(self.ref.target)}, '', {said}, NULL::jsonb)"


def _grouped(inside: Inside) -> str:
    """The pattern with three groups: before the id, the id, behind it."""
    before, group, behind = inside.parts
    return f"({before}){group}({behind})"


def _jsonpath(inside: Inside) -> str:
    steps = [json.loads(step) for step in inside.parts]
    found = "$"
    for step in steps:
        if isinstance(step, str):
            found += f".{json.dumps(step, ensure_ascii=False)}"
        else:
            found += "[*]" if step is None else f"[{step}]"
    return found
