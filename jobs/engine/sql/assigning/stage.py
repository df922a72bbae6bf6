"""The rows that need a value, side by side in a temporary table, with all that is asked of them.

Its own columns are called like none of a target's, as expressions over those stand beside them.
"""

from __future__ import annotations

from collections.abc import Iterator

from jobs.engine.scope import RunNumber
from jobs.engine.sql import key_sql
from jobs.engine.sql.assigning.asked_columns import Columns, as_text, together
from jobs.engine.sql.references import lookup
from mappings.plan.model import Plan
from mappings.plan.references import Assigned, Reference
from mappings.plan.table_plan import TablePlan
from mappings.sql import Sql, cast, collated, compose, ident, joined, literal, verbatim

NAME = ident("migrator assigning")
STAGE = compose("pg_temp.{}", NAME)
KEY, PLACE, THERE, BASE, TOLD, SAID = (
    ident(f"migrator {name}") for name in ("key", "place", "there", "base", "told", "said")
)
"""The source key; among which rows values must differ, as a text, and what that is for rows that are there; what the
source says, as text, and by what the target tells it apart; by what it tells the value that was given apart."""

TURN, VALUE, PROBLEM, TRIES, LEADER, KNOWN = (
    ident(f"migrator {name}") for name in ("turn", "value", "problem", "tries", "leader", "known")
)
"""The order, another number for each row; the value given, or why there can be none; the number to try next; the
first of the rows that go where one row goes; whether a value was given before, for what the source said then."""


WAITS = compose("s.{} IS NULL AND s.{} IS NULL AND s.{} = s.{}", VALUE, PROBLEM, LEADER, KEY)

OWN = {
    "KEY": KEY, "PLACE": PLACE, "THERE": THERE, "BASE": BASE, "TOLD": TOLD, "SAID": SAID, "TURN": TURN,
    "VALUE": VALUE, "PROBLEM": PROBLEM, "TRIES": TRIES, "LEADER": LEADER, "KNOWN": KNOWN, "STAGE": STAGE,
    "WAITS": WAITS,
}  # fmt: skip
"""All of these, for the places in a statement that are called like them."""


def _k(place: int) -> Sql:
    return compose('"migrator k{}"', place)


def _m(place: int) -> Sql:
    return compose('"migrator m{}"', place)


NOT_ROW_BY_ROW = verbatim(
    "set_config('enable_nestloop', 'off', true), set_config('work_mem',"
    " greatest(pg_size_bytes(current_setting('work_mem')) / 1024, 65536)::text, true)"
)
"""The planner knows too little of rows that are being numbered: it would hold each against all others. All rows of a
table are sorted at once, so that 64 MB are well spent."""

ROW_BY_ROW = verbatim("set_config('enable_nestloop', 'on', true)")


def clear() -> Sql:
    """Away with that of another column, or of another try."""
    return compose("DROP TABLE IF EXISTS {STAGE}", **OWN)


def fill(plan: Plan, table: TablePlan, number: int, relation: Sql) -> Sql:
    """The rows of a feed (purpose: assign or file) that have no value for their reference of that number."""
    ref = table.references[number - 1]
    how = told_of(ref)
    rows = compose("(\n{}\n) AS w", _rows(plan, table, number, ref, relation))
    told = (
        [compose("{} AS {TOLD}", _assigned(ref).told, **OWN)]
        if how
        else [compose("NULL::text AS {TOLD}", **OWN)]
    )
    said = compose("CASE WHEN false THEN {} END", _assigned(ref).told) if how else verbatim("NULL::text")
    keys = [compose("w.{}", _k(place)) for place in range(1, len(table.feed.key) + 1)]
    matches = [compose("({}) AS {}", sql, _m(place)) for place, sql in enumerate(_matches(table), start=1)]
    own = [compose("w.{}", name) for name in (KEY, TURN, PLACE, THERE, BASE, KNOWN)]
    empty = [
        compose("NULL::text AS {VALUE}", **OWN),
        compose("NULL::text AS {PROBLEM}", **OWN),
        compose("2::bigint AS {TRIES}", **OWN),
        compose("{} AS {SAID}", said, **OWN),
    ]
    listed = [
        *own,
        *keys,
        *told,
        *matches,
        *empty,
        compose("{} AS {LEADER}", _leader(table), **OWN),
    ]
    return compose(
        "CREATE TEMPORARY TABLE {name} ON COMMIT DROP AS\nSELECT {listed}\n  FROM {rows}",
        name=NAME, listed=joined(", ", listed), rows=rows,
    )  # fmt: skip


def told_of(ref: Reference) -> bool:
    """Whether values are told apart: those of texts are, numbers only count."""
    return bool(_assigned(ref).told)


