"""The rows that need a value, side by side in a temporary table, with all that is asked of them.

Its own columns are called like none of a target's, as expressions over those stand beside them.
"""

from __future__ import annotations

from collections.abc import Iterator

from jobs.engine.sql import key_sql, parents
from jobs.engine.sql.assigning import lookup
from jobs.engine.sql.key_sql import RunNumber
from mappings.plan.model import Plan
from mappings.plan.references import Assigned, Reference
from mappings.plan.table_plan import TablePlan
from mappings.sql import cast, collated, ident, literal

STAGE = 'pg_temp."migrator assigning"'
KEY, PLACE, THERE, BASE, TOLD, SAID = (
    f'"migrator {name}"' for name in ("key", "place", "there", "base", "told", "said")
)
"""The source key; among which rows values must differ, as a text, and what that is for rows that are there; what the
source says, as text, and by what the target tells it apart; by what it tells the value that was given apart."""

TURN, VALUE, PROBLEM, TRIES, LEADER, KNOWN = (
    f'"migrator {name}"' for name in ("turn", "value", "problem", "tries", "leader", "known")
)
"""The order; the value given, or why there can be none; the number to try next; the first of the rows that go where
one row goes; whether a value was given before, for what the source said then."""


def _k(place: int) -> str:
    return f'"migrator k{place}"'


def _m(place: int) -> str:
    return f'"migrator m{place}"'


WAITS = f"s.{VALUE} IS NULL AND s.{PROBLEM} IS NULL AND s.{LEADER} = s.{KEY}"

ROW_BY_ROW = "set_config('enable_nestloop', '{}', true)"
"""The planner knows too little of rows that are being numbered: it would hold each against all others."""


def clear() -> str:
    """Away with that of another column, or of another try."""
    return f"DROP TABLE IF EXISTS {STAGE}"


def fill(plan: Plan, table: TablePlan, number: int, relation: str) -> str:
    """The rows of a feed (purpose: assign or file) that have no value for their reference of that number."""
    ref = table.references[number - 1]
    how = told_of(ref)
    rows = f"(\n{_rows(plan, table, number, ref, relation)}\n) AS w"
    told = [f"{_assigned(ref).told} AS {TOLD}"] if how else [f"NULL::text AS {TOLD}"]
    said = f"CASE WHEN false THEN {_assigned(ref).told} END" if how else "NULL::text"
    keys = [f"w.{_k(place)}" for place in range(1, len(table.feed.key) + 1)]
    matches = [f"({sql}) AS {_m(place)}" for place, sql in enumerate(_matches(table), start=1)]
    own = [f"w.{name}" for name in (KEY, TURN, PLACE, THERE, BASE, KNOWN)]
    empty = [
        f"NULL::text AS {VALUE}",
        f"NULL::text AS {PROBLEM}",
        f"2::bigint AS {TRIES}",
        f"{said} AS {SAID}",
    ]
    listed = [*own, *keys, *told, *matches, *empty, f"{_leader(table)} AS {LEADER}"]
    return (
        f"CREATE TEMPORARY TABLE {STAGE.removeprefix('pg_temp.')} ON COMMIT DROP AS\n"
        f"SELECT {', '.join(listed)}\n  FROM {rows}"
    )


def told_of(ref: Reference) -> bool:
    """Whether values are told apart: those of texts are, numbers only count."""
    return bool(_assigned(ref).told)


def _assigned(ref: Reference) -> Assigned:
    assert ref.assigned is not None
    return ref.assigned


def _matches(table: TablePlan) -> tuple[str, ...]:
    return table.into.existing.on_row if table.into.existing else ()


def _leader(table: TablePlan) -> str:
    """Rows that match each other become one row of the target."""
    if not table.into.existing:
        return f"w.{KEY}"
    parts = ", ".join(f"({sql})" for sql in _matches(table))
    known = " AND ".join(f"({sql}) IS NOT NULL" for sql in _matches(table))
    first = f"first_value(w.{KEY}) OVER (PARTITION BY {parts} ORDER BY w.{TURN}, w.{KEY})"
    return f"CASE WHEN {known} THEN {first} ELSE w.{KEY} END"


