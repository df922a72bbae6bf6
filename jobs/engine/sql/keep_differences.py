"""The statement that holds a chunk's feed against the target and keeps what it finds wrong, by key, in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.engine.sql import compare, dependants, key_sql
from jobs.engine.sql.key_sql import MAP, Range, RunNumber
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import ident, literal

PLACE = "lpad(length({0})::text, 6, '0') || left({0}, 200)"
"""By what differences of a table are in order: numbers as numbers, else texts by length. {0}: a key's text."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Of which verification of a run the differences are (runs count theirs), in which of its chunks, and how many
    of them may still be kept."""

    comparison: int
    chunk: int
    most: int


def forget_chunk(run: RunNumber, table: str, keep: Keep) -> str:
    """Takes away what an earlier try of the chunk may have kept."""
    return (
        f"DELETE FROM migrator.difference WHERE run = {run} AND comparison = {keep.comparison}"
        f" AND table_name = {literal(table)} AND chunk = {keep.chunk}"
    )


def forget_table(run: RunNumber, table: str, comparison: int) -> str:
    """Takes away what a verification has found so far of a table."""
    return (
        f"DELETE FROM migrator.difference WHERE run = {run} AND comparison = {comparison}"
        f" AND table_name = {literal(table)}"
    )


def forget_earlier(run: RunNumber, comparison: int) -> str:
    """Takes away what verifications of the run before this one found."""
    return f"DELETE FROM migrator.difference WHERE run = {run} AND comparison < {comparison}"


def by_column(run: RunNumber, comparison: int) -> str:
    """(table, column, differing rows) of what was kept."""
    return (
        "SELECT table_name, column_name, count(*) FROM migrator.difference"
        f" WHERE run = {run} AND comparison = {comparison} AND kind = 'different' GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2"
    )


def compare_and_keep(
    plan: Plan, table: TablePlan, relation: str, chunk: Range, *,
    run: RunNumber, keep: Keep | None, samples: int, identical: bool,
) -> str:  # fmt: skip
    """One row: (source rows, found, missing, extra, different, kept, kept and alike, differences found, differences
    that were kept, samples as [[kind, source key, [[column, expected, found]]]], and of a part [[kind, source key]] of
    all rows that are missing or different).

    Rows that are wrong are put together while the others are counted, so that the join is made once.
    """
    there, (kept, unlike) = f"t.{compare.here(table)}", compare.kept_rows(plan, table)
    wrong = f"f.present IS NULL OR {there} IS NULL OR ({compare.differs(plan, table, identical)})"
    compared = (
        f"SELECT count(f.present) AS feed, count(f.present) + count({there}) - count(*) AS matched,\n"
        f"       count(*) - count({there}) AS missing, count(*) - count(f.present) AS extra,\n"
        f"       count(CASE WHEN {kept} THEN 1 END) AS kept,\n"
        f"       count(CASE WHEN {kept} AND NOT ({unlike}) THEN 1 END) AS alike,\n"
        f"       array_agg({_wrong_row(plan, table, identical)}) FILTER (WHERE {wrong}) AS wrong\n"
        f"  FROM {compare.comparison(plan, table, relation, chunk)}"
    )
    keeping = f", kept AS (\n{_insert(run, table, keep)} RETURNING 1)" if keep and keep.most else ""
    kept_count = "(SELECT count(*) FROM kept)" if keeping else "0"
    shown = "jsonb_build_array(r.row ->> 0, r.row ->> 1, r.row -> 4)"
    names = (
        "(SELECT jsonb_agg(jsonb_build_array(r.row ->> 0, r.row ->> 1))"
        " FROM unnest(wrong) AS r(row) WHERE r.row ->> 0 <> 'extra')"
    )
    return (
        f"WITH compared AS MATERIALIZED (\n{compared}\n), listed AS (\n{LISTED}){keeping}\n"
        "SELECT feed, matched, missing, extra,"
        " (SELECT count(*) FROM unnest(wrong) AS r(row) WHERE r.row ->> 0 = 'different'), kept, alike,\n"
        f"       (SELECT count(*) FROM listed), {kept_count},\n"
        f"       (SELECT jsonb_agg({shown}) FROM (SELECT x.row FROM unnest(wrong) AS x(row)"
        f" ORDER BY {PLACE.format('(x.row ->> 1)')} LIMIT {samples}) AS r),\n"
        f"       {names if chunk.part else 'NULL'}\n"
        "  FROM compared"
    )


LISTED = (
    "SELECT r.row ->> 0 AS kind, r.row ->> 1 AS source_key, r.row ->> 2 AS target_key, r.row ->> 3 AS why,\n"
    "       coalesce(d.what ->> 0, '') AS column_name, d.what ->> 1 AS expected, d.what ->> 2 AS found, d.nth\n"
    "  FROM compared, unnest(compared.wrong) AS r(row)\n"
    "  LEFT JOIN LATERAL jsonb_array_elements(r.row -> 4) WITH ORDINALITY AS d(what, nth) ON true"
)
"""Each differing column of each row that is wrong; of a row that is missing or extra one line without a column."""


def _insert(run: RunNumber, table: TablePlan, keep: Keep) -> str:
    place = PLACE.format("coalesce(l.source_key, l.target_key, '')")
    return (
        "INSERT INTO migrator.difference (run, comparison, table_name, chunk, kind, source_key, target_key, place,"
        " column_name, expected, found, why)\n"
        f"SELECT {run}, {keep.comparison}, {literal(table.name)}, {keep.chunk}, l.kind, l.source_key, l.target_key,"
        f" {place}, l.column_name, l.expected, l.found, l.why\n"
        f"  FROM listed AS l ORDER BY {place}, l.nth LIMIT {keep.most}"
    )


def _wrong_row(plan: Plan, table: TablePlan, identical: bool) -> str:
    """[kind, source key, target key, why, [[column, expected, found]]] of a row that is wrong."""
    there = f"t.{compare.here(table)}"
    ids = key_sql.source_id_text(table, "t") if table.link.source_id else "NULL"
    key = f"coalesce({key_sql.feed_key_text(table, 'f')}, {ids})"
    target_key = key_sql.target_key_text(table, [f"t.{ident(part.column)}" for part in table.into.target_key])
    target_key = f"coalesce({target_key}, m.target_key)" if table.link.link_by == "map" else target_key
    listed = ", ".join(
        f"CASE WHEN {condition} THEN jsonb_build_array({literal(name)}, ({expected})::text, ({found})::text) END"
        for name, condition, expected, found in compare.differences(plan, table, identical)
    )
    columns = f"to_jsonb(array_remove(ARRAY[{listed}]::jsonb[], NULL))"  # a function takes 100 arguments
    kind = (
        f"CASE WHEN f.present IS NULL THEN 'extra' WHEN {there} IS NULL THEN 'missing' ELSE 'different' END"
    )
    found = f"CASE WHEN f.present AND {there} IS NOT NULL THEN {columns} ELSE '[]' END"
    return f"jsonb_build_array({kind}, {key}, {target_key}, {_why(plan, table)}, {found})"


def _why(plan: Plan, table: TablePlan) -> str:
    """What is known of why, as one of the words of reporting.differences: by who wrote the row last, and the map."""
    ours = f"t.{compare.here(table)}::text IN ({dependants.writers(plan)})"
    changing = any(trigger.insert or trigger.update for trigger in table.firing.triggers)
    here = "source or trigger" if changing else "source"
    there = f"t.{compare.here(table)}"
    return (
        f"CASE WHEN f.present IS NULL THEN CASE WHEN {ours} THEN 'source gone' ELSE 'not ours' END\n"
        f" WHEN {there} IS NULL THEN {_why_missing(plan, table)}\n"
        f" WHEN {ours} THEN {literal(here)} ELSE 'target' END"
    )


def _why_missing(plan: Plan, table: TablePlan) -> str:
    never = "refused" if any(trigger.insert for trigger in table.firing.triggers) else "never copied"
    if table.link.link_by == "map":
        return f"CASE WHEN m.source_key IS NULL THEN {literal(never)} ELSE 'taken' END"
    if not table.link.keep_map:
        return "'refused or taken'" if never == "refused" else "'never or taken'"
    mapped = f"{key_sql.of_table(plan, table.name)} AND m.source_key = {key_sql.feed_key_text(table, 'f')}"
    return f"CASE WHEN EXISTS (SELECT FROM {MAP} AS m WHERE {mapped}) THEN 'taken' ELSE {literal(never)} END"


WHY_OF_BACKREFS = "back-reference"
"""One of the words of reporting.differences."""


def backref_column(table: TablePlan) -> str:
    """As a difference names it: it is the only column that is not the target's."""
    return f"{table.link.backref} (at the source)"


def keep_backrefs(
    table: TablePlan, run: RunNumber, keep: Keep, rows: Sequence[tuple[str, str, str | None]]
) -> str:
    """Keeps (source key, expected, found) as differences of a verification."""
    keys, ids, found = zip(*rows, strict=True)
    names = ", ".join("NULL" if one is None else literal(one) for one in found)
    given = (
        f"unnest({key_sql.texts(keys)}, {key_sql.texts(ids)}, ARRAY[{names}]::text[]) AS u(key, id, found)"
    )
    return (
        "INSERT INTO migrator.difference (run, comparison, table_name, chunk, kind, source_key, target_key, place,"
        " column_name, expected, found, why)\n"
        f"SELECT {run}, {keep.comparison}, {literal(table.name)}, {keep.chunk}, 'different', u.key, u.id,"
        f" {PLACE.format('u.key')}, {literal(backref_column(table))}, u.id, u.found, {literal(WHY_OF_BACKREFS)}\n"
        f"  FROM {given}"
    )
