"""Statements that hold a chunk's feed against the target: how rows are paired, what differs, what is shown of it."""

from __future__ import annotations

from typing import NamedTuple

from jobs.engine.sql import key_sql, parents
from jobs.engine.sql.key_sql import MAP, Range
from jobs.engine.sql.superseded import overwritten
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import collated, ident, literal, unlike, unlike_image, unused


def comparison(plan: Plan, table: TablePlan, relation: str, chunk: Range) -> str:
    """A FROM clause of feed rows `f` and target rows `t`, full where ranges hold in the target, else left.

    Columns of the joined row: f.present, f.e1.. expected values, f.l1.. lost parents, the target's own in t, and
    which transaction wrote the target row last (here): NULL where there is none.
    """
    expected = [
        f"{collated(f'f.c{number}::{value.type}::{value.rounded}', value.collation)} AS e{number}"
        for number, value in enumerate(table.values, start=1)
    ]
    joins = []
    for number, ref in enumerate(table.references, start=1):
        found = parents.resolve(plan, number, ref)
        lost = "false" if ref.missing == "null" else f"({found.missing})"
        expected.append(
            f"{parents.reference_value(number, ref, found, strict=False)} AS w{number}, {lost} AS l{number}"
        )
        joins.append(found.joins)
    keys = [f"f.k{number}" for number in range(1, len(table.feed.key) + 1)]
    source = "\n  ".join([f"{relation} AS f", *joins])
    expected_rows = f"(SELECT true AS present, {', '.join([*keys, *expected])}\n  FROM {source}) AS f"
    if table.link.link_by == "source_id":
        kind = "FULL" if table.link.aligned else "LEFT"
        first = f"x.{ident(table.link.source_id[0])} IS NOT NULL"
        bounds = key_sql.target_range(table, chunk, "x") if table.link.aligned else "true"
        rows = f"SELECT x.xmin AS {here(table)}, {_listed(table)} FROM {table.into.target_sql} AS x"
        side = f"({rows} WHERE {first} AND {bounds}) AS t"
        ids = [f"t.{ident(name)}" for name in table.link.source_id]
        same = key_sql.equal(ids, key_sql.key_of(table, "f"), key_sql.kept_operators(table))
        return f"{expected_rows} {kind} JOIN {side} ON {same}"
    keys_sql = key_sql.decoded("m.target_key", [key.kept for key in table.into.target_key])
    names = [f"t.{ident(key.column)}" for key in table.into.target_key]
    mapped = f"{key_sql.of_table(plan, table.name)} AND m.source_key = {key_sql.feed_key_text(table, 'f')}"
    return (
        f"{expected_rows} LEFT JOIN {MAP} AS m ON {mapped}\n"
        f"  LEFT JOIN (SELECT x.xmin AS {here(table)}, {_listed(table)} FROM {table.into.target_sql} AS x) AS t"
        f" ON {key_sql.equal(names, keys_sql, key_sql.target_operators(table))}"
    )


def _columns(table: TablePlan) -> list[str]:
    """The target's columns that a comparison needs."""
    names = [*table.link.source_id, *(key.column for key in table.into.target_key)]
    names += [value.target for value in table.values] + [ref.target for ref in table.references]
    names += [table.link.is_migrated] if table.link.is_migrated else []
    return list(dict.fromkeys(names))


def _listed(table: TablePlan) -> str:
    return ", ".join(f"x.{ident(name)}" for name in _columns(table))


def here(table: TablePlan) -> str:
    """The column that says that there is a target row, and who wrote it last."""
    return unused("__here", _columns(table))


class Difference(NamedTuple):
    """A column that is compared, as SQL: the condition that it differs, what is expected, what was found."""

    column: str
    condition: str
    expected: str
    found: str


def differences(plan: Plan, table: TablePlan, identical: bool = False) -> list[Difference]:
    """Of every column that is compared. Of several mappings that wrote a value, the last one's is expected.
    identical: by the values' binary images, instead of by what their types call equal.

    A row that was there before keeps its key, so the key is compared on inserted rows alone.
    """
    found = []
    keys = {key.column for key in table.into.target_key} if table.into.existing else set()
    for number, value in enumerate(table.values, start=1):
        column, expected = f"t.{ident(value.target)}", f"f.e{number}"
        cast = "" if value.has_equality else "::text"
        cast = f"::{value.type}" if value.operators else cast  # a domain's rows would be of another type
        own = "m.action = 'inserted' AND " if value.target in keys else ""
        other = unlike(f"{column}{cast}", f"{expected}{cast}", value.operators)
        other = unlike_image(column, expected, value.type) if identical else other
        found.append(Difference(value.target, f"({own}{other})", expected, column))
    for refs in table.referring.values():
        ref, lost = refs[0][1], " OR ".join(f"f.l{number}" for number, _ in refs)
        column, expected = (
            f"t.{ident(ref.target)}",
            parents.together(refs, [f"f.w{number}" for number, _ in refs]),
        )
        other = unlike(f"({column})::{ref.type}" if ref.operators else column, expected, ref.operators)
        other = unlike_image(column, expected, ref.type) if identical else other
        found.append(Difference(ref.target, f"({other} OR {lost})", expected, column))
    found = [_by_the_last(plan, table, one) for one in found]
    found += _keys(table) if identical else []
    if table.link.is_migrated:
        flag = f"t.{ident(table.link.is_migrated)}"
        found.append(Difference(table.link.is_migrated, f"{flag} IS NOT TRUE", "true", flag))
    return found