def _assigned(ref: Reference) -> Assigned:
    assert ref.assigned is not None
    return ref.assigned


def _matches(table: TablePlan) -> tuple[Sql, ...]:
    return table.into.existing.on_row if table.into.existing else ()


def _leader(table: TablePlan) -> Sql:
    """Rows that match each other become one row of the target."""
    if not table.into.existing:
        return compose("w.{KEY}", **OWN)
    parts = joined(", ", (compose("({})", sql) for sql in _matches(table)))
    known = joined(" AND ", (compose("({}) IS NOT NULL", sql) for sql in _matches(table)))
    first = compose(
        "first_value(w.{KEY}) OVER (PARTITION BY {parts} ORDER BY w.{TURN}, w.{KEY})", parts=parts, **OWN
    )
    return compose("CASE WHEN {} THEN {} ELSE w.{KEY} END", known, first, **OWN)


def _rows(plan: Plan, table: TablePlan, number: int, ref: Reference, relation: Sql) -> Sql:
    """Rows with the target columns that are asked for, by their names, and our own."""
    result = Columns(plan, table)
    place, there = result.place(_assigned(ref))
    said, own = lookup.says_itself(ref), lookup.own(number, verbatim("f"))
    columns = [
        compose("{} AS {KEY}", key_sql.feed_key_text(table, verbatim("f")), **OWN),
        compose("f.o{} AS {TURN}", number, **OWN),
        compose("{} AS {PLACE}", place, **OWN),
        compose("{} AS {THERE}", there, **OWN),
        compose("{} AS {BASE}", own if said else verbatim("NULL::text"), **OWN),
        compose("o.source_key IS NOT NULL AS {KNOWN}", **OWN),
        *(compose("f.k{} AS {}", n, _k(n)) for n in range(1, len(table.feed.key) + 1)),
        *(compose("{} AS {}", sql, ident(name)) for name, sql in result.named.items()),
        *([compose("{} AS {}", typed(ref, own), ident(ref.target))] if said else []),
    ]
    old = compose(
        "LEFT JOIN {} AS o ON {}",
        lookup.KEPT,
        lookup.is_of(plan, ref, verbatim("o"), compose("f.r{}_1", number)),
    )
    new = (
        compose("{own} IS NOT NULL AND o.base IS DISTINCT FROM {own}", own=own)
        if said
        else verbatim("o.source_key IS NULL")
    )
    source = joined("\n  ", [compose("{} AS f", relation), old, *result.joins])
    return compose("SELECT {}\n  FROM {}\n WHERE {}", joined(", ", columns), source, new)


def typed(ref: Reference, text: Sql) -> Sql:
    """A text as the column would hold it."""
    return collated(cast(text, ref.type), ref.collation)


def rows_there(table: TablePlan, ref: Reference) -> Sql:
    """The target's rows: PLACE, SAID (by what their value is told apart) and VALUE, the column itself."""
    how = _assigned(ref)
    place = together([as_text(how, name, compose("t.{}", ident(name))) for name in how.within])
    column = compose("t.{}", ident(ref.target))
    said = how.told if told_of(ref) else verbatim("NULL::text")
    return compose(
        "(SELECT {place} AS {PLACE}, {said} AS {SAID}, {column} AS {VALUE}"
        " FROM {target_sql} AS t WHERE {column} IS NOT NULL)",
        place=place, said=said, column=column, target_sql=table.into.target_sql, **OWN,
    )  # fmt: skip


def values_kept(plan: Plan, table: TablePlan, ref: Reference) -> Sql:
    """What was assigned before, by all table mappings that fill that column: PLACE, SAID and VALUE."""
    names = key_sql.texts(list(_sharing(plan, table, ref)))
    rows = compose(
        "SELECT a.place AS {PLACE}, {typed} AS {target} FROM {kept} AS a\n"
        " WHERE a.mapping = {mapping} AND a.table_name = ANY ({names})"
        " AND a.column_name = {ref_target} AND a.value IS NOT NULL",
        typed=typed(ref, verbatim("a.value")), target=ident(ref.target), kept=lookup.KEPT,
        mapping=literal(plan.mapping), names=names, ref_target=literal(ref.target), **OWN,
    )  # fmt: skip
    said = _assigned(ref).told if told_of(ref) else verbatim("NULL::text")
    return compose(
        "(SELECT x.{PLACE}, {said} AS {SAID}, x.{target} AS {VALUE} FROM ({rows}) AS x)",
        said=said, target=ident(ref.target), rows=rows, **OWN,
    )  # fmt: skip


def _sharing(plan: Plan, table: TablePlan, ref: Reference) -> Iterator[str]:
    for other in plan.tables:
        if other.into.target_sql == table.into.target_sql and any(
            one.target == ref.target for _, one in other.assigning
        ):
            yield other.name


