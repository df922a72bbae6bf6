"""One path of a JSON document filled: a query that takes it apart and puts it together again."""

from __future__ import annotations

from jobs.engine.sql.references.ids_inside.keys import as_key
from mappings.plan.references import Inside, Reference
from mappings.sql import Sql, compose, literal, verbatim


class Document:
    """Fills one path of a document. A place that is not there stays so; NULL in SQL is an element that goes."""

    def __init__(self, ref: Reference, inside: Inside, number: int, joins: Sql, result: Sql) -> None:
        self.ref, self.inside, self.number, self.joins, self.found = ref, inside, number, joins, result

    def at(self, doc: Sql, steps: list[str | int | None], depth: int) -> Sql:
        """The document `doc`, an SQL expression that is read several times, with the rest of the path filled."""
        if not steps:
            return self._id(doc)
        name = compose("d{}_{}", self.number, depth)
        step, kind = steps[0], verbatim("object" if isinstance(steps[0], str) else "array")
        if step is None:
            rows = compose("jsonb_array_elements({}.v) WITH ORDINALITY AS x(v, o)", name)
            inner = compose(
                "SELECT x.o, {} AS v FROM {}", self.at(verbatim("x.v"), steps[1:], depth + 1), rows
            )
            kept = verbatim("jsonb_agg(y.v ORDER BY y.o) FILTER (WHERE y.v IS NOT NULL)")
            filled = compose("(SELECT coalesce({}, '[]') FROM ({}) AS y)", kept, inner)
        else:
            key = literal(step) if isinstance(step, str) else compose("{}", step)
            there = compose("{}.v -> {}", name, key)
            inner = self.at(compose("({})", there), steps[1:], depth + 1)
            place = compose("ARRAY[{}]", literal(str(step)))
            changed = compose("jsonb_set_lax({}.v, {}, {}, true, 'delete_key')", name, place, inner)
            filled = compose("CASE WHEN ({}) IS NULL THEN {}.v ELSE {} END", there, name, changed)
        is_kind = compose("jsonb_typeof({}.v) = '{}'", name, kind)
        nothing = compose("jsonb_typeof({}.v) = 'null'", name)
        filled = compose(
            "CASE WHEN {is_kind} THEN {filled} WHEN {nothing} THEN {name}.v ELSE {wrong} END",
            is_kind=is_kind, filled=filled, nothing=nothing, name=name, wrong=self._wrong(name),
        )  # fmt: skip
        return compose(
            "(SELECT {filled} FROM (SELECT {doc} AS v) AS {name} WHERE {name}.v IS NOT NULL)",
            filled=filled, doc=doc, name=name,
        )  # fmt: skip

    def _id(self, doc: Sql) -> Sql:
        name = compose("i{}", self.number)
        kind = compose("jsonb_typeof(i{}.v)", self.number)
        key = as_key(compose("({}.v #>> '{{}}')", name), self.inside.key)
        missings = {"keep": compose("{}.v", name), "null": verbatim("'null'::jsonb")}
        missing = missings.get(self.inside.policy, verbatim("NULL::jsonb"))
        made = compose(
            "CASE {kind} WHEN 'string' THEN to_jsonb(({found})::text) ELSE to_jsonb({found}) END",
            kind=kind,
            found=self.found,
        )
        looked_up = compose(
            "(SELECT CASE WHEN {found} IS NULL THEN {missing} ELSE {made} END"
            " FROM (SELECT {key} AS r{number}_1) AS e\n  {joins})",
            found=self.found, missing=missing, made=made, key=key, number=self.number, joins=self.joins,
        )  # fmt: skip
        cases = compose(
            "WHEN {kind} IN ('string', 'number') THEN {looked_up} WHEN {kind} = 'null' THEN {name}.v",
            kind=kind, looked_up=looked_up, name=name,
        )  # fmt: skip
        return compose(
            "(SELECT CASE {cases} ELSE {wrong} END FROM (SELECT {doc} AS v) AS {name})",
            cases=cases, wrong=self._wrong(name), doc=doc, name=name,
        )  # fmt: skip

    def _wrong(self, name: Sql) -> Sql:
        meets = literal(f"the path {self.inside.said} meets ")
        said = compose(
            "concat({meets}, jsonb_typeof({name}.v), ' ', left({name}.v::text, 60))", meets=meets, name=name
        )
        return compose("migrator.missing_parent({}, '', {}, NULL::jsonb)", literal(self.ref.target), said)
