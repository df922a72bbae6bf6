"""One worker's time with one run: its open databases, its sign of life, and its lease on what only one may do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection, transaction

from jobs import phases
from jobs.engine.errors import Exhausted, Fenced, PlanBroken, Transient, translate
from jobs.engine.feed import Refusals, Work
from jobs.engine.schema.apply import Sides
from jobs.engine.target import ledger
from jobs.models import Run, TableRun
from jobs.processes import seats
from jobs.running.lost_connections.connection_watchdog import Lifeline, waits
from jobs.running.lost_connections.silence import Knocking, Silence
from jobs.running.lost_connections.watch import Watch
from mappings.connections import sessions, unreachable
from mappings.plan.model import Plan
from mappings.sql import compose

LEASE = timedelta(seconds=8)
PULSE_SECONDS = 2.0
STALE_AFTER = timedelta(seconds=8)
"""A claim without a sign of life for longer is abandoned. The fence makes an early takeover safe, merely wasteful."""

FROZEN_AFTER = timedelta(seconds=10)
"""A worker takes up to ten seconds for what it does in the databases while it locks a table's row in ours."""

TAKE_LEASE = """
WITH former AS (
  SELECT id, lease_owner FROM jobs_run
   WHERE id = %s AND (lease_until IS NULL OR lease_until < statement_timestamp() OR lease_owner = %s) FOR UPDATE)
UPDATE jobs_run AS r SET lease_owner = %s, lease_until = statement_timestamp() + %s
  FROM former WHERE r.id = former.id RETURNING former.lease_owner
"""
"""Takes a run's lease where it is free, has run out, or is the session's own; who had it."""

CHUNK_LOCK_TIMEOUT_MS = 10_000
CHUNK_TIMEOUT_MS: int = getattr(settings, "CHUNK_TIMEOUT_MS", 5 * 60_000)
"""How long a statement of a chunk may take that aims at a second; after that the chunk is halved."""

LONGEST_TIMEOUT_MS: int = getattr(settings, "LONGEST_TIMEOUT_MS", 6 * 3600_000)
"""How long any other may take: an index over a large table, a chunk that cannot be halved."""