def of_rows_brought(plan: Plan, table: TablePlan, ref: Reference) -> list[Sql]:
    """Rows that are in the target already, by their link or their match, keep the value that they have there."""
    column, stage = compose("t.{}", ident(ref.target)), compose("{STAGE} AS s", **OWN)
    keep = compose("UPDATE {} SET {VALUE} = x.value FROM", stage, **OWN)
    free = compose("s.{VALUE} IS NULL AND NOT s.{KNOWN}", **OWN)
    if table.link.link_by == "source_id":
        ids = key_sql.source_id_columns(table, verbatim("t"))
        same = key_sql.equal(
            ids, [compose("b.{}", _k(n + 1)) for n in range(len(ids))], key_sql.kept_operators(table)
        )
        there = compose("JOIN {} AS t ON {}", table.into.target_sql, same)
    else:
        keys = key_sql.decoded(verbatim("m.target_key"), [part.kept for part in table.into.target_key])
        names = key_sql.target_keys(table, verbatim("t"))
        same = key_sql.equal(names, keys, key_sql.target_operators(table))
        mapped = compose("{} AND m.source_key = b.{KEY}", key_sql.of_table(plan, table.name), **OWN)
        there = compose(
            "JOIN {map} AS m ON {mapped} JOIN {target_sql} AS t ON {same}",
            map=key_sql.MAP, mapped=mapped, target_sql=table.into.target_sql, same=same,
        )  # fmt: skip
    result = [
        compose(
            "SELECT b.{KEY} AS key, {column}::text AS value FROM {STAGE} AS b\n  {there}",
            column=column, there=there, **OWN,
        )
    ]  # fmt: skip
    if table.into.existing:
        result.append(_matched(table, column))
    return [
        compose(
            "{keep} (\n{rows}\n) AS x WHERE x.key = s.{KEY} AND {free}",
            keep=keep, rows=rows, free=free, **OWN,
        )
        for rows in result
    ]  # fmt: skip


def _matched(table: TablePlan, column: Sql) -> Sql:
    """The value of the row that a row matches; of several the first by key, as where rows are merged."""
    assert table.into.existing is not None
    on_target = [compose("({})", sql) for sql in table.into.existing.on_target]
    on_row = [compose("b.{}", _m(place)) for place in range(1, len(on_target) + 1)]
    same = key_sql.equal(on_target, on_row, table.into.existing.operators)
    keys = joined(", ", (compose("t.{}", ident(part.column)) for part in table.into.target_key))
    return compose(
        "SELECT DISTINCT ON (b.{KEY}) b.{KEY} AS key, {column}::text AS value FROM {STAGE} AS b\n"
        "  JOIN {target_sql} AS t ON {same} ORDER BY b.{KEY}, {keys}",
        column=column, target_sql=table.into.target_sql, same=same, keys=keys, **OWN,
    )  # fmt: skip


def follow(table: TablePlan) -> list[Sql]:
    """Rows that go where another one goes have its value."""
    if not table.into.existing:
        return []
    return [compose(
        "UPDATE {STAGE} AS s SET {VALUE} = l.{VALUE}, {PROBLEM} = l.{PROBLEM} FROM {STAGE} AS l\n"
        " WHERE s.{LEADER} = l.{KEY} AND s.{KEY} <> s.{LEADER} AND s.{VALUE} IS NULL",
        **OWN,
    )]  # fmt: skip


def keep(plan: Plan, ref: Reference, run: RunNumber) -> list[Sql]:
    """The values are kept for their source keys, in whose order they are found, and belong to the run that gave the
    first."""
    named = joined(", ", (literal(text) for text in (plan.mapping, _assigned(ref).table, ref.target)))
    return [
        compose(
            "UPDATE {kept} AS a SET place = s.{PLACE}, base = s.{BASE}, value = s.{VALUE}, problem = s.{PROBLEM}"
            " FROM {STAGE} AS s\n WHERE s.{KNOWN} AND {is_of}",
            kept=lookup.KEPT, is_of=lookup.is_of(plan, ref, verbatim("a"), compose("s.{KEY}", **OWN)), **OWN,
        ),
        compose(
            "INSERT INTO {kept} (mapping, table_name, column_name, source_key, place, base, value, problem, run)\n"
            "SELECT {named}, s.{KEY}, s.{PLACE}, s.{BASE}, s.{VALUE}, s.{PROBLEM}, {run} FROM {STAGE} AS s\n"
            " WHERE NOT s.{KNOWN} ORDER BY s.{KEY} COLLATE \"C\"",
            kept=lookup.KEPT, named=named, run=run, **OWN,
        ),
    ]  # fmt: skip
