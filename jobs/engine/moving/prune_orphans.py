"""Rows that were migrated and cannot stay, for a parent that is looked up after the copy was not migrated.

They are set aside after all, and with them whoever refers to them, table by table round every circle, until nothing
new is found: one transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from jobs.engine import feed
from jobs.engine.errors import MISSING_PARENT, EngineError, RowError, TooManyQuarantined
from jobs.engine.feed import Work, run_sql
from jobs.engine.moving import backrefs, bad_rows, blame, find_orphans
from jobs.engine.sql import dependants, remove
from jobs.engine.sql.merging import superseded
from jobs.engine.sql.walks.chunk_range import Range
from jobs.engine.target import ledger, rollback_blockers
from jobs.engine.target.ledger import Done, Ticket
from mappings.plan.model import Plan
from mappings.sql import compose, literal

NOT_NULL_VIOLATION = "23502"


def host(plan: Plan) -> str | None:
    """The table whose chunk it is: always the same one of a run, so that its number is new in every ledger row."""
    waits = (
        table.name
        for table in plan.moved
        if any(ref.deferred and ref.missing == "quarantine" for ref in table.references)
    )
    return next(waits, None)


def prune_chunk(works: Mapping[str, Work], ticket: Ticket) -> dict[str, Done]:
    """Sets aside the rows that were left unlinked, and all that hangs on them. works: all of the run, parents first.

    Returns the changes of each table's counts. Raises Fenced, RowError (stop), TooManyQuarantined, EngineError where
    others depend on the rows, psycopg.Error.
    """
    first = works[ticket.table]
    with first.target.transaction():
        ledger.fence(first.target, ticket)
        for work in works.values():
            feed.hush(work)
        first.target.execute("SET CONSTRAINTS ALL IMMEDIATE")
        fallen = Fallen(works)
        fallen.follow()
        backreferences = fallen.backreferences()
        changed = fallen.take_away()
        ledger.strike_out(first.target, ticket.run, {name: list(keys) for name, keys in fallen.rows.items()})
        fallen.set_aside()
        for name in works:
            if name == ticket.table or name in changed:
                ledger.record(first.target, replace(ticket, table=name), changed.get(name, Done()))
        if any(work.table.into.existing for work in works.values()):
            run_sql(first.target, superseded.speak_again(first.plan, ticket.run, ticket.chunk))
        for work, pairs in backreferences:  # last: between two databases the source is written at once
            backrefs.empty(work, pairs)
        for work in works.values():
            if work.table.firing.hushed:
                feed.settle(work)
    return changed


class Fallen:
    """The rows that go, by table and source key, each with its error; and references that lose their parent."""

    def __init__(self, works: Mapping[str, Work]) -> None:
        self.works = works
        self.rows: dict[str, dict[str, RowError]] = {}
        self.emptied: list[tuple[Work, str, list[str]]] = []
        self.aside = bad_rows.count(next(iter(works.values())))

    def follow(self) -> None:
        """Finds all rows that have to go. Raises the first that stops the run."""
        first = next(iter(self.works.values()))
        new = [
            error
            for name, keys in ledger.left_unlinked(first.target, first.run).items()
            for error in _allowed(
                self.works[name], find_orphans.of_range(self.works[name], Range(only=tuple(keys)))
            )
        ]
        while new := [error for error in new if error.key not in self.rows.get(error.table, ())]:
            generation: dict[str, list[str]] = {}
            for error in new:
                self._add(error)
                generation.setdefault(error.table, []).append(error.key)
            new = [error for name, keys in generation.items() for error in self._dragged_along(name, keys)]

    def _add(self, error: RowError) -> None:
        work = self.works[error.table]
        self.rows.setdefault(error.table, {})[error.key] = error
        if sum(len(rows) for rows in self.rows.values()) + self.aside > work.plan.max_quarantined:
            raise TooManyQuarantined(bad_rows.too_many(work, [error]))

    def _dragged_along(self, parent: str, keys: Sequence[str]) -> Iterator[RowError]:
        yield from self._sharers(self.works[parent], keys)
        for work in self.works.values():
            for number, ref in enumerate(work.table.references, start=1):
                if ref.parent != parent:
                    continue
                result = find_orphans.children(work, number, ref, keys)
                if ref.missing != "null" or ref.inside:  # an id inside a value is not emptied with it
                    yield from _allowed(work, result)
                elif result and _must_be_filled(work, ref.target):
                    yield from _allowed(work, [_unfilled(error) for error in result])
                elif result:
                    self.emptied.append((work, ref.target, [error.key for error in result]))

    def _sharers(self, work: Work, keys: Sequence[str]) -> Iterator[RowError]:
        """Other source rows that stand behind the same target rows."""
        if not any(
            other.table.into.existing and other.table.into.target_sql == work.table.into.target_sql
            for other in self.works.values()
        ):
            return
        result = remove.sharers(work, Range(only=tuple(keys)))
        for table, key, with_key in run_sql(work.target, result):
            column = self.rows[work.table.name][with_key].column
            said = f"its target row came with the {work.table.name} row {with_key}, which was set aside"
            yield RowError(table, key, column, MISSING_PARENT, said)

    def take_away(self) -> dict[str, Done]:
        """Unlinks, deletes, restores and unmaps the rows. Returns the changes of each table's counts."""
        for work, chunk in self._chunks():
            if any(ref.deferred for ref in work.table.references):
                feed.change(work, remove.unlink(work, chunk))
        for work, column, keys in self.emptied:
            chunk = Range(only=tuple(keys))
            statement = remove.empty(work, chunk, columns=[column])
            feed.change(work, statement)
        changed = {work.table.name: Done() for work, _, _ in self.emptied}
        return changed | {work.table.name: _take_away(work, chunk) for work, chunk in self._chunks()}

    def _chunks(self) -> Iterator[tuple[Work, Range]]:
        """Children before their parents."""
        for name in reversed(list(self.works)):
            if name in self.rows:
                yield self.works[name], Range(only=tuple(self.rows[name]))

    def set_aside(self) -> None:
        """Keeps the rows in the quarantine."""
        for name, errors in self.rows.items():
            bad_rows.set_aside(self.works[name], list(errors.values()))

    def backreferences(self) -> list[tuple[Work, backrefs.Pairs]]:
        """What the source may have been told of the rows, while the target still knows it."""
        return [
            (work, backrefs.written(work, chunk)) for work, chunk in self._chunks() if work.table.link.backref
        ]


