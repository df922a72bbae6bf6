"""Somebody holds a lock on the target: schema steps and chunks wait, say for whom, and stand in no reader's way; a
statement that takes long for itself is told of."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import psycopg
import pytest

from jobs.actions import runs
from jobs.models import Chunk, Run
from jobs.reporting.follow import follow
from jobs.running import claims, session
from tests.journeys.gate import meanwhile, wait_for
from tests.journeys.stock import open_stock, paused_half_way
from tests.journeys.world import NewWorld, World, fresh, said, work

IN_LINE = 0.1
SLACK = 1.0

STANDS = """
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - waitstart)), 0)::float8 FROM pg_locks
 WHERE NOT granted AND relation = 'thing'::regclass AND mode = 'AccessExclusiveLock'
"""


@contextmanager
def holding(stock: World, statement: str) -> Iterator[psycopg.Connection]:
    """Somebody in the target who holds a lock until the end of the transaction."""
    with psycopg.connect(stock.pair.target) as holder:
        holder.execute(statement.encode())
        yield holder
        holder.rollback()


@pytest.mark.faults
def test_a_schema_step_waits_and_no_reader_waits_long_behind_it(new_world: NewWorld) -> None:
    stock = open_stock(new_world("two"), rows=500)
    run = stock.start()
    waits: list[float] = []
    stood: list[float] = []
    with holding(stock, "SELECT count(*) FROM thing") as holder, meanwhile(lambda: work(run)):
        until = time.monotonic() + 10  # several tries of the step
        while time.monotonic() < until:
            began = time.monotonic()
            stock.target("SELECT count(*) FROM thing")
            waits.append(time.monotonic() - began)
            for _ in range(10):  # longer than the rest between two times in line, at which a reader ends
                stood.append(float(str(stock.target(STANDS)[0][0])))
                time.sleep(0.02)
        assert f"pid {holder.info.backend_pid}" in wait_for(lambda: fresh(run).waiting_for)
        assert "SELECT count(*) FROM thing" in fresh(run).waiting_for
        holder.rollback()
    assert max(waits) < IN_LINE + SLACK
    assert 0 < max(stood) < IN_LINE + SLACK
    assert fresh(run).status == "verified"
    assert stock.complaints() == []


def test_a_chunk_waits_and_says_for_whom(stock: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "CHUNK_LOCK_TIMEOUT_MS", 300)
    run = paused_half_way(stock)
    with holding(stock, "LOCK TABLE thing IN SHARE MODE") as holder:
        pid = holder.info.backend_pid
        runs.resume(fresh(run), None)
        with meanwhile(lambda: work(run)):
            text = wait_for(lambda: next((text for text in said(run) if "lock timeout" in text), ""))
            holder.rollback()
    assert f"item: the target is locked by pid {pid}, user postgres" in text
    assert "LOCK TABLE thing IN SHARE MODE" in text
    assert not any("cut in two" in text for text in said(run)), "fewer rows would have waited just the same"
    assert fresh(run).status == "verified"
    assert fresh(run).waiting_for == ""
    assert stock.complaints() == []


def test_whatever_is_locked_is_said_long_before_the_wait_is_over(
    new_world: NewWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in the source, of tables that are none of the mapping's, and while rows are taken back."""
    monkeypatch.setattr(session, "CHUNK_LOCK_TIMEOUT_MS", 120_000)  # however slow the machine is
    stock = open_stock(new_world("two"), rows=500)
    run = stock.start()
    told = told_while(run, stock.pair.source, "LOCK TABLE item IN ACCESS EXCLUSIVE MODE")
    assert told.startswith("waiting because in the source, public.item is locked by pid ")
    assert told.endswith(", user postgres, idle in transaction: LOCK TABLE item IN ACCESS EXCLUSIVE MODE")
    assert (fresh(run).status, fresh(run).waiting_for) == ("verified", "")
    runs.roll_back(fresh(run), None)
    told = told_while(run, stock.pair.target, "SELECT FROM thing LIMIT 1 FOR UPDATE")
    assert told.startswith("waiting because in the target, public.thing is locked by pid ")
    assert (fresh(run).status, fresh(run).waiting_for) == ("rolled_back", "")
    assert not any("lock timeout" in text for text in said(run))


def told_while(run: Run, url: str, lock: str) -> str:
    """Why a run stands still while somebody holds a lock, until that was told."""
    with psycopg.connect(url) as holder:
        holder.execute(lock.encode())
        with meanwhile(lambda: work(run)):
            told = wait_for(lambda: fresh(run).waits_because)
            holder.rollback()
    return told


@pytest.mark.faults
def test_a_chunk_outwaits_a_table_that_is_locked_for_longer_than_troubles_may_last(
    stock: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "CHUNK_LOCK_TIMEOUT_MS", 300)
    run = paused_half_way(stock)
    with holding(stock, "LOCK TABLE thing IN EXCLUSIVE MODE") as holder:
        runs.resume(fresh(run), None)
        with meanwhile(lambda: work(run)):
            waits = Chunk.objects.filter(table__run=run, troubles__gt=claims.MOST_TROUBLES)
            wait_for(waits.exists, seconds=60)
            holder.rollback()
    assert fresh(run).status == "verified"
    assert stock.complaints() == []


@pytest.mark.long
def test_a_statement_that_takes_long_without_a_lock_is_told_of_as_well(new_world: NewWorld) -> None:
    """On the page and in a terminal within five seconds: which it is, where, and since when."""
    stock = open_stock(new_world("two"), rows=50)
    stock.target(
        "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(9); RETURN NEW; END$$;"
        "CREATE TRIGGER slowly BEFORE INSERT ON thing FOR EACH ROW WHEN (NEW.number = 7) EXECUTE FUNCTION slowly()"
    )
    run, lines = stock.start(), io.StringIO()
    with meanwhile(lambda: work(run)), meanwhile(lambda: follow(run.pk, lines)):
        began = wait_for(lambda: stock.target(BEGAN))[0][0]
        told = wait_for(lambda: fresh(run).long_statement)
        assert isinstance(began, datetime) and (datetime.now(UTC) - began).total_seconds() < 5.0 + SLACK
        assert told.startswith("at work in the target since ") and ": COPY " in told
        at = datetime.strptime(told.split()[6].rstrip(":"), "%H:%M:%S").time()
        assert abs((datetime.combine(began.date(), at, UTC) - began).total_seconds()) < 2
        wait_for(lambda: told in lines.getvalue())
    assert (fresh(run).status, fresh(run).at_work) == ("verified", None)
    assert fresh(run).waiting_for == ""


BEGAN = (
    "SELECT query_start FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
)
