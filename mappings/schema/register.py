"""The register of applied schema scripts in a target: what is in force, and whether a plan's scripts agree with it.

An applied script is never changed: one that differs is refused, by planning before the start and by the worker.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

import psycopg
from psycopg.rows import class_row

from mappings.plan import older
from mappings.plan.model import Plan
from mappings.plan.schema_steps import Step, script_sha256
from mappings.problems import Problem
from mappings.schema import kinds
from mappings.schema.applied import Applied
from mappings.sql import Sql, compose, encoded, verbatim

COLUMNS = verbatim(
    "id, run, mapping, side, kind, relation, name, title, sql, undo, alone, fits, sha256,"
    " coalesce((to_jsonb(s) ->> 'views_first')::integer, 0) AS views_first,"
    " coalesce((to_jsonb(s) ->> 'views_last')::integer, 0) AS views_last,"
    " coalesce(to_jsonb(s) ->> 'after', '') AS after"
)
"""By way of JSON: a register that an older version made has no such columns until a run adds them."""


Changed: TypeAlias = tuple[str, str, str, str]
"""What a step changes: side, relation, kind and name."""


def of_mapping(conn: psycopg.Connection, mapping: str) -> list[Applied]:
    """A mapping's scripts that are in force, the last first."""
    return _rows(conn, verbatim("mapping = %s"), [mapping])


def of_step(conn: psycopg.Connection, step: Step) -> list[Applied]:
    """The scripts in force for what a step changes, the last first: a column may be widened several times."""
    return of_steps(conn, [step])[changed(step)]


def of_steps(conn: psycopg.Connection, steps: Sequence[Step]) -> dict[Changed, list[Applied]]:
    """The same of several, by what they change."""
    wanted = verbatim(
        "(side, relation, kind, name) IN (SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[]))"
    )
    result: dict[Changed, list[Applied]] = {changed(step): [] for step in steps}
    for one in _rows(conn, wanted, [list(values) for values in zip(*result, strict=True)]) if result else ():
        result[one.side, one.relation, one.kind, one.name].append(one)
    return result


def changed(step: Step) -> Changed:
    """By what the register knows a step."""
    return step.side, step.relation, step.kind, step.name


def _rows(conn: psycopg.Connection, wanted: Sql, values: Sequence[object]) -> list[Applied]:
    with conn.cursor(row_factory=class_row(Applied)) as cursor:
        query = compose(
            "SELECT {} FROM migrator.schema_step AS s WHERE undone_at IS NULL AND {} ORDER BY id DESC",
            COLUMNS,
            wanted,
        )
        return [_completed(result) for result in cursor.execute(encoded(query), values)]


def _completed(applied: Applied) -> Applied:
    """An older version did not say which statements of a widening are of views."""
    if applied.kind != "widen" or applied.after:
        return applied
    first, last = older.counts_of_views(applied.undo)
    return replace(applied, views_first=first, views_last=last)


def complaint(step: Step, applied_steps: Sequence[Applied]) -> str:
    """Why the register refuses a step, '' if it does not. found: what is in force for it, the last first.

    A column may be widened further on top of what was applied; the worker looks that it starts from there.
    """
    for one in applied_steps:
        if text := altered(one):
            return text
    if not applied_steps or kinds.of(step).repeats or step.is_script(applied_steps[0].sql):
        return ""
    last = applied_steps[0]
    return (
        f"{step.title}: run {last.run} of {last.mapping} applied another script for it (sha256 {last.sha256[:12]},"
        f" now {step.sha256[:12]}); an applied script is never changed, so roll that run back first"
    )


def altered(applied: Applied) -> str:
    """The sentence for a script that is not what was registered when it was applied, else ''."""
    whole, forward = script_sha256(applied.sql, applied.undo, applied.fits), script_sha256(applied.sql)
    if applied.sha256 in (whole, forward):  # once only the way forward was hashed
        return ""
    return (
        f"{applied.title}: the register in the target was altered after run {applied.run} of {applied.mapping} applied"
        f" this script: its SQL does not have the sha256 {applied.sha256[:12]} that was registered with it"
    )


def problems(conn: psycopg.Connection, mapping: str, steps: Iterable[Step] = ()) -> Iterator[Problem]:
    """What the target's register has against a plan, or against undoing what the mapping has in force."""
    row = conn.execute("SELECT to_regclass('migrator.schema_step')").fetchone()
    if row is None or row[0] is None:
        return
    for result in of_mapping(conn, mapping):
        if text := altered(result):
            yield Problem("register", text)
    steps = list(steps)
    known = of_steps(conn, steps)
    for step in steps:
        if text := complaint(step, known[changed(step)]):
            yield Problem("register", text)


def owner(conn: psycopg.Connection, relation: str, name: str) -> str | None:
    """The mapping that added a column which is in force. relation: quoted, with its schema."""
    return _owners(conn, [relation], [name]).get((relation, name))


def _owners(
    conn: psycopg.Connection, relations: Sequence[str], names: Sequence[str]
) -> dict[tuple[str, str], str]:
    """The same of several columns, by relation and name."""
    row = conn.execute("SELECT to_regclass('migrator.schema_step')").fetchone()
    if row is None or row[0] is None:
        return {}
    rows = conn.execute(
        "SELECT relation, name, mapping FROM migrator.schema_step WHERE undone_at IS NULL"
        " AND (relation, name) IN (SELECT * FROM unnest(%s::text[], %s::text[])) ORDER BY id DESC",
        [list(relations), list(names)],
    ).fetchall()
    return {(relation, name): mapping for relation, name, mapping in rows}


def taken(conn: psycopg.Connection, plan: Plan) -> Iterator[Problem]:
    """Source ids that another mapping has put into a target since: by them its rows would count as the plan's."""
    columns = [(table, name) for table in plan.moved for name in table.link.source_id]
    owners = _owners(conn, [table.into.target_sql for table, _ in columns], [name for _, name in columns])
    for table, name in columns:
        other = owners.get((table.into.target_sql, name))
        if other and other != plan.mapping:
            text = (
                f"{table.target}.{name} belongs to mapping {other} by now; roll its run back, or name another"
            )
            yield Problem(table.name, f"{text} column")
