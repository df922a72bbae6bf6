"""Rows that the target does not take, among very many and all of them: set aside one by one, up to the limit."""

from __future__ import annotations

import psycopg
import pytest

from jobs.actions import runs
from jobs.engine.target import ledger
from jobs.models import Run
from tests.journeys.acceptance import Promise
from tests.journeys.gate import closed_gate, meanwhile, wait_for
from tests.journeys.stock import BY_PAGES, MAPPING, PROMISE, SOURCE, TARGET
from tests.journeys.world import World, fresh, work

POISONED = pytest.mark.parametrize(
    ("world", "mapping"), [("one", BY_PAGES), ("two", MAPPING)], indirect=["world"], ids=["one", "two"]
)


def setting_aside(mapping: str) -> str:
    """The mapping, that sets up to 20 rows aside."""
    return mapping.replace("name: stock", "name: stock\non_error: quarantine\nmax_quarantined: 20")


QUARANTINE = setting_aside(MAPPING)
SET_ASIDE = "SELECT source_key, column_name, sqlstate, message, source_row->>'label' FROM migrator.quarantine"


def ran(world: World, rows: int, poison: str, *promises: Promise, mapping: str = MAPPING) -> Run:
    """A run over a stock whose target refuses some rows."""
    world.source(SOURCE % rows)
    world.target(f"{TARGET} ALTER TABLE thing ADD CONSTRAINT wholesome CHECK (NOT ({poison}))")
    world.define(setting_aside(mapping), *promises)
    return world.started()


@pytest.mark.faults
@POISONED
def test_one_poison_row_among_very_many(world: World, mapping: str) -> None:
    good = Promise(
        PROMISE.mapping, PROMISE.table, f"{PROMISE.source_rows} WHERE number <> 123456", PROMISE.target_rows
    )
    run = ran(world, 200_000, "number = 123456", good, mapping=mapping)
    assert run.status == "verified"
    table = run.tables.get()
    assert (table.inserted, table.quarantined) == (199_999, 1)
    ((key, _, sqlstate, message, label),) = world.target(SET_ASIDE)
    assert (key, sqlstate, label) == ("123456", "23514", "item 123456")
    assert "wholesome" in str(message)
    assert world.complaints() == []


@POISONED
def test_all_rows_poison_stop_at_the_limit(world: World, mapping: str) -> None:
    run = ran(world, 3_000, "number > 0", mapping=mapping)
    assert run.status == "failed"
    assert "20" in run.error
    assert world.target("SELECT count(*) FROM thing") == [(0,)]
    assert world.rolled_back(run).status == "rolled_back"
    assert world.target(SET_ASIDE) == []


def test_two_workers_do_not_set_aside_more_than_may_be(world: World) -> None:
    """Two chunks of three bad rows each, of which four may be set aside: both are at their end, neither committed."""
    world.source(SOURCE % 20)
    world.target(f"{TARGET} ALTER TABLE thing ADD CONSTRAINT wholesome CHECK (number % 10 NOT IN (1, 2, 3))")
    world.define(QUARANTINE.replace("max_quarantined: 20", "max_quarantined: 4"))
    with psycopg.connect(world.pair.target, autocommit=True) as conn:
        ledger.install(conn)
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with closed_gate(world.pair.target, "migrator.ledger", "NEW.phase = 'copy'") as gate:
        run = world.start()
        run.tables.update(chunk_rows=10)
        with meanwhile(lambda: work(run, "one")), meanwhile(lambda: work(run, "two")):
            wait_for(lambda: world.target(waiting) == [(2,)])
            gate.open()
    assert fresh(run).status == "failed"
    assert fresh(run).error.startswith("more than 4 rows cannot be migrated; the last: item: source row")
    assert world.target("SELECT count(*) FROM migrator.quarantine") == [(3,)]
    assert world.rolled_back(run).status == "rolled_back"


def test_a_repair_names_the_row_that_the_target_does_not_take(world: World) -> None:
    """on_error: stop fails at it; quarantine leaves it as it is, repairs the others, and reports that it differs."""
    world.source(SOURCE % 20)
    world.target(f"{TARGET} ALTER TABLE thing ADD CONSTRAINT wholesome CHECK (label <> 'POISON')")
    for mapping, status in ((MAPPING, "failed"), (QUARANTINE, "mismatch")):
        world.define(mapping)
        world.source("UPDATE item SET label = 'item ' || id")
        run = world.started()
        world.source("UPDATE item SET label = CASE id WHEN 7 THEN 'poison' ELSE 'new' END WHERE id < 10")
        runs.verify(fresh(run), None)
        assert work(run).status == "mismatch"
        runs.repair(fresh(run), None)
        assert work(run).status == status
        if status == "failed":
            assert fresh(run).error.startswith("item: source row 7, column label, new row for relation")
        else:
            assert (run.tables.get().different, run.tables.get().quarantined) == (1, 0)
            assert world.target("SELECT count(*) FROM thing WHERE label = 'NEW'") == [(8,)]
        assert world.rolled_back(run).status == "rolled_back"
