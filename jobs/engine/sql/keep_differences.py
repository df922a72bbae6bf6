"""The statement that holds a chunk's feed against the target and keeps what it finds wrong, by key, in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.engine.scope import RunNumber
from jobs.engine.sql import compare, dependants, judged, key_sql
from jobs.engine.sql.key_sql import MAP
from jobs.engine.sql.walks.chunk_range import Range
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import NOTHING, Sql, compose, joined, literal, verbatim

PLACE = "lpad(length({0})::text, 6, '0') || left({0}, 200)"
"""By what differences of a table are in order: numbers as numbers, else texts by length. {0}: a key's text."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Of which verification of a run the differences are (runs count theirs), in which of its chunks, and how many
    of them may still be kept."""

    comparison: int
    chunk: int
    most: int


def forget_chunk(run: RunNumber, table: str, keep: Keep) -> Sql:
    """Takes away what an earlier try of the chunk may have kept."""
    return compose(
        "DELETE FROM migrator.difference WHERE run = {run} AND comparison = {comparison}"
        " AND table_name = {table} AND chunk = {chunk}",
        run=run, comparison=keep.comparison, table=literal(table), chunk=keep.chunk,
    )  # fmt: skip


def forget_table(run: RunNumber, table: str, comparison: int) -> Sql:
    """Takes away what a verification has found so far of a table."""
    return compose(
        "DELETE FROM migrator.difference WHERE run = {run} AND comparison = {comparison}"
        " AND table_name = {table}",
        run=run, comparison=comparison, table=literal(table),
    )  # fmt: skip


def forget_earlier(run: RunNumber, comparison: int) -> Sql:
    """Takes away what verifications of the run before this one found."""
    return compose(
        "DELETE FROM migrator.difference WHERE run = {run} AND comparison < {comparison}",
        run=run,
        comparison=comparison,
    )


def by_column(run: RunNumber, comparison: int) -> Sql:
    """(table, column, differing rows) of what was kept."""
    return compose(
        "SELECT table_name, column_name, count(*) FROM migrator.difference"
        " WHERE run = {run} AND comparison = {comparison} AND kind = 'different' GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2",
        run=run,
        comparison=comparison,
    )


def compare_and_keep(
    plan: Plan, table: TablePlan, relation: Sql, chunk: Range, *,
    run: RunNumber, keep: Keep | None, samples: int, identical: bool,
) -> Sql:  # fmt: skip
    """One row: (source rows, found, missing, extra, different, kept, kept and alike, differences found, differences
    that were kept, samples as [[kind, source key, [[column, expected, found]]]], and of a part [[kind, source key]] of
    all rows that are missing or different).

    Rows that are wrong are put together while the others are counted, so that the join is made once.
    """
    wrong, row = judged.wrong(plan, table, identical), _wrong_row(plan, table, identical)
    rows = judged.judged(
        plan, table, relation, chunk, compose("CASE WHEN {} THEN {} END AS wrong", wrong, row)
    )
    compared = compose(
        "SELECT {}, {},\n       array_agg(c.wrong) FILTER (WHERE c.wrong IS NOT NULL) AS wrong\n  FROM {} AS c",
        judged.COUNTED,
        judged.KEPT,
        rows,
    )
    keeping = (
        compose(", kept AS (\n{} RETURNING 1)", _insert(run, table, keep)) if keep and keep.most else NOTHING
    )
    kept_count = verbatim("(SELECT count(*) FROM kept)" if keeping else "0")
    return compose(
        "WITH compared AS MATERIALIZED (\n{compared}\n), listed AS (\n{listed}){keeping}\n"
        "SELECT feed, matched, missing, extra,"
        " (SELECT count(*) FROM unnest(wrong) AS r(row) WHERE r.row ->> 0 = 'different'), kept, alike,\n"
        "       (SELECT count(*) FROM listed), {kept_count},\n"
        "       (SELECT jsonb_agg({shown}) FROM (SELECT x.row FROM unnest(wrong) AS x(row)"
        " ORDER BY {place} LIMIT {samples}) AS r),\n"
        "       {names}\n"
        "  FROM compared",
        compared=compared, listed=LISTED, keeping=keeping, kept_count=kept_count, shown=SHOWN,
        place=compose(PLACE, verbatim("(x.row ->> 1)")), samples=samples,
        names=NAMES if chunk.part else verbatim("NULL"),
    )  # fmt: skip


SHOWN = verbatim("jsonb_build_array(r.row ->> 0, r.row ->> 1, r.row -> 4)")

NAMES = verbatim(
    "(SELECT jsonb_agg(jsonb_build_array(r.row ->> 0, r.row ->> 1))"
    " FROM unnest(wrong) AS r(row) WHERE r.row ->> 0 <> 'extra')"
)

LISTED = verbatim(
    "SELECT r.row ->> 0 AS kind, r.row ->> 1 AS source_key, r.row ->> 2 AS target_key, r.row ->> 3 AS why,\n"
    "       coalesce(d.what ->> 0, '') AS column_name, d.what ->> 1 AS expected, d.what ->> 2 AS found, d.nth\n"
    "  FROM compared, unnest(compared.wrong) AS r(row)\n"
    "  LEFT JOIN LATERAL jsonb_array_elements(r.row -> 4) WITH ORDINALITY AS d(what, nth) ON true"
)
"""Each differing column of each row that is wrong; of a row that is missing or extra one line without a column."""


def _insert(run: RunNumber, table: TablePlan, keep: Keep) -> Sql:
    place = compose(PLACE, verbatim("coalesce(l.source_key, l.target_key, '')"))
    return compose(
        "INSERT INTO migrator.difference (run, comparison, table_name, chunk, kind, source_key, target_key, place,"
        " column_name, expected, found, why)\n"
        "SELECT {run}, {comparison}, {name}, {chunk}, l.kind, l.source_key, l.target_key,"
        " {place}, l.column_name, l.expected, l.found, l.why\n"
        "  FROM listed AS l ORDER BY {place}, l.nth LIMIT {most}",
        run=run, comparison=keep.comparison, name=literal(table.name), chunk=keep.chunk, place=place,
        most=keep.most,
    )  # fmt: skip


def _wrong_row(plan: Plan, table: TablePlan, identical: bool) -> Sql:
    """[kind, source key, target key, why, [[column, expected, found]]] of a row that is wrong."""
    there = compose("t.{}", compare.here(table))
    ids = key_sql.source_id_text(table, verbatim("t")) if table.link.source_id else verbatim("NULL")
    key = compose("CASE WHEN f.present THEN {} ELSE {} END", key_sql.feed_key_text(table, verbatim("f")), ids)
    target_key = key_sql.target_key_text(table, key_sql.target_keys(table, verbatim("t")))
    target_key = (
        compose("coalesce({}, m.target_key)", target_key) if table.link.link_by == "map" else target_key
    )
    columns = compare.differing(plan, table, identical)
    kind = compose(
        "CASE WHEN f.present IS NULL THEN 'extra' WHEN {there} IS NULL THEN 'missing' ELSE 'different' END",
        there=there,
    )
    result = compose(
        "CASE WHEN f.present AND {there} IS NOT NULL THEN {columns} ELSE '[]' END",
        there=there,
        columns=columns,
    )
    return compose(
        "jsonb_build_array({kind}, {key}, {target_key}, {why}, {found})",
        kind=kind, key=key, target_key=target_key, why=_why(plan, table), found=result,
    )  # fmt: skip


def _why(plan: Plan, table: TablePlan) -> Sql:
    """What is known of why, as one of the words of reporting.differences: by who wrote the row last, and the map."""
    ours = compose("t.{}::text IN ({})", compare.here(table), dependants.writers(plan))
    changing = any(trigger.insert or trigger.update for trigger in table.firing.triggers)
    here = "source or trigger" if changing else "source"
    there = compose("t.{}", compare.here(table))
    return compose(
        "CASE WHEN f.present IS NULL THEN CASE WHEN {ours} THEN 'source gone' ELSE 'not ours' END\n"
        " WHEN {there} IS NULL THEN {why_missing}\n"
        " WHEN {ours} THEN {here} ELSE 'target' END",
        ours=ours, there=there, why_missing=_why_missing(plan, table), here=literal(here),
    )  # fmt: skip


def _why_missing(plan: Plan, table: TablePlan) -> Sql:
    never = "refused" if any(trigger.insert for trigger in table.firing.triggers) else "never copied"
    if table.link.link_by == "map":
        return compose("CASE WHEN m.source_key IS NULL THEN {} ELSE 'taken' END", literal(never))
    if not table.link.keep_map:
        return verbatim("'refused or taken'" if never == "refused" else "'never or taken'")
    mapped = key_sql.map_row(plan, table, key_sql.feed_key_text(table, verbatim("f")))
    return compose(
        "CASE WHEN EXISTS (SELECT FROM {map} AS m WHERE {mapped}) THEN 'taken' ELSE {never} END",
        map=MAP, mapped=mapped, never=literal(never),
    )  # fmt: skip


WHY_OF_BACKREFS = "back-reference"
"""One of the words of reporting.differences."""


def backref_column(table: TablePlan) -> str:
    """As a difference names it: it is the only column that is not the target's."""
    return f"{table.link.backref} (at the source)"


def keep_backrefs(
    table: TablePlan, run: RunNumber, keep: Keep, rows: Sequence[tuple[str, str, str | None]]
) -> Sql:
    """Keeps (source key, expected, found) as differences of a verification."""
    keys, ids, result = zip(*rows, strict=True)
    names = joined(", ", (verbatim("NULL") if one is None else literal(one) for one in result))
    given = compose(
        "unnest({}, {}, ARRAY[{}]::text[]) AS u(key, id, found)",
        key_sql.texts(keys),
        key_sql.texts(ids),
        names,
    )
    return compose(
        "INSERT INTO migrator.difference (run, comparison, table_name, chunk, kind, source_key, target_key, place,"
        " column_name, expected, found, why)\n"
        "SELECT {run}, {comparison}, {name}, {chunk}, 'different', u.key, u.id,"
        " {format}, {backref_column}, u.id, u.found, {why_of_backrefs}\n"
        "  FROM {given}",
        run=run, comparison=keep.comparison, name=literal(table.name), chunk=keep.chunk,
        format=compose(PLACE, verbatim("u.key")), backref_column=literal(backref_column(table)),
        why_of_backrefs=literal(WHY_OF_BACKREFS), given=given,
    )  # fmt: skip
