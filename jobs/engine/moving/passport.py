"""All that is known of one row: what brought it, what was there before, what is there now, what the mapping yields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from jobs.engine import feed
from jobs.engine.feed import Work, run_sql
from jobs.engine.sql import compare, key_sql
from jobs.engine.sql.key_sql import MAP
from jobs.engine.sql.walks.chunk_range import Range
from mappings.plan.table_plan import TablePlan
from mappings.sql import Sql, compose, ident, joined, literal, verbatim


@dataclass(frozen=True, slots=True)
class Brought:
    """Which run and chunk brought a row, by which revision, who started the run, what was done and when.

    run: 0 where no map and no ledger says it; action: inserted, updated, kept, or carried, where there is no map.
    """

    run: int
    action: str
    at: datetime | None
    chunk: int | None = None
    revision: int | None = None
    sha256: str = ""
    environment: str = ""
    operator: str = ""


@dataclass(frozen=True, slots=True)
class ColumnNow:
    """What the mapping yields now for a column, and what the target holds, as texts."""

    column: str
    expected: str | None
    found: str | None
    differs: bool


@dataclass(frozen=True, slots=True)
class Passport:
    """source_there, target_there: whether the rows are there now; before: what an update overwrote; now: the whole
    target row; columns: of those that are mapped, while the source row is in scope; quarantined: why it was set aside.
    """

    table: str
    source_key: str | None
    target_key: str | None
    source_there: bool
    target_there: bool
    brought: Brought | None
    before: dict[str, str | None] | None
    now: dict[str, Any] | None
    columns: tuple[ColumnNow, ...]
    quarantined: dict[str, str] | None

    @property
    def is_known(self) -> bool:
        """Whether anything at all is known of such a row."""
        return self.source_there or self.target_there or bool(self.brought or self.quarantined)


def of_row(work: Work, source_key: str | None = None, target_key: str | None = None) -> Passport:
    """By the key of the source row, or of the target row, as the map writes it. Nothing is changed.

    Raises psycopg.Error where the key is none of the table's type.
    """
    with work.target.transaction(force_rollback=True):
        mapped = _mapped(work, source_key, target_key) if work.table.link.keep_map else None
        if mapped:
            source_key, target_key = mapped[0], target_key or mapped[1]
        there = _target_row(work, source_key, target_key)
        if there:
            source_key, target_key = source_key or there.source_key, there.target_key or target_key
        columns = _columns(work, source_key) if source_key else None
        return Passport(
            work.table.name, source_key, target_key, columns is not None, there is not None,
            _brought(work, mapped, there), _before(work, mapped[2] if mapped else 0, target_key),
            there.row if there else None, columns or (), _quarantined(work, source_key),
        )  # fmt: skip


def _mapped(work: Work, source_key: str | None, target_key: str | None) -> tuple[Any, ...] | None:
    """(source key, target key, run, action, when, writer) by the map."""
    key, name = (
        (source_key, verbatim("source_key"))
        if source_key is not None
        else (target_key, verbatim("target_key"))
    )
    rows = compose(
        "SELECT m.source_key, m.target_key, m.run, m.action, m.at, m.xmin::text FROM {map} AS m"
        " WHERE {of_table} AND m.{name} = {literal} LIMIT 1",
        map=MAP, of_table=key_sql.of_table(work.plan, work.table.name), name=name, literal=literal(key or ""),
    )  # fmt: skip
    return run_sql(work.target, rows).fetchone()


@dataclass(frozen=True, slots=True)
class _TargetRow:
    source_key: str | None
    target_key: str | None
    writer: str
    row: dict[str, Any]


def _target_row(work: Work, source_key: str | None, target_key: str | None) -> _TargetRow | None:
    table = work.table
    if target_key is not None and table.into.target_key:
        names = [part.column for part in table.into.target_key]
        types = [part.kept for part in table.into.target_key]
        same = _is(names, target_key, types, key_sql.target_operators(table))
    elif source_key is not None and table.link.link_by == "source_id":
        types = [part.kept for part in table.feed.key]
        same = _is(table.link.source_id, source_key, types, key_sql.kept_operators(table))
    else:
        return None
    ids = (
        key_sql.source_id_text(table, verbatim("t"))
        if table.link.link_by == "source_id"
        else verbatim("NULL")
    )
    key = key_sql.target_key_text(table, key_sql.target_keys(table, verbatim("t")))
    rows = compose(
        "SELECT {ids}, {key}, t.xmin::text, to_jsonb(t) FROM {target_sql} AS t WHERE {same} LIMIT 1",
        ids=ids, key=key, target_sql=table.into.target_sql, same=same,
    )  # fmt: skip
    row = run_sql(work.target, rows).fetchone()
    return _TargetRow(*row) if row else None


def _is(names: Sequence[str], key: str, types: Sequence[Sql], operators: Sequence[str]) -> Sql:
    columns = [compose("t.{}", ident(name)) for name in names]
    return key_sql.equal(columns, key_sql.decoded(literal(key), types), operators)


def _columns(work: Work, source_key: str) -> tuple[ColumnNow, ...] | None:
    """What the mapping yields now beside what is there; None where no source row in scope has that key.

    The row alone is read on both sides: it is looked up by its key, not joined in a range.
    """
    table = work.table.not_aligned()
    chunk = Range(only=(source_key,))
    relation = feed.relation(replace(work, table=table), chunk, "verify")
    listed = joined(
        ", ",
        (
            compose(
                "jsonb_build_array({column}, ({expected})::text, ({found})::text,"
                " coalesce(({condition}), false) OR {unpaired})",
                column=literal(one.column), expected=one.expected, found=one.found, condition=one.condition,
                unpaired=_unpaired(table),
            )
            for one in compare.differences(work.plan, table, work.identical)
        ),
    )  # fmt: skip
    rows = compose(
        "SELECT to_jsonb(ARRAY[{}]::jsonb[]) FROM {}",
        listed,
        compare.comparison(work.plan, table, relation, chunk),
    )
    row = run_sql(work.target, rows).fetchone()
    return None if row is None else tuple(ColumnNow(*one) for one in row[0])


def _unpaired(table: TablePlan) -> Sql:
    return compose("(t.{} IS NULL)", compare.here(table))


def _brought(work: Work, mapped: tuple[Any, ...] | None, there: _TargetRow | None) -> Brought | None:
    """By the map, else by who wrote the row, where that is one of the mapping's runs."""
    writer = mapped[5] if mapped else there.writer if there else ""
    run = compose("l.run = {}", mapped[2]) if mapped else verbatim("true")
    row = run_sql(
        work.target,
        compose(
            "SELECT l.run, l.chunk, l.at FROM migrator.ledger AS l JOIN migrator.run AS r ON r.number = l.run"
            " WHERE r.mapping = {mapping} AND l.table_name = {name}"
            " AND l.writer = {writer} AND {run} LIMIT 1",
            mapping=literal(work.plan.mapping), name=literal(work.table.name), writer=literal(writer), run=run,
        ),
    ).fetchone()  # fmt: skip
    if not mapped and not row:
        return None
    number, action, at = (mapped[2], mapped[3], mapped[4]) if mapped else (row[0], "carried", row[2])  # type: ignore[index]
    about = run_sql(
        work.target,
        compose(
            "SELECT r.revision, r.sha256, r.environment, coalesce(r.operator, '') FROM migrator.run AS r"
            " WHERE r.number = {int}",
            int=int(number),
        ),
    ).fetchone()
    return Brought(number, action, at, row[1] if row else None, *(about or ()))


def _before(work: Work, run: int, target_key: str | None) -> dict[str, str | None] | None:
    row = run_sql(
        work.target,
        compose(
            "SELECT b.columns, b.old_values FROM migrator.before_image AS b"
            " WHERE b.run = {int} AND b.table_name = {name}"
            " AND b.target_key = {literal}",
            int=int(run), name=literal(work.table.name), literal=literal(target_key or ""),
        ),
    ).fetchone()  # fmt: skip
    return dict(zip(row[0], row[1], strict=True)) if row else None


def _quarantined(work: Work, source_key: str | None) -> dict[str, str] | None:
    row = run_sql(
        work.target,
        compose(
            "SELECT q.column_name, q.sqlstate, q.message FROM migrator.quarantine AS q"
            " WHERE {of_table} AND q.source_key = {literal}",
            of_table=key_sql.of_table(work.plan, work.table.name, verbatim("q")),
            literal=literal(source_key or ""),
        ),
    ).fetchone()
    return dict(zip(("column", "sqlstate", "message"), row, strict=True)) if row else None