def _rows(plan: Plan, table: TablePlan, number: int, ref: Reference, relation: str) -> str:
    """Rows with the target columns that are asked for, by their names, and our own."""
    found = _Columns(plan, table)
    place, there = found.place(_assigned(ref))
    said, own = lookup.says_itself(ref), lookup.own(number, "f")
    columns = [
        f"{key_sql.feed_key_text(table, 'f')} AS {KEY}", f"f.o{number} AS {TURN}",
        f"{place} AS {PLACE}", f"{there} AS {THERE}", f"{own if said else 'NULL::text'} AS {BASE}",
        f"o.source_key IS NOT NULL AS {KNOWN}", *(f"f.k{n} AS {_k(n)}" for n in range(1, len(table.feed.key) + 1)),
        *(f"{sql} AS {ident(name)}" for name, sql in found.named.items()),
        *([f"{typed(ref, own)} AS {ident(ref.target)}"] if said else []),
    ]  # fmt: skip
    old = f"LEFT JOIN {lookup.KEPT} AS o ON {lookup.is_of(plan, ref, 'o', f'f.r{number}_1')}"
    new = f"{own} IS NOT NULL AND o.base IS DISTINCT FROM {own}" if said else "o.source_key IS NULL"
    source = "\n  ".join([f"{relation} AS f", old, *found.joins])
    return f"SELECT {', '.join(columns)}\n  FROM {source}\n WHERE {new}"


def typed(ref: Reference, text: str) -> str:
    """A text as the column would hold it."""
    return collated(cast(text, ref.type), ref.collation)


class _Columns:
    """The mapped columns that have to be known of a row, as SQL over the feed: `named`, with the `joins` they need.

    late: references that are filled after all rows are in; of these `there` is where the parent is by now, if it is,
    and `unknown` whether it is not.
    """

    def __init__(self, plan: Plan, table: TablePlan) -> None:
        wanted = table.asked_to_assign
        self.named = {
            value.target: f"f.c{number}::{value.type}"
            for number, value in enumerate(table.values, start=1)
            if value.target in wanted
        }
        self.joins: list[str] = []
        self.late: dict[str, str] = {}
        self.there: dict[str, str] = {}
        self.unknown: list[str] = []
        for target, refs in table.referring.items():
            if target in wanted and not refs[0][1].assigned:
                self._refer(plan, table, target, refs)

    def _refer(self, plan: Plan, table: TablePlan, target: str, refs: list[tuple[int, Reference]]) -> None:
        values = []
        for number, ref in refs:
            found = parents.resolve(plan, number, ref)
            values.append(parents.reference_value(number, ref, found, strict=False))
            self.joins.append(found.joins)
        value = parents.together(refs, values)
        if any(ref.deferred or ref.parent == table.name for _, ref in refs):
            by = [[f"f.r{number}_{place}" for place in range(1, len(ref.by) + 1)] for number, ref in refs]
            asked = " OR ".join(f"({' AND '.join(f'{part} IS NOT NULL' for part in parts)})" for parts in by)
            keys = ", ".join(part for parts in by for part in parts)
            self.late[target] = f"CASE WHEN {asked} THEN jsonb_build_array({keys})::text END"
            self.there[target] = value
            self.unknown.append(f"({asked}) AND ({value}) IS NULL")
            self.named[target] = f"NULL::{refs[0][1].type}"
        else:
            self.named[target] = value

    def place(self, how: Assigned) -> tuple[str, str]:
        """(among which rows values must differ, what that is for rows that are there)."""
        place = [self.late.get(name) or as_text(how, name, self.named[name]) for name in how.within]
        there = [as_text(how, name, self.there.get(name, self.named[name])) for name in how.within]
        unknown = " OR ".join(self.unknown)
        known = f"CASE WHEN NOT ({unknown}) THEN {_together(there)} END" if unknown else _together(there)
        return _together(place), known


def as_text(how: Assigned, name: str, value: str) -> str:
    """A value of a column of `within` as a text that equal values share."""
    return f"lower(({value})::text)" if name in how.folded else f"({value})::text"


def _together(texts: list[str]) -> str:
    return f"jsonb_build_array({', '.join(texts)})::text" if texts else "''::text"


def rows_there(table: TablePlan, ref: Reference) -> str:
    """The target's rows: PLACE, SAID (by what their value is told apart) and VALUE, the column itself."""
    how = _assigned(ref)
    place = _together([as_text(how, name, f"t.{ident(name)}") for name in how.within])
    column = f"t.{ident(ref.target)}"
    said = how.told if told_of(ref) else "NULL::text"
    return (
        f"(SELECT {place} AS {PLACE}, {said} AS {SAID}, {column} AS {VALUE}"
        f" FROM {table.into.target_sql} AS t WHERE {column} IS NOT NULL)"
    )