def _keys(table: TablePlan) -> list[Difference]:
    """Of the source ids, which are equal where rows are paired: whether they are identical too."""
    if table.link.link_by != "source_id":
        return []
    parts = zip(table.link.source_id, table.feed.key, range(1, len(table.feed.key) + 1), strict=True)
    return [
        Difference(
            name,
            unlike_image(f"t.{ident(name)}", f"f.k{number}", part.type),
            f"f.k{number}",
            f"t.{ident(name)}",
        )
        for name, part, number in parts
    ]


def _by_the_last(plan: Plan, table: TablePlan, one: Difference) -> Difference:
    """The difference, where no other table mapping wrote the column afterwards; that one is asked of it."""
    theirs = overwritten(plan, table, one.column)
    if theirs is None:
        return one
    expected = f"CASE WHEN {theirs} THEN {one.found} ELSE {one.expected} END"
    return one._replace(condition=f"({one.condition} AND NOT {theirs})", expected=expected)


def differs(plan: Plan, table: TablePlan, identical: bool = False) -> str:
    """Whether a paired row differs in any column; kept rows are not the migration's to compare."""
    conditions = (
        " OR ".join(condition for _, condition, _, _ in differences(plan, table, identical)) or "false"
    )
    kept = " AND m.action <> 'kept' AND m.superseded_by IS NULL" if table.link.link_by == "map" else ""
    return f"f.present AND t.{here(table)} IS NOT NULL{kept} AND ({conditions})"


ONE_PROCESS = "SET LOCAL max_parallel_workers_per_gather = 0"
"""Ranges are compared side by side by the workers; to divide one once more costs more than it gains."""


AS_IT_LIES = "SET LOCAL enable_mergejoin = off"
"""Where both sides are read whole: to merge them the planner may want them in the order of an index, page by page."""


def compare(plan: Plan, table: TablePlan, relation: str, chunk: Range) -> str:
    """Counts (source rows, found in the target, missing, extra, different, kept, kept and alike) of one chunk."""
    there, (kept, unlike) = here(table), kept_rows(plan, table)
    return (
        f"SELECT count(f.present), count(f.present) + count(t.{there}) - count(*),\n"
        f"       count(*) - count(t.{there}), count(*) - count(f.present),\n"
        f"       count(CASE WHEN {differs(plan, table)} THEN 1 END),\n"
        f"       count(CASE WHEN {kept} THEN 1 END), count(CASE WHEN {kept} AND NOT ({unlike}) THEN 1 END)\n"
        f"  FROM {comparison(plan, table, relation, chunk)}"
    )


def kept_rows(plan: Plan, table: TablePlan) -> tuple[str, str]:
    """(whether a paired row was there and was kept, whether it says something else than its source row)."""
    if not table.into.existing or table.into.existing.then != "keep":
        return "false", "false"
    values = [
        condition for name, condition, _, _ in differences(plan, table) if name != table.link.is_migrated
    ]
    return f"f.present AND t.{here(table)} IS NOT NULL AND m.action = 'kept'", " OR ".join(values) or "false"


def samples(plan: Plan, table: TablePlan, relation: str, chunk: Range, most: int) -> str:
    """Rows (kind, source key, [[column, expected, found]]) of what the comparison found wrong."""
    key, there = key_sql.feed_key_text(table, "f"), here(table)
    ids = key_sql.source_id_text(table, "t") if table.link.source_id else "NULL"
    listed = ", ".join(
        f"CASE WHEN {condition} THEN jsonb_build_array({literal(name)}, ({expected})::text, ({found})::text) END"
        for name, condition, expected, found in differences(plan, table)
    )
    kind = (
        f"CASE WHEN f.present IS NULL THEN 'extra' WHEN t.{there} IS NULL THEN 'missing' ELSE 'different' END"
    )
    columns = f"to_jsonb(array_remove(ARRAY[{listed}]::jsonb[], NULL))"  # a function takes 100 arguments
    return (
        f"SELECT {kind}, coalesce({key}, {ids}), CASE WHEN f.present AND t.{there} IS NOT NULL THEN {columns} END\n"
        f"  FROM {comparison(plan, table, relation, chunk)}\n"
        f" WHERE f.present IS NULL OR t.{there} IS NULL OR ({differs(plan, table)})\n LIMIT {most}"
    )
