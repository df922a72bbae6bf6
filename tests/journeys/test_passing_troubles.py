"""Troubles that pass: deadlocks, serialization failures, ended sessions: tried again, at most five times."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from mappings.connections import sessions
from tests.journeys.conftest import ONE_LAYOUT, PAGES_TOO
from tests.journeys.gate import closed_gate, meanwhile, wait_for
from tests.journeys.stock import IN_A_LATER_CHUNK, SOURCE, mapping_of
from tests.journeys.world import World, fresh, said, work

TROUBLE = """
CREATE SEQUENCE public.tries;
CREATE FUNCTION public.trouble() RETURNS trigger LANGUAGE plpgsql AS
  $$BEGIN IF nextval('public.tries') <= %s THEN RAISE 'trouble' USING ERRCODE = '%s'; END IF; RETURN NULL; END$$;
CREATE TRIGGER trouble AFTER INSERT ON %s EXECUTE FUNCTION public.trouble();
"""
SERIALIZATION = "40001"


def test_a_chunk_is_tried_again_until_it_goes_through(shop: World) -> None:
    shop.target(TROUBLE % (2, SERIALIZATION, "crm.sale"))
    run = shop.started()
    assert run.status == "verified"
    assert sum(f"SQLSTATE {SERIALIZATION}" in text for text in said(run)) == 2
    assert shop.complaints() == []


MOVING = """
CREATE TABLE thing (id bigint GENERATED ALWAYS AS IDENTITY, number integer, label text, part integer DEFAULT 1,
  PRIMARY KEY (id, part)) PARTITION BY LIST (part);
CREATE TABLE thing_1 PARTITION OF thing FOR VALUES IN (1); CREATE TABLE thing_2 PARTITION OF thing FOR VALUES IN (2);
INSERT INTO thing (number, label) SELECT n, 'mine' FROM generate_series(1, 9) n;
"""
MERGE = mapping_of("existing: {match: [number], then: update}, link: {source_id: false}, is_migrated: false,")


def test_a_row_that_moves_to_another_partition_meanwhile_is_found_there(world: World) -> None:
    """What can fail by serialization at READ COMMITTED, which our sessions insist on whatever the database says."""
    world.source(SOURCE % 20)
    world.target(f"{MOVING}; ALTER DATABASE {conninfo_to_dict(world.pair.target)['dbname']}"
                 " SET default_transaction_isolation = 'serializable'")  # fmt: skip
    world.define(MERGE)
    with psycopg.connect(world.pair.target) as other:
        other.execute(
            "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; UPDATE thing SET part = 2 WHERE number = 3"
        )
        held_up = (
            f"SELECT 1 FROM pg_stat_activity WHERE {other.info.backend_pid} = ANY (pg_blocking_pids(pid))"
        )
        run = world.start()
        with meanwhile(lambda: work(run)):
            wait_for(lambda: world.target(held_up))
            other.commit()
    assert fresh(run).status == "verified"
    assert sum(f"SQLSTATE {SERIALIZATION}" in text for text in said(run)) == 1
    assert world.target("SELECT part, label FROM thing WHERE number = 3") == [(2, "ITEM 3")]


SECOND_LOCK = 4712
SECOND_GATE = f"""
CREATE FUNCTION public.second() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN PERFORM pg_advisory_xact_lock_shared({SECOND_LOCK}); RETURN NEW; END';
CREATE TRIGGER second BEFORE INSERT ON thing FOR EACH ROW WHEN (NEW.number = 12346) EXECUTE FUNCTION public.second();
"""


@PAGES_TOO
def test_the_victim_of_a_deadlock_is_tried_again(stock: World) -> None:
    stock.target(SECOND_GATE)
    with psycopg.connect(stock.pair.target) as other:
        other.execute("SET deadlock_timeout = '1h'")  # so that it is the chunk that finds the deadlock
        other.execute("SELECT pg_advisory_xact_lock(%s)", [SECOND_LOCK])
        waits = f"SELECT 1 FROM pg_stat_activity WHERE pid = {other.info.backend_pid} AND wait_event_type = 'Lock'"
        with closed_gate(stock.pair.target, "thing", IN_A_LATER_CHUNK) as gate:
            run = stock.start()
            with meanwhile(lambda: work(run)):
                gate.wait_for_somebody()
                with meanwhile(lambda: other.execute("UPDATE migrator.run SET environment = environment")):
                    wait_for(lambda: stock.target(waits))
                    gate.open()
                other.rollback()
    assert fresh(run).status == "verified"
    assert sum("SQLSTATE 40P01" in text for text in said(run)) == 1
    assert stock.complaints() == []


@ONE_LAYOUT
def test_a_chunk_that_fails_five_times_fails_the_run(shop: World) -> None:
    shop.target(TROUBLE % (99, SERIALIZATION, "crm.sale"))
    run = shop.started()
    assert run.status == "failed"
    assert "orders, chunk 1 failed 5 times" in run.error
    assert shop.target("SELECT count(*) FROM crm.sale WHERE is_migrated") == [(0,)]


def test_a_terminated_session_loses_nothing(shop: World) -> None:
    with closed_gate(shop.pair.target, "crm.sale", "NEW.total = 31.25") as gate:
        run = shop.start()
        with meanwhile(lambda: work(run)):
            shop.target(f"SELECT pg_terminate_backend({gate.wait_for_somebody()})")
            gate.open()
    assert fresh(run).status == "verified"
    assert any("SQLSTATE 57P01" in text for text in said(run))
    assert shop.complaints() == []


def test_a_session_ended_before_its_first_answer_is_opened_again(
    stock: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = sessions.identity
    ended: list[object] = []

    def end_and_ask(conn: psycopg.Connection) -> str:
        if not ended:
            ended.append(stock.target(f"SELECT pg_terminate_backend({conn.info.backend_pid}, 5000)"))
        return ask(conn)

    run = stock.start()
    monkeypatch.setattr(sessions, "identity", end_and_ask)
    assert work(run).status == "verified"
    assert ended
    assert stock.complaints() == []
