"""What stands against a rollback: rows that were changed since, and rows of others that depend on the run's."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from jobs.engine.feed import Work, run_sql
from jobs.engine.sql import dependants
from jobs.engine.sql.dependants import FALLS, Child
from mappings.sql import compose, literal, verbatim


@dataclass(frozen=True, slots=True)
class Blocker:
    """Why a rollback would take something that is not the run's own. edited: rows of its own that changed since."""

    table: str
    text: str
    edited: bool = False


TIMEOUT = verbatim("5min")


def of_run(works: list[Work], untouched: Collection[str] = ()) -> list[Blocker]:
    """Every blocker of a run; may have to read all its rows, so joins are kept to one pass.

    untouched: table mappings of which a look has just found that nobody else wrote a linked row.
    """
    conn = works[0].target
    by_target: dict[str, list[Work]] = {}
    for work in works:
        by_target.setdefault(work.table.into.target_sql, []).append(work)
    with conn.transaction():
        run_sql(conn, compose("SET LOCAL statement_timeout = '{}'", TIMEOUT))
        run_sql(conn, verbatim("SET LOCAL enable_nestloop = off"))
        return [blocker for work in works for blocker in _of_table(work, by_target, untouched)]


def _of_table(work: Work, others: dict[str, list[Work]], untouched: Collection[str]) -> Iterator[Blocker]:
    """Rows changed since, and rows of others that depend on the run's. others: works by target table's SQL name."""
    row = _changed(work, work.table.name in untouched)
    if row and row[0]:
        keys = ", ".join(row[1])
        rows, samples = ("row was", "source row") if row[0] == 1 else ("rows were", "for example source rows")
        text = f"{row[0]} {rows} changed since the run, {samples} {keys}"
        yield Blocker(work.table.name, text, edited=True)
    for child in foreign_keys(work):
        brought_by = others.get(child.table, ())
        own = [dependants.is_own(other) for other in brought_by]
        sharing = [other for other in others[work.table.into.target_sql] if _is_back_reference(other, child)]
        own += [dependants.is_back_reference(other) for other in sharing]
        brings = [other.table.name for other in brought_by]
        statement = dependants.dependants(work, child=child, brings=brings, own=own)
        count = run_sql(work.target, statement).fetchone()
        if count and count[0]:
            rows, point = ("row", "points") if count[0] == 1 else ("rows", "point")
            text = f"{count[0]} {rows} of {child.table} that the run did not bring {point} to its rows"
            yield Blocker(work.table.name, text)


def _is_back_reference(work: Work, child: Child) -> bool:
    pairs = [(work.table.link.backref, key.column) for key in work.table.into.target_key]
    return dependants.writes_back_to(work.plan, work.table, child.table) and child.pairs == pairs


def _changed(work: Work, untouched: bool) -> tuple[int, list[str]] | None:
    """(how many rows someone changed since, some of their source keys); None without reading the map if none did."""
    if work.table.link.link_by == "source_id":
        if untouched:
            return None
        known = [writer for (writer,) in run_sql(work.target, dependants.writers(work.plan))]
        strange = run_sql(work.target, dependants.written_by_others(work.table, known)).fetchone()
        if strange == (0,):
            return None
    statement = dependants.changed(work, 5)
    return run_sql(work.target, statement).fetchone()


def foreign_keys(work: Work) -> list[Child]:
    """Every foreign key onto the target."""
    rows = run_sql(
        work.target,
        compose(
            # The operators: parent = child, of the parent's own type; PostgreSQL's own are found by the path.
            "SELECT {falls}, quote_ident(n.nspname) || '.' || quote_ident(c.relname),"
            " (SELECT array_agg(a.attname::text ORDER BY u.o) FROM unnest(k.conkey) WITH ORDINALITY u(x, o)"
            "   JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.x),"
            " (SELECT array_agg(a.attname::text ORDER BY u.o) FROM unnest(k.confkey) WITH ORDINALITY u(x, o)"
            "   JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.x),"
            " (SELECT array_agg(CASE WHEN n.nspname = 'pg_catalog' THEN '' ELSE n.nspname::text END ORDER BY u.o)"
            "    FROM unnest(k.conpfeqop) WITH ORDINALITY u(x, o)"
            "    JOIN pg_operator p ON p.oid = u.x JOIN pg_namespace n ON n.oid = p.oprnamespace)"
            " FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE k.contype = 'f' AND k.conparentid = 0"
            "   AND k.confrelid = {target_sql}::regclass",
            falls=FALLS,
            target_sql=literal(work.table.into.target_sql),
        ),
    ).fetchall()
    return [
        Child(child, list(zip(columns, parents, strict=True)), operators, falls)
        for falls, child, columns, parents, operators in rows
    ]