def _allowed(work: Work, errors: Sequence[RowError]) -> Iterator[RowError]:
    """The same; raises the first that stops the run."""
    for error in errors:
        if not blame.may_be_set_aside(work, error):
            raise error
        yield error


def _take_away(work: Work, chunk: Range) -> Done:
    _refuse_dependants(work, chunk)
    counts: dict[str, int] = {}
    if work.table.link.keep_map:
        done_to = run_sql(work.target, remove.done_to(work, chunk))
        counts = dict(done_to.fetchall())
    removed, *_ = feed.run_remove(work, chunk)
    return Done(
        inserted=-(counts.get("inserted", 0) if work.table.link.keep_map else removed),
        updated=-counts.get("updated", 0),
        kept=-counts.get("kept", 0),
        quarantined=len(chunk.only or ()),
    )


def _refuse_dependants(work: Work, chunk: Range) -> None:
    """Rows that somebody else hung on these must not vanish, or lose them, by what their foreign key says."""
    for child in rollback_blockers.foreign_keys(work):
        statement = dependants.hung_on(work, chunk, child=child)
        row = run_sql(work.target, statement).fetchone()
        if row and row[0]:
            keys = ", ".join((chunk.only or ())[:5])
            raise EngineError(
                f"{work.table.name}: {row[0]} rows of {child.table} point to rows that have to be set aside, because a"
                f" parent was not migrated, for example source rows {keys}; let them go, then retry"
            )


def _must_be_filled(work: Work, column: str) -> bool:
    query = compose(
        "SELECT attnotnull FROM pg_attribute WHERE attrelid = {target_sql}::regclass AND attname = {column}",
        target_sql=literal(work.table.into.target_sql),
        column=literal(column),
    )
    row = run_sql(work.target, query).fetchone()
    return bool(row and row[0])


def _unfilled(error: RowError) -> RowError:
    said = f"{error.message}, and {error.column} must not be NULL"
    return RowError(error.table, error.key, error.column, NOT_NULL_VIOLATION, said)
