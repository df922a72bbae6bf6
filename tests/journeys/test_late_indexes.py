"""The index on the link comes after the copy of a table that had no row of the mapping, whoever dies in between."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from jobs.actions import runs
from jobs.engine.schema import apply
from jobs.running.steps import late_indexes
from tests.journeys.gate import closed_gate, meanwhile, wait_for
from tests.journeys.stock import IN_A_LATER_CHUNK, mapping_of, open_stock, paused_half_way
from tests.journeys.world import World, fresh, work

MAPPING = mapping_of("link: {map: false}, walk: pages,")
INDEXES = (
    "SELECT indisvalid AND indisunique FROM pg_index WHERE indrelid = 'thing'::regclass AND NOT indisprimary"
)
REGISTERED = "SELECT count(*) FROM migrator.schema_step WHERE kind = 'add_index' AND undone_at IS NULL"


@pytest.fixture
def stock(world: World) -> World:
    return open_stock(world, MAPPING)


def test_the_index_comes_after_the_copy_and_goes_with_the_rollback(stock: World) -> None:
    before = stock.shape()
    with closed_gate(stock.pair.target, "thing", IN_A_LATER_CHUNK) as gate:
        run = stock.start()
        run.tables.update(chunk_rows=5_000)
        with meanwhile(lambda: work(run)):
            gate.wait_for_somebody()
            assert stock.target(INDEXES) == []
            assert run.steps.get(title__contains="unique index").note == late_indexes.NOTE
            gate.open()
    assert fresh(run).status == "verified"
    assert stock.target(INDEXES) == [(True,)] and stock.target(REGISTERED) == [(1,)]
    assert {(step.state, step.note) for step in run.steps.all()} == {("done", "")}
    assert stock.rolled_back(run).status == "rolled_back"
    stock.target("DROP TRIGGER gate ON thing; DROP FUNCTION gate()")
    assert stock.shape() == before


NOTES = """
CREATE TABLE noted (compression text);
CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS
  $$BEGIN INSERT INTO public.noted VALUES (current_setting('wal_compression')); END$$;
CREATE EVENT TRIGGER note ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION note()
"""


@pytest.mark.parametrize("world", ["two"], indirect=True)
def test_the_log_of_the_build_is_not_compressed_in_vain(stock: World) -> None:
    stock.target(f"ALTER DATABASE {conninfo_to_dict(stock.pair.target)['dbname']} SET wal_compression = on")
    stock.target(NOTES)
    assert stock.started().status == "verified"
    assert ("off",) in stock.target("SELECT compression FROM noted")


@pytest.mark.parametrize("world", ["two"], indirect=True)
def test_a_worker_that_dies_between_the_index_and_the_register_leaves_nothing_to_do(
    stock: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    register, died = apply._register, list[Any]()

    def dies_once(*given: Any) -> None:
        if given[3].kind == "add_index" and not died:
            died.append(given)
            raise psycopg.OperationalError("the server went away")
        register(*given)

    monkeypatch.setattr(late_indexes, "MOMENT_ROWS", 0)  # concurrently, as a large table's
    monkeypatch.setattr(late_indexes, "LONGER_ROWS", 0)
    monkeypatch.setattr(apply, "_register", dies_once)
    run = stock.started()
    assert died and run.status == "verified"
    assert stock.target(INDEXES) == [(True,)] and stock.target(REGISTERED) == [(1,)]
    assert "CONCURRENTLY" in str(
        stock.target("SELECT sql FROM migrator.schema_step WHERE kind = 'add_index'")
    )


HOW = "SELECT bool_or(statement LIKE '%CONCURRENTLY%') FROM migrator.schema_step, unnest(sql) AS s(statement)"


@pytest.mark.parametrize("written", [False, True], ids=["by the run alone", "by others"])
@pytest.mark.parametrize("world", ["two"], indirect=True)
def test_a_large_table_is_indexed_at_once_where_nobody_else_writes_to_it(
    stock: World, written: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others could not write to it meanwhile, so that where some do it is built concurrently."""
    monkeypatch.setattr(late_indexes, "MOMENT_ROWS", 0)
    with closed_gate(stock.pair.target, "thing", IN_A_LATER_CHUNK) as gate:
        run = stock.start()
        run.tables.update(chunk_rows=5_000)
        with meanwhile(lambda: work(run)):
            gate.wait_for_somebody()
            if written:
                stock.target("UPDATE thing SET label = label WHERE number = 1")
                wait_for(lambda: stock.target(WRITTEN))
            gate.open()
    assert fresh(run).status == "verified"
    assert stock.target(INDEXES) == [(True,)]
    assert stock.target(HOW) == [(written,)]


WRITTEN = "SELECT 1 FROM pg_stat_all_tables WHERE relid = 'thing'::regclass AND n_tup_upd > 0"


@pytest.mark.parametrize("world", ["one"], indirect=True)
def test_a_source_id_that_is_there_twice_fails_the_run_and_it_can_be_rolled_back(stock: World) -> None:
    before = stock.shape()
    run = paused_half_way(stock)
    stock.target("DROP TRIGGER gate ON thing; DROP FUNCTION gate()")
    stock.target("INSERT INTO thing (number, source_table_id) VALUES (-1, 29999)")
    runs.resume(run, None)
    for _ in range(2):
        assert work(run).status == "failed"
        assert "(source_table_id)=(29999) is duplicated" in fresh(run).error
        assert stock.target(INDEXES) == []
        runs.retry(fresh(run), None)
    stock.target("DELETE FROM thing WHERE number = -1")
    assert work(run).status == "verified"
    assert stock.rolled_back(run).status == "rolled_back"
    assert stock.shape() == before


@pytest.mark.parametrize("world", ["two"], indirect=True)
def test_a_copy_that_was_cancelled_before_its_index_is_rolled_back(stock: World) -> None:
    before = stock.shape()
    run = paused_half_way(stock)
    stock.target("DROP TRIGGER gate ON thing; DROP FUNCTION gate()")
    runs.cancel(run, None)
    assert stock.target("SELECT count(*) > 0 FROM thing") == [(True,)] and stock.target(INDEXES) == []
    assert stock.rolled_back(run).status == "rolled_back"
    assert stock.shape() == before and stock.target("SELECT count(*) FROM thing") == [(0,)]
