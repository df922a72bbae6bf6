"""Source rows that are born while the copy runs: taken in at the end, or left to the next run; never twice."""

from __future__ import annotations

import pytest

from tests.journeys import shop as shops
from tests.journeys.world import NewWorld, World, counts

BEARS_ORDERS = """
CREATE FUNCTION crm.bear() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO legacy.orders
  SELECT max(id) + 1, min(customer), 7, '2025-01-01' FROM legacy.orders HAVING max(id) < {last};
  RETURN NULL;
END $$;
CREATE TRIGGER bear AFTER INSERT ON crm.sale FOR EACH STATEMENT EXECUTE FUNCTION crm.bear();
"""


@pytest.fixture
def busy_shop(new_world: NewWorld) -> World:
    """One database, in which each chunk of sales gives birth to one more order in the source."""
    return shops.open_shop(new_world("one"))


def test_rows_born_beyond_the_end_are_taken_in_before_the_comparison(busy_shop: World) -> None:
    busy_shop.target(BEARS_ORDERS.format(last=203))
    run = busy_shop.started()
    assert run.status == "verified"
    assert counts(run)["orders"] == (203, 203)
    assert run.tables.get(name="orders").sweeps == 3
    assert busy_shop.complaints() == []


def test_a_source_that_never_rests_leaves_the_rest_to_the_next_run(busy_shop: World) -> None:
    busy_shop.target(BEARS_ORDERS.format(last=10_000))
    run = busy_shop.started()
    assert run.status == "verified"
    assert counts(run)["orders"] == (205, 205)
    assert busy_shop.source("SELECT max(id) FROM legacy.orders") == [(206,)]


def test_a_second_run_brings_what_is_new_and_nothing_twice(new_world: NewWorld) -> None:
    world = shops.open_shop(new_world("two"))
    first = world.started()
    world.source("INSERT INTO legacy.orders SELECT 1000 + n, 1, n, '2025-02-02' FROM generate_series(1, 5) n")
    second = world.started()
    assert (second.status, counts(second)["orders"][0]) == ("verified", 5)
    assert world.complaints() == []
    assert world.rolled_back(second).status == "rolled_back"
    assert world.target("SELECT count(*) FROM crm.sale WHERE is_migrated") == [(200,)]
    assert world.rolled_back(first).status == "rolled_back"
