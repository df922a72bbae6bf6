"""Statements that hold a chunk's feed against the target: how rows are paired, what differs, what is shown of it."""

from __future__ import annotations

from typing import NamedTuple

from jobs.engine.sql import key_sql
from jobs.engine.sql.key_sql import MAP
from jobs.engine.sql.last_say import overwritten
from jobs.engine.sql.references import parents
from jobs.engine.sql.walks.chunk_range import Range
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan, Value
from mappings.sql import (
    NOTHING,
    Sql,
    collated,
    compose,
    ident,
    joined,
    literal,
    unlike,
    unlike_image,
    unused,
    verbatim,
)


def comparison(plan: Plan, table: TablePlan, relation: Sql, chunk: Range) -> Sql:
    """A FROM clause of feed rows `f` and target rows `t`, full where ranges hold in the target, else left.

    Columns of the joined row: f.present, f.e1.. expected values, f.l1.. lost parents, the target's own in t, and
    which transaction wrote the target row last (here): NULL where there is none.
    """
    rows = _expected_rows(plan, table, relation)
    if table.link.link_by == "source_id":
        kind = verbatim("FULL" if table.link.aligned else "LEFT")
        first = compose("x.{} IS NOT NULL", ident(table.link.source_id[0]))
        bounds = key_sql.target_range(table, chunk, verbatim("x")) if table.link.aligned else verbatim("true")
        there = compose(
            "SELECT x.xmin AS {}, {} FROM {} AS x", here(table), _listed(table), table.into.target_sql
        )
        side = compose("({} WHERE {} AND {}{}) AS t", there, first, bounds, _of_meant(plan, table))
        ids = key_sql.source_id_columns(table, verbatim("t"))
        same = key_sql.equal(ids, key_sql.key_of(table, verbatim("f")), key_sql.kept_operators(table))
        return compose("{} {} JOIN {} ON {}", rows, kind, side, same)
    return _found_by_map(plan, table, rows)


def _of_meant(plan: Plan, table: TablePlan) -> Sql:
    """Of copies within a table, those whose original is there but not meant (any more), such as another project's,
    which the same mapping copied with another value of its parameter, are nobody's to compare."""
    scope = table.feed.where_sql
    if scope is None or not plan.same_database or table.feed.source_sql != table.into.target_sql:
        return NOTHING
    ids = key_sql.source_id_columns(table, verbatim("x"))
    original = key_sql.equal(
        ids, [compose("({})", part.sql) for part in table.feed.key], key_sql.kept_operators(table)
    )
    return compose(
        "\n   AND NOT EXISTS (SELECT FROM {} WHERE {} AND ({}) IS NOT TRUE)",
        table.feed.base_sql, original, scope,
    )  # fmt: skip


def _expected_rows(plan: Plan, table: TablePlan, relation: Sql) -> Sql:
    expected = [
        compose("{} AS e{}", collated(_as_stored(number, value), value.collation), number)
        for number, value in enumerate(table.values, start=1)
    ]
    joins = []
    for number, ref in enumerate(table.references, start=1):
        result = parents.resolve(plan, number, ref)
        lost = verbatim("false") if ref.missing == "null" else compose("({})", result.missing)
        expected.append(
            compose(
                "{reference_value} AS w{number}, {lost} AS l{number}",
                reference_value=parents.reference_value(number, ref, result, strict=False), number=number,
                lost=lost,
            )
        )  # fmt: skip
        joins.append(result.joins)
    keys = [compose("f.k{}", number) for number in range(1, len(table.feed.key) + 1)]
    source = joined("\n  ", [compose("{} AS f", relation), *joins])
    return compose("(SELECT true AS present, {}\n  FROM {}) AS f", joined(", ", [*keys, *expected]), source)


def _as_stored(number: int, value: Value) -> Sql:
    return compose("f.c{}::{}::{}", number, value.type, value.rounded)


def _found_by_map(plan: Plan, table: TablePlan, expected_rows: Sql) -> Sql:
    keys_sql = key_sql.decoded(verbatim("m.target_key"), [key.kept for key in table.into.target_key])
    names = key_sql.target_keys(table, verbatim("t"))
    mapped = key_sql.map_row(plan, table, key_sql.feed_key_text(table, verbatim("f")))
    return compose(
        "{expected_rows} LEFT JOIN {map} AS m ON {mapped}\n"
        "  LEFT JOIN (SELECT x.xmin AS {here}, {listed} FROM {target_sql} AS x) AS t"
        " ON {equal}",
        expected_rows=expected_rows, map=MAP, mapped=mapped, here=here(table), listed=_listed(table),
        target_sql=table.into.target_sql,
        equal=key_sql.equal(names, keys_sql, key_sql.target_operators(table)),
    )  # fmt: skip


def _columns(table: TablePlan) -> list[str]:
    """The target's columns that a comparison needs."""
    names = [*table.link.source_id, *(key.column for key in table.into.target_key)]
    names += [value.target for value in table.values] + [ref.target for ref in table.references]
    names += [table.link.is_migrated] if table.link.is_migrated else []
    return list(dict.fromkeys(names))


def _listed(table: TablePlan) -> Sql:
    return joined(", ", (compose("x.{}", ident(name)) for name in _columns(table)))


def here(table: TablePlan) -> Sql:
    """The column that says that there is a target row, and who wrote it last."""
    return unused("__here", _columns(table))


