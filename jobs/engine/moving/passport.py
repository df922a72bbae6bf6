"""All that is known of one row: what brought it, what was there before, what is there now, what the mapping yields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from jobs.engine import feed
from jobs.engine.feed import Work, run_sql
from jobs.engine.sql import compare, key_sql
from jobs.engine.sql.key_sql import MAP, Range
from mappings.plan.table_plan import TablePlan
from mappings.sql import ident, literal


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
    key, name = (source_key, "source_key") if source_key is not None else (target_key, "target_key")
    rows = (
        f"SELECT m.source_key, m.target_key, m.run, m.action, m.at, m.xmin::text FROM {MAP} AS m"
        f" WHERE {key_sql.of_table(work.plan, work.table.name)} AND m.{name} = {literal(key or '')} LIMIT 1"
    )
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
        names, types = (
            [part.column for part in table.into.target_key],
            [part.kept for part in table.into.target_key],
        )
        same = _is(names, target_key, types, key_sql.target_operators(table))
    elif source_key is not None and table.link.link_by == "source_id":
        types = [part.kept for part in table.feed.key]
        same = _is(table.link.source_id, source_key, types, key_sql.kept_operators(table))
    else:
        return None
    ids = key_sql.source_id_text(table, "t") if table.link.link_by == "source_id" else "NULL"
    key = key_sql.target_key_text(table, [f"t.{ident(part.column)}" for part in table.into.target_key])
    rows = f"SELECT {ids}, {key}, t.xmin::text, to_jsonb(t) FROM {table.into.target_sql} AS t WHERE {same} LIMIT 1"
    row = run_sql(work.target, rows).fetchone()
    return _TargetRow(*row) if row else None


def _is(names: Sequence[str], key: str, types: Sequence[str], operators: Sequence[str]) -> str:
    columns = [f"t.{ident(name)}" for name in names]
    return key_sql.equal(columns, key_sql.decoded(literal(key), types), operators)


def _columns(work: Work, source_key: str) -> tuple[ColumnNow, ...] | None:
    """What the mapping yields now beside what is there; None where no source row in scope has that key.

    The row alone is read on both sides: it is looked up by its key, not joined in a range.
    """
    table = work.table.not_aligned()
    chunk = Range(only=(source_key,))
    relation = feed.relation(replace(work, table=table), chunk, "verify")
    listed = ", ".join(
        f"jsonb_build_array({literal(one.column)}, ({one.expected})::text, ({one.found})::text,"
        f" coalesce(({one.condition}), false) OR {_unpaired(table)})"
        for one in compare.differences(work.plan, table, work.identical)
    )
    rows = f"SELECT to_jsonb(ARRAY[{listed}]::jsonb[]) FROM {compare.comparison(work.plan, table, relation, chunk)}"
    row = run_sql(work.target, rows).fetchone()
    return None if row is None else tuple(ColumnNow(*one) for one in row[0])


def _unpaired(table: TablePlan) -> str:
    return f"(t.{compare.here(table)} IS NULL)"


def _brought(work: Work, mapped: tuple[Any, ...] | None, there: _TargetRow | None) -> Brought | None:
    """By the map, else by who wrote the row, where that is one of the mapping's runs."""
    writer = mapped[5] if mapped else there.writer if there else ""
    run = f"l.run = {mapped[2]}" if mapped else "true"
    found = run_sql(
        work.target,
        "SELECT l.run, l.chunk, l.at FROM migrator.ledger AS l JOIN migrator.run AS r ON r.number = l.run"
        f" WHERE r.mapping = {literal(work.plan.mapping)} AND l.table_name = {literal(work.table.name)}"
        f" AND l.writer = {literal(writer)} AND {run} LIMIT 1",
    ).fetchone()
    if not mapped and not found:
        return None
    number, action, at = (mapped[2], mapped[3], mapped[4]) if mapped else (found[0], "carried", found[2])  # type: ignore[index]
    about = run_sql(
        work.target,
        "SELECT r.revision, r.sha256, r.environment, coalesce(r.operator, '') FROM migrator.run AS r"
        f" WHERE r.number = {int(number)}",
    ).fetchone()
    return Brought(number, action, at, found[1] if found else None, *(about or ()))


def _before(work: Work, run: int, target_key: str | None) -> dict[str, str | None] | None:
    row = run_sql(
        work.target,
        "SELECT b.columns, b.old_values FROM migrator.before_image AS b"
        f" WHERE b.run = {int(run)} AND b.table_name = {literal(work.table.name)}"
        f" AND b.target_key = {literal(target_key or '')}",
    ).fetchone()
    return dict(zip(row[0], row[1], strict=True)) if row else None


def _quarantined(work: Work, source_key: str | None) -> dict[str, str] | None:
    row = run_sql(
        work.target,
        f"SELECT q.column_name, q.sqlstate, q.message FROM migrator.quarantine AS q"
        f" WHERE {key_sql.of_table(work.plan, work.table.name, 'q')} AND q.source_key = {literal(source_key or '')}",
    ).fetchone()
    return dict(zip(("column", "sqlstate", "message"), row, strict=True)) if row else None
