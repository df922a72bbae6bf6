"""Rows that the target does not take, among very many and all of them: set aside one by one, up to the limit."""

from __future__ import annotations

import pytest

from jobs.models import Run
from tests.journeys.acceptance import Promise
from tests.journeys.stock import MAPPING, PROMISE, SOURCE, TARGET
from tests.journeys.world import World

QUARANTINE = MAPPING.replace("name: stock", "name: stock\non_error: quarantine\nmax_quarantined: 20")
SET_ASIDE = "SELECT source_key, column_name, sqlstate, message, source_row->>'label' FROM migrator.quarantine"


def ran(world: World, rows: int, poison: str, *promises: Promise) -> Run:
    """A run over a stock whose target refuses some rows."""
    world.source(SOURCE % rows)
    world.target(f"{TARGET} ALTER TABLE thing ADD CONSTRAINT wholesome CHECK (NOT ({poison}))")
    world.define(QUARANTINE, *promises)
    return world.started()


@pytest.mark.faults
def test_one_poison_row_among_very_many(world: World) -> None:
    good = Promise(
        PROMISE.mapping, PROMISE.table, f"{PROMISE.source_rows} WHERE number <> 123456", PROMISE.target_rows
    )
    run = ran(world, 200_000, "number = 123456", good)
    assert run.status == "verified"
    table = run.tables.get()
    assert (table.inserted, table.quarantined) == (199_999, 1)
    ((key, _, sqlstate, message, label),) = world.target(SET_ASIDE)
    assert (key, sqlstate, label) == ("123456", "23514", "item 123456")
    assert "wholesome" in str(message)
    assert world.complaints() == []


def test_all_rows_poison_stop_at_the_limit(world: World) -> None:
    run = ran(world, 3_000, "number > 0")
    assert run.status == "failed"
    assert "20" in run.error
    assert world.target("SELECT count(*) FROM thing") == [(0,)]
    assert world.rolled_back(run).status == "rolled_back"
    assert world.target(SET_ASIDE) == []