@dataclass
class Session:
    """What a worker holds while it works on a run. token: unique to this session, on claims and connections.

    looked_at: tables of which the target's planner knows what rows are there already; is_installed: the target's
    schema `migrator` is known to be whole; refusals: what rows were refused for, by table; is_indexed: no index is left
    to be built after a copy; is_looked_through: whether the target forgot chunks was asked; look_at: when what was
    measured is looked at next, by time.monotonic(); is_shut_out: the run had no room for it when it last asked.
    """

    run: Run
    plan: Plan
    token: str
    source: psycopg.Connection[Any]
    target: psycopg.Connection[Any]
    tables: dict[str, TableRun] = field(default_factory=dict)
    limited_to: int = LONGEST_TIMEOUT_MS
    looked_at: set[str] = field(default_factory=set)
    is_installed: bool = False
    is_indexed: bool = False
    is_looked_through: bool = False
    refusals: dict[str, Refusals] = field(default_factory=dict)
    look_at: float = 0.0
    is_shut_out: bool = False

    @cached_property
    def parents(self) -> dict[str, tuple[str, ...]]:
        """By table, those that its references lead to."""
        return {table.name: table.parents for table in self.plan.tables}

    @cached_property
    def sizes(self) -> dict[str, int]:
        """By table, how many source rows the plan counted."""
        return {table.name: table.feed.estimate for table in self.plan.tables}

    @property
    def sides(self) -> Sides:
        """Both connections, for schema steps."""
        return Sides(self.source, self.target)

    def work(self, table: TableRun) -> Work:
        """What the engine needs for one table's chunks."""
        planned = self.plan.table(table.name)
        if table.remembered and table.phase == phases.COPY:
            planned = planned.with_memory(remembered=True)
        how = (table.fresh, table.guarded, self.source, self.target, table.identical)
        refusals = self.refusals.setdefault(table.name, Refusals())
        return Work(self.plan, planned, self.run.pk, *how, refusals)

    def limit(self, milliseconds: int) -> None:
        """Sets how long a statement may take from now on, on both sides."""
        if milliseconds == self.limited_to:
            return
        for conn in {self.source, self.target}:
            conn.execute("SELECT set_config('statement_timeout', %s, false)", [f"{milliseconds}ms"])
        self.limited_to = milliseconds

    def lease(self) -> bool:
        """Whether this session alone may now do what only one may; it is renewed by the pulse."""
        given: list[Any] = [self.run.pk, self.token, self.token, LEASE]
        with connection.cursor() as cursor:
            cursor.execute(TAKE_LEASE, given)
            row = cursor.fetchone()
        if row is None:
            return False
        if row[0] not in ("", self.token):
            self.end_former(row[0])
        return True

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A transaction of the control database under the lease. Raises Fenced if another session has it by now."""
        with transaction.atomic():
            if not Run.objects.select_for_update().filter(pk=self.run.pk, lease_owner=self.token).exists():
                raise Fenced("another worker has taken the run over")
            yield

    def end_former(self, token: str) -> None:
        """Ends what a worker that fell silent may have left open in either database. Raises Transient if it stays."""
        for conn in {self.source, self.target}:
            ledger.end_sessions(conn, token)

    def release(self) -> None:
        """Gives the lease back."""
        Run.objects.filter(pk=self.run.pk, lease_owner=self.token).update(lease_owner="", lease_until=None)


@contextmanager
def opened(run: Run, worker: str) -> Iterator[Session]:
    """A session with both databases open. Raises Transient, Exhausted or PlanBroken where that is not possible."""
    token = seats.new_token(worker)
    plan = Plan.from_json(run.plan)
    with (
        _connected(run, "source", token, read_only=not _writes_back(plan)) as source,
        _connected(run, "target", token, read_only=False) as target,
        Pulse(token, run.pk, (source, target)),
        Silence(token, run.pk, (source, run.environment.source_url), (target, run.environment.target_url)),
        Lifeline(
            token, ((source, run.environment.source_url), (target, run.environment.target_url)), _control()
        ),
    ):
        _same_places(plan, source, target)
        session = Session(run, plan, token, target if plan.same_database else source, target)
        try:
            yield session
        finally:
            session.release()


def _control() -> list[psycopg.Connection[Any]]:
    """Our own connection to the control database, whose locks a worker that is frozen does not keep for long."""
    with connection.cursor() as cursor:
        cursor.execute(
            compose(
                "SET idle_in_transaction_session_timeout = {}", round(FROZEN_AFTER.total_seconds() * 1000)
            )
        )
    return [connection.connection]


def _writes_back(plan: Plan) -> bool:
    return any(table.link.backref for table in plan.tables)


@contextmanager
def _connected(run: Run, side: str, token: str, read_only: bool) -> Iterator[psycopg.Connection[Any]]:
    url = run.environment.source_url if side == "source" else run.environment.target_url
    try:
        with Knocking(run.pk, side):
            conn = sessions.connect(
                url, purpose=token, read_only=read_only, lock_timeout_ms=CHUNK_LOCK_TIMEOUT_MS,
                statement_timeout_ms=LONGEST_TIMEOUT_MS,
            )  # fmt: skip
    except unreachable.DatabaseUnreachable as error:
        if error.kind in unreachable.UNFIT:
            raise PlanBroken(str(error)) from error
        raise (Exhausted if error.kind == "busy" else Transient)(str(error)) from error
    try:
        if not read_only and conn.info.parameter_status("in_hot_standby") == "on":
            raise Transient(
                "a database that is to be written to is a standby: it takes no rows until it is promoted"
            )
        yield conn
    finally:
        conn.close()


def _same_places(plan: Plan, source: psycopg.Connection[Any], target: psycopg.Connection[Any]) -> None:
    for side, conn, planned in (
        ("source", source, plan.source_identity),
        ("target", target, plan.target_identity),
    ):
        try:
            result = sessions.identity(conn)
        except psycopg.Error as error:
            raise translate(error) from error
        if result != planned:
            raise PlanBroken(f"the {side} is another database than the one the plan was made for")


class Pulse(Watch):
    """Keeps a session's claims, lease or review fresh on a connection of its own, also during a long statement.

    data: connections of which the statements are ended at the server once the run is cancelled.
    """

    def __init__(self, token: str, run: int = 0, data: Sequence[psycopg.Connection[Any]] = ()) -> None:
        super().__init__(f"pulse of {token}")
        self.token, self.run_id, self.data = token, run, data
        self._params = seats.connection_params("pulse")

    def run(self) -> None:
        while not self._ended.wait(PULSE_SECONDS):
            try:
                with psycopg.connect(**self._params, autocommit=True) as conn:
                    self._beat(conn)
            except psycopg.Error:
                continue  # a sign of life missed; the next one may go through

    def _beat(self, conn: psycopg.Connection[Any]) -> None:
        while not self._ended.is_set():
            conn.execute(
                "UPDATE jobs_chunk SET seen = now() WHERE state = 'claimed' AND worker = %s", [self.token]
            )
            conn.execute(
                "UPDATE jobs_review SET seen = now() WHERE state = 'measuring' AND worker = %s", [self.token]
            )
            conn.execute(
                "UPDATE jobs_run SET lease_until = now() + %s WHERE lease_owner = %s AND lease_until IS NOT NULL",
                [LEASE, self.token],
            )
            if self.data and conn.execute(CANCELLED, [self.run_id]).fetchone():
                self._end_statements()
            self._ended.wait(PULSE_SECONDS)

    def _end_statements(self) -> None:
        for data in self.data:
            with suppress(psycopg.Error):
                if waits(data) and not self._ended.is_set():
                    data.cancel_safe(timeout=PULSE_SECONDS)


CANCELLED = "SELECT 1 FROM jobs_run WHERE id = %s AND status = 'cancelled'"
