"""The whole plan inside transactions that are rolled back: steps, copy, links and comparison, as a run does them.

The caller opens a transaction on each connection and rolls it back; nothing in here commits. Sequences advance, and
triggers of the target fire, as in a run.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import psycopg

from jobs.engine import feed
from jobs.engine.errors import EngineError, TooManyQuarantined, blames_row, translate
from jobs.engine.feed import Work, run_sql
from jobs.engine.moving import bad_rows, blame, compare, link, prune_orphans, sample, sequences
from jobs.engine.moving import copy as copying
from jobs.engine.moving import ranges as chunks
from jobs.engine.moving.assigning import assign
from jobs.engine.rehearsal.result import Failure, StepTaken, TableTried, Tried
from jobs.engine.schema import apply
from jobs.engine.schema.apply import Sides
from jobs.engine.sql.merging import superseded
from jobs.engine.sql.walks.chunk_range import Range
from jobs.engine.target import ledger, sizes
from jobs.engine.target.ledger import Ticket
from mappings.plan.model import Plan
from mappings.plan.references import Reference
from mappings.plan.table_plan import TablePlan
from mappings.schema.kinds.add_index import plainly
from mappings.sql import compose, encoded, verbatim

RUN = -1
"""The number of the run that is rehearsed: real ones are positive."""

MOST_FAILURES = 10_000
SHOWN_FAILURES = 100
CHUNK_ROWS = 20_000
UNDONE_WITHIN = 20.0
"""The way back is rehearsed as well where the steps took no more than this many seconds."""

Clock = Callable[[], bool]
"""Whether the time is up."""


def lenient(plan: Plan) -> Plan:
    """The plan under which every bad row is set aside, whatever its policies say, so that all of them are found."""
    tables = tuple(
        replace(table, references=tuple(_noted(ref) for ref in table.references)) for table in plan.tables
    )
    return replace(plan, tables=tables, on_error="quarantine", max_quarantined=MOST_FAILURES)


def _noted(ref: Reference) -> Reference:
    missing: Literal["quarantine", "null"] = "null" if ref.missing == "null" else "quarantine"
    return replace(ref, missing=missing)


def rehearse(sides: Sides, plan: Plan, rows: int | None, is_over: Clock) -> Tried:
    """rows: how many source rows of each table, with the parents that they need; None: all of them."""
    began, tried = time.monotonic(), Tried(rows)
    stage = Stage(sides, lenient(plan), rows, is_over, tried)
    try:
        stage.run()
    except psycopg.Error as error:
        tried.stopped = str(translate(error))
    except EngineError as error:
        tried.stopped = str(error)
    tried.seconds = time.monotonic() - began
    return tried


class OutOfTime(EngineError):
    """The rehearsal was given no more time."""


@dataclass
class Stage:
    """One rehearsal under way."""

    sides: Sides
    plan: Plan
    rows: int | None
    is_over: Clock
    tried: Tried
    chunk: int = 0

    def run(self) -> None:
        """Everything in the order of a run; what was found so far stands in `tried` even where it breaks off."""
        target = self.sides.target
        before = sizes.catalog(target, self.plan)
        counters = sizes.counters(target, self.plan)
        ledger.install(target)
        if self.plan.overwrites:
            run_sql(target, superseded.TARGET_INDEX)
        ledger.enter(target, RUN, uuid.uuid4(), self.plan.mapping, self.plan.sha256, self.plan.environment)
        ledger.raise_epoch(target, RUN, 1)
        self._steps(before)
        try:
            self._tables()
        finally:
            if target.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS:
                self._collect_failures()
                self.tried.advanced = sizes.advanced(target, self.plan, counters)

    # ---- the schema

    def _steps(self, before: sizes.Catalog) -> None:
        target, steps = self.sides.target, [plainly(step) for step in self.plan.steps]
        for step in steps:
            began = time.monotonic()
            apply.apply(self.sides, self.plan, RUN, step, lambda _: None, tries=1)
            self.tried.steps.append(StepTaken(step.title, time.monotonic() - began))
            self._go_on()
        after = sizes.catalog(target, self.plan)
        for step in steps:
            apply.apply(self.sides, self.plan, RUN, step, lambda _: None, tries=1)
        self.tried.again = sizes.differences(after, sizes.catalog(target, self.plan))
        if sum(step.seconds for step in self.tried.steps) <= UNDONE_WITHIN:
            self.tried.back = self._there_and_back(before)

    def _there_and_back(self, before: sizes.Catalog) -> list[str]:
        """How the schema differs from what it was once this run's steps are undone; they stay in force all the same."""
        source, target = self.sides.source, self.sides.target
        with source.transaction(force_rollback=True), target.transaction(force_rollback=True):
            for step in apply.applied(target, self.plan.mapping):
                if step.run == RUN:
                    apply.undo(self.sides, step, lambda _: None, tries=1)
            return sizes.differences(before, sizes.catalog(target, self.plan))

    def _go_on(self) -> None:
        if self.is_over():
            raise OutOfTime("the time that was given is up; what was found so far is shown")

    # ---- the rows

    def _work(self, table: TablePlan) -> Work:
        work = Work(self.plan, table, RUN, True, False, self.sides.source, self.sides.target)
        fresh = compare.is_fresh(work, RUN)
        return replace(work, fresh=fresh, guarded=not fresh)

    def _tables(self) -> None:
        works = {table.name: self._work(table) for table in self.plan.moved}
        for work in works.values():
            sequences.put_ahead(work, work.table.into.drawn)
        ranges = {name: self._ranges(work) for name, work in works.items()}
        if self.rows is not None:
            sample.add_parents(works, ranges)
        try:
            copied = self._moved(works, ranges)
        except TooManyQuarantined as error:
            raise EngineError(f"more than {MOST_FAILURES} rows fail: {error}") from error
        for name, work in works.items():
            self._compare(work, ranges[name], copied[name])

    def _moved(self, works: dict[str, Work], ranges: dict[str, list[Range]]) -> dict[str, _Copied]:
        copied = {name: self._copy(works[name], ranges[name]) for name in works}
        for name, work in works.items():
            if link.needs_links(work.table):
                for one in ranges[name]:
                    self._link(work, one)
        host = prune_orphans.host(self.plan)
        if host and ledger.left_unlinked(self.sides.target, RUN):
            for name, done in prune_orphans.prune_chunk(
                works, self._ticket(works[host], "prune", Range())
            ).items():
                copied[name] = replace(copied[name], done=copied[name].done + done)
        return copied

    def _ranges(self, work: Work) -> list[Range]:
        """The first rows of a table; or all of it, in chunks. A table that cannot be cut is taken whole."""
        if self.rows is not None:
            high = chunks.next_boundary(work, None, None, self.rows)
            return [Range(high=high)]
        if not work.table.feed.stepped:
            bounds = [None, *chunks.all_boundaries(work, CHUNK_ROWS), None]
            return [Range(low, high) for low, high in pairwise(bounds)]
        return list(self._cut(work))

    def _cut(self, work: Work) -> Iterator[Range]:
        low = None
        while high := chunks.next_boundary(work, low, None, CHUNK_ROWS):
            yield Range(low, high)
            low = high
        yield Range(low, None)

    def _ticket(self, work: Work, phase: str, one: Range) -> Ticket:
        self.chunk += 1
        return Ticket(RUN, 1, work.table.name, phase, self.chunk, one)

    def _copy(self, work: Work, ranges: Sequence[Range]) -> _Copied:
        before = sizes.of(work)
        began, done = time.monotonic(), ledger.Done()
        if work.table.assigning and self.rows is None:  # a sample's rows get theirs when they are copied
            assign.assign_chunk(work, self._ticket(work, "assign", Range()))
        for one in ranges:
            self._go_on()
            more = copying.copy_chunk(work, self._ticket(work, "copy", one))
            done += more
        seconds = time.monotonic() - began
        return _Copied(done, seconds, sizes.per_row(work, before, done.inserted + done.updated))

    def _link(self, work: Work, one: Range) -> None:
        """Links a range; rows that cannot be linked are found by halving, and set aside like the others."""
        self._go_on()
        try:
            link.link_chunk(work, self._ticket(work, "link", one))
            return
        except psycopg.Error as error:
            if not blames_row(error):
                raise
            cause = error
        keys = list(one.only or feed.keys_in(work, one))
        if len(keys) == 1:
            bad_rows.set_aside(work, [blame.diagnose(work, keys[0], cause)])
            return
        middle = len(keys) // 2
        for half in (keys[:middle], keys[middle:]):
            self._link(work, one.narrowed(half))

    def _compare(self, work: Work, ranges: Sequence[Range], copied: _Copied) -> None:
        began, missing, different, compared = time.monotonic(), 0, 0, 0
        for one in ranges:
            if one.only is not None:
                continue  # parents beyond the sample: the rows between them are not there
            self._go_on()
            result = compare.compare_chunk(work, one)
            missing, different = missing + result.missing, different + result.different
            compared += result.source_rows
        seconds = time.monotonic() - began
        done, in_scope = copied.done, work.table.feed.estimate
        share = in_scope / max(done.rows, 1)
        verify = seconds * in_scope / max(compared, 1)
        expected = (copied.seconds * share + verify) if done.rows else 0.0
        self.tried.tables.append(
            TableTried(
                work.table.name,
                in_scope,
                done.rows,
                done.inserted,
                done.updated,
                done.kept,
                done.quarantined,
                missing,
                different,
                copied.seconds,
                seconds,
                copied.bytes_per_row,
                expected,
                int(copied.bytes_per_row * (done.inserted + done.updated) * share),
            )
        )

    def _collect_failures(self) -> None:
        """What was set aside in this transaction; all of it is counted, the first rows are listed."""
        here = verbatim("FROM migrator.quarantine WHERE mapping = %s AND at = now()")
        row: Any = self.sides.target.execute(
            encoded(compose("SELECT count(*) {}", here)), [self.plan.mapping]
        ).fetchone()
        self.tried.failed = row[0]
        names = verbatim("table_name, source_key, column_name, sqlstate, message")
        result = self.sides.target.execute(
            encoded(
                compose(
                    "SELECT {names} {here} ORDER BY table_name, source_key LIMIT {shown_failures}",
                    names=names, here=here, shown_failures=SHOWN_FAILURES,
                )
            ),
            [self.plan.mapping],
        )  # fmt: skip
        self.tried.failures = [Failure(*row) for row in result]


@dataclass(frozen=True, slots=True)
class _Copied:
    done: ledger.Done
    seconds: float
    bytes_per_row: float