def values_kept(plan: Plan, table: TablePlan, ref: Reference) -> str:
    """What was assigned before, by all table mappings that fill that column: PLACE, SAID and VALUE."""
    names = key_sql.texts(list(_sharing(plan, table, ref)))
    rows = (
        f"SELECT a.place AS {PLACE}, {typed(ref, 'a.value')} AS {ident(ref.target)} FROM {lookup.KEPT} AS a\n"
        f" WHERE a.mapping = {literal(plan.mapping)} AND a.table_name = ANY ({names})"
        f" AND a.column_name = {literal(ref.target)} AND a.value IS NOT NULL"
    )
    said = _assigned(ref).told if told_of(ref) else "NULL::text"
    return f"(SELECT x.{PLACE}, {said} AS {SAID}, x.{ident(ref.target)} AS {VALUE} FROM ({rows}) AS x)"


def _sharing(plan: Plan, table: TablePlan, ref: Reference) -> Iterator[str]:
    for other in plan.tables:
        if other.into.target_sql == table.into.target_sql and any(
            one.target == ref.target for _, one in other.assigning
        ):
            yield other.name


def of_rows_brought(plan: Plan, table: TablePlan, ref: Reference) -> list[str]:
    """Rows that are in the target already, by their link or their match, keep the value that they have there."""
    column, stage = f"t.{ident(ref.target)}", f"{STAGE} AS s"
    keep = f"UPDATE {stage} SET {VALUE} = x.value FROM"
    free = f"s.{VALUE} IS NULL AND NOT s.{KNOWN}"
    if table.link.link_by == "source_id":
        ids = [f"t.{ident(name)}" for name in table.link.source_id]
        same = key_sql.equal(ids, [f"b.{_k(n + 1)}" for n in range(len(ids))], key_sql.kept_operators(table))
        joined = f"JOIN {table.into.target_sql} AS t ON {same}"
    else:
        keys = key_sql.decoded("m.target_key", [part.kept for part in table.into.target_key])
        names = [f"t.{ident(part.column)}" for part in table.into.target_key]
        same = key_sql.equal(names, keys, key_sql.target_operators(table))
        mapped = f"{key_sql.of_table(plan, table.name)} AND m.source_key = b.{KEY}"
        joined = f"JOIN {key_sql.MAP} AS m ON {mapped} JOIN {table.into.target_sql} AS t ON {same}"
    found = [f"SELECT b.{KEY} AS key, {column}::text AS value FROM {STAGE} AS b\n  {joined}"]
    if table.into.existing:
        found.append(_matched(table, column))
    return [f"{keep} (\n{rows}\n) AS x WHERE x.key = s.{KEY} AND {free}" for rows in found]


def _matched(table: TablePlan, column: str) -> str:
    """The value of the row that a row matches; of several the first by key, as where rows are merged."""
    assert table.into.existing is not None
    on_target = [f"({sql})" for sql in table.into.existing.on_target]
    on_row = [f"b.{_m(place)}" for place in range(1, len(on_target) + 1)]
    same = key_sql.equal(on_target, on_row, table.into.existing.operators)
    keys = ", ".join(f"t.{ident(part.column)}" for part in table.into.target_key)
    return (
        f"SELECT DISTINCT ON (b.{KEY}) b.{KEY} AS key, {column}::text AS value FROM {STAGE} AS b\n"
        f"  JOIN {table.into.target_sql} AS t ON {same} ORDER BY b.{KEY}, {keys}"
    )


def follow() -> str:
    """Rows that go where another one goes have its value."""
    return (
        f"UPDATE {STAGE} AS s SET {VALUE} = l.{VALUE}, {PROBLEM} = l.{PROBLEM} FROM {STAGE} AS l\n"
        f" WHERE s.{LEADER} = l.{KEY} AND s.{KEY} <> s.{LEADER} AND s.{VALUE} IS NULL"
    )


def keep(plan: Plan, ref: Reference, run: RunNumber) -> list[str]:
    """The values are kept for their source keys, in whose order they are found, and belong to the run that gave the
    first."""
    named = ", ".join(literal(text) for text in (plan.mapping, _assigned(ref).table, ref.target))
    changed = ", ".join(
        f"{name} = s.{own}"
        for name, own in (("place", PLACE), ("base", BASE), ("value", VALUE), ("problem", PROBLEM))
    )
    return [
        f"UPDATE {lookup.KEPT} AS a SET {changed} FROM {STAGE} AS s\n"
        f" WHERE s.{KNOWN} AND {lookup.is_of(plan, ref, 'a', f's.{KEY}')}",
        f"INSERT INTO {lookup.KEPT} (mapping, table_name, column_name, source_key, place, base, value, problem, run)\n"
        f"SELECT {named}, s.{KEY}, s.{PLACE}, s.{BASE}, s.{VALUE}, s.{PROBLEM}, {run} FROM {STAGE} AS s\n"
        f" WHERE NOT s.{KNOWN} ORDER BY s.{KEY}",
    ]