class Difference(NamedTuple):
    """A column that is compared, as SQL: the condition that it differs, what is expected, what was found."""

    column: str
    condition: Sql
    expected: Sql
    found: Sql


def differences(plan: Plan, table: TablePlan, identical: bool = False) -> list[Difference]:
    """Of every column that is compared. Of several mappings that wrote a value, the last one's is expected.
    identical: by the values' binary images, instead of by what their types call equal.

    A row that was there before keeps its key, so the key is compared on inserted rows alone.
    """
    result = []
    keys = {key.column for key in table.into.target_key} if table.into.existing else set()
    for number, value in enumerate(table.values, start=1):
        column = compose("t.{}", ident(value.target))
        expected = compose("f.e{}", number)
        cast = verbatim("" if value.has_equality else "::text")
        if value.operators:  # a domain's rows would be of another type
            cast = compose("::{}", value.type)
        own = verbatim("m.action = 'inserted' AND " if value.target in keys else "")
        other = unlike(compose("{}{}", column, cast), compose("{}{}", expected, cast), value.operators)
        other = unlike_image(column, expected, value.type) if identical else other
        result.append(Difference(value.target, compose("({}{})", own, other), expected, column))
    for refs in table.referring.values():
        ref, lost = refs[0][1], joined(" OR ", (compose("f.l{}", number) for number, _ in refs))
        column = compose("t.{}", ident(ref.target))
        expected = parents.together(refs, [compose("f.w{}", number) for number, _ in refs])
        other = unlike(
            compose("({})::{}", column, ref.type) if ref.operators else column,
            expected,
            ref.operators,
        )
        other = unlike_image(column, expected, ref.type) if identical else other
        result.append(Difference(ref.target, compose("({} OR {})", other, lost), expected, column))
    result = [_by_the_last(plan, table, one) for one in result]
    result += _keys(table) if identical else []
    if table.link.is_migrated:
        flag = compose("t.{}", ident(table.link.is_migrated))
        result.append(
            Difference(table.link.is_migrated, compose("{} IS NOT TRUE", flag), verbatim("true"), flag)
        )
    return result


def _keys(table: TablePlan) -> list[Difference]:
    """Of the source ids, which are equal where rows are paired: whether they are identical too."""
    if table.link.link_by != "source_id":
        return []
    parts = zip(table.link.source_id, table.feed.key, range(1, len(table.feed.key) + 1), strict=True)
    return [
        Difference(
            name,
            unlike_image(compose("t.{}", ident(name)), compose("f.k{}", number), part.type),
            compose("f.k{}", number),
            compose("t.{}", ident(name)),
        )
        for name, part, number in parts
    ]


def _by_the_last(plan: Plan, table: TablePlan, one: Difference) -> Difference:
    """The difference, where no other table mapping wrote the column afterwards; that one is asked of it."""
    theirs = overwritten(plan, table, one.column)
    if theirs is None:
        return one
    expected = compose("CASE WHEN {} THEN {} ELSE {} END", theirs, one.found, one.expected)
    return one._replace(
        condition=compose("({} AND NOT {})", one.condition, theirs),
        expected=expected,
    )


def differs(plan: Plan, table: TablePlan, identical: bool = False) -> Sql:
    """Whether a paired row differs in any column; kept rows are not the migration's to compare."""
    conditions = joined(
        " OR ", (condition for _, condition, _, _ in differences(plan, table, identical))
    ) or verbatim("false")
    kept = (
        verbatim(" AND m.action <> 'kept' AND m.superseded_by IS NULL")
        if table.link.link_by == "map"
        else NOTHING
    )
    return compose("f.present AND t.{} IS NOT NULL{} AND ({})", here(table), kept, conditions)


ONE_PROCESS = verbatim("SET LOCAL max_parallel_workers_per_gather = 0")
"""Ranges are compared side by side by the workers; to divide one once more costs more than it gains."""


AS_IT_LIES = verbatim("SET LOCAL enable_mergejoin = off")
"""Where both sides are read whole: to merge them the planner may want them in the order of an index, page by page."""


MOST_SHOWN = 10_000
"""Characters of a value that a difference keeps: whole documents of many rows would not fit into memory."""


def differing(plan: Plan, table: TablePlan, identical: bool = False) -> Sql:
    """The columns in which a row differs, as jsonb: [[column, expected, found]], both as texts that may be cut."""
    listed = joined(
        ", ",
        (
            compose(
                "CASE WHEN {condition} THEN jsonb_build_array({name}, {expected}, {found}) END",
                condition=condition, name=literal(name), expected=_shown(expected), found=_shown(result),
            )
            for name, condition, expected, result in differences(plan, table, identical)
        ),
    )  # fmt: skip
    return compose(
        "to_jsonb(array_remove(ARRAY[{}]::jsonb[], NULL))", listed
    )  # a function takes 100 arguments


def _shown(value: Sql) -> Sql:
    """A value as text; of one that is too long its beginning, its length, and a digest that tells it from others."""
    return compose(
        "(SELECT CASE WHEN length(v.x) <= {most} THEN v.x ELSE left(v.x, {most})"
        " || '… (' || length(v.x) || ' characters, md5 ' || md5(v.x) || ')' END"
        " FROM (VALUES (({value})::text)) AS v(x))",
        most=MOST_SHOWN, value=value,
    )  # fmt: skip
