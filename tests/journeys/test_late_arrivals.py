"""Rows born, moved, changed or deleted in the source while the copy runs: each is copied or reported, none twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from jobs.actions import runs
from jobs.actions.rollbacks import Against
from jobs.models import Run
from mappings.problems import Refused
from tests.journeys import shop as shops
from tests.journeys.acceptance import Promise
from tests.journeys.conftest import ONE_LAYOUT
from tests.journeys.gate import closed_gate, meanwhile
from tests.journeys.shop import half_copied
from tests.journeys.stock import mapping_of, open_stock
from tests.journeys.world import NewWorld, World, counts, fresh, said, work

CAME_TOO_LATE = "Rows came too late for their chunk and are copied now"


def found(run: Run) -> dict[str, tuple[int, int, int]]:
    """(missing, extra, different) of each table that is not in order."""
    tables = {table.name: (table.missing, table.extra, table.different) for table in run.tables.all()}
    return {name: wrong for name, wrong in tables.items() if any(wrong)}


def sweeps(run: Run) -> int:
    return sum(text.startswith(CAME_TOO_LATE) for text in said(run))


BIRTHS = """
INSERT INTO legacy.customer VALUES (5, 'late 5', NULL, NULL, false), (-5, 'late -5', NULL, 5, false);
INSERT INTO legacy.customer VALUES (70, 'late 70', NULL, NULL, false);
UPDATE legacy.customer SET sent_by = 70 WHERE id = 31;
INSERT INTO legacy.orders VALUES (0, 5, 1, NULL), (-7, -5, 2, '2025-01-01'), (900, 70, 3, NULL), (901, 5, 4, NULL);
UPDATE legacy.orders SET customer = 5 WHERE id IN (150, 151);
UPDATE legacy.orders SET customer = 70 WHERE id = 152;
"""
"""Keys below, between and above what is copied by then; and rows not copied by then that refer to those."""

MOVES = """
UPDATE legacy.orders SET id = -60 WHERE id = 60;
UPDATE legacy.orders SET id = 1060 WHERE id = 61;
UPDATE legacy.orders SET id = 62000 WHERE id = 199;
"""
"""Rows not copied by then change their key: to one that was passed, and to one beyond the end."""


def test_rows_born_anywhere_are_brought_with_those_that_refer_to_them(shop: World) -> None:
    with half_copied(shop) as run:
        shop.source(BIRTHS)
    run = fresh(run)
    assert (run.status, run.error, found(run)) == ("verified", "", {})
    assert sweeps(run) >= 1
    assert shop.complaints() == []
    assert counts(run)["orders"] == (204, 204)


def test_rows_that_change_their_key_before_they_are_copied(shop: World) -> None:
    with half_copied(shop) as run:
        shop.source(MOVES)
    run = fresh(run)
    assert (run.status, found(run)) == ("verified", {})
    assert counts(run)["orders"] == (200, 200)
    assert shop.complaints() == []


def test_what_a_sweep_brought_goes_with_the_rollback(shop: World) -> None:
    shape = shop.shape()
    with half_copied(shop) as run:
        shop.source(BIRTHS + MOVES)
    assert fresh(run).status == "verified"
    assert shop.rolled_back(run).status == "rolled_back"
    assert shop.target("SELECT count(*) FROM crm.sale") == [(1,)]
    assert shop.target("SELECT count(*) FROM crm.client") == [(1,)]
    assert shop.shape() == shape


def test_changed_and_vanished_rows_are_reported_and_nothing_is_there_twice(shop: World) -> None:
    with half_copied(shop) as run:
        shop.source(
            BIRTHS + MOVES + "UPDATE legacy.orders SET total = 7000 WHERE id IN (3, 4);"
            "DELETE FROM legacy.orders WHERE id = 10; UPDATE legacy.orders SET id = 3000 WHERE id = 11;"
            "DELETE FROM legacy.orders WHERE id = 140; UPDATE legacy.customer SET name = 'other' WHERE id = 7;"
        )
    run = fresh(run)
    assert run.status == "mismatch"
    assert found(run) == {"orders": (0, 2, 2), "customer": (0, 0, 1)}
    assert shop.target("SELECT source_table_id FROM crm.sale GROUP BY 1 HAVING count(*) > 1") == []
    runs.repair(run, None)
    run = work(run)
    assert found(run) == {"orders": (0, 2, 0)}
    assert {"orders: 2 rows were repaired.", "customer: 1 rows were repaired."} <= set(said(run))
    shop.target("DELETE FROM crm.sale WHERE source_table_id IN (10, 11)")
    shop.target(
        "DELETE FROM migrator.migration_map WHERE table_name = 'orders' AND source_key IN ('10', '11')"
    )
    assert shop.complaints() == []


# ---- keys without an order of birth

RANDOM_KEYS = """
DROP TABLE item;
CREATE TABLE item (id {type} PRIMARY KEY, number integer NOT NULL, label text);
INSERT INTO item SELECT md5(n::text)::uuid::{type}, n, 'item ' || n FROM generate_series(1, 400) n;
"""
BORN = "INSERT INTO item SELECT md5(n::text)::uuid::{type}, n, 'item ' || n FROM generate_series(401, 460) n;"


@contextmanager
def caught_between(stock: World, event: str) -> Iterator[Run]:
    """A run of several chunks that waits in one of the first; it goes on, and has ended, after the block."""
    with closed_gate(stock.pair.target, "thing", event) as gate:
        run = stock.start()
        run.tables.update(chunk_rows=100)
        with meanwhile(lambda: work(run)):
            gate.wait_for_somebody()
            try:
                yield run
            finally:
                gate.open()


@pytest.mark.parametrize(("world", "type_", "mapping"), [
    ("one", "uuid", "source id"), ("one", "text", "map only"), ("one", "uuid", "no map"),
    ("two", "text", "source id"), ("two", "uuid", "map only"), ("two", "text", "no map"),
], indirect=["world"])  # fmt: skip
def test_keys_that_fall_anywhere(world: World, type_: str, mapping: str) -> None:
    link = {"source id": "{}", "map only": "{source_id: false}", "no map": "{map: false}"}[mapping]
    stock = open_stock(world, mapping_of(f"link: {link},"), rows=1)
    stock.source(RANDOM_KEYS.format(type=type_))
    promise = Promise(
        "stock",
        "item",
        "SELECT id::text, number, upper(label) FROM item",
        "SELECT md5(number::text)::uuid::text, id::text, number, label FROM thing",
        has_map=mapping != "no map",
    )
    stock.promises = (promise,)
    # Of the third hundred by key: about half of what is born then falls into ranges that were passed.
    third = stock.source("SELECT number FROM item ORDER BY id OFFSET 250 LIMIT 1")[0][0]
    with caught_between(stock, f"NEW.number = {third}") as run:
        stock.source(BORN.format(type=type_))
    run = fresh(run)
    assert (run.status, found(run)) == ("verified", {})
    assert sweeps(run) == 1
    assert stock.complaints() == []
    stock.source(BORN.format(type=type_).replace("401, 460", "461, 500"))
    second = stock.started()  # a catch-up brings what is new, wherever its key falls, and nothing twice
    assert (second.status, second.tables.get().inserted) == ("verified", 40)
    assert stock.complaints() == []
    assert stock.rolled_back(second).status == "rolled_back"
    assert stock.target("SELECT count(*) FROM thing") == [(460,)]


# ---- limits

BEARS_LOWER_ORDERS = """
CREATE FUNCTION crm.bear() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO legacy.orders SELECT min(id) - 1, min(customer), 7, '2025-01-01' FROM legacy.orders;
  RETURN NULL;
END $$;
CREATE TRIGGER bear AFTER INSERT ON crm.sale FOR EACH STATEMENT EXECUTE FUNCTION crm.bear();
"""


def test_a_source_that_never_rests_is_reported_in_the_end(new_world: NewWorld) -> None:
    shop = shops.open_shop(new_world("one"))
    shop.target(BEARS_LOWER_ORDERS)
    run = shop.started()
    assert (run.status, sweeps(run)) == ("mismatch", 5)
    assert found(run) == {"orders": (1, 0, 0)}
    shop.target("DROP TRIGGER bear ON crm.sale")
    runs.repair(run, None)
    assert work(run).status == "verified"
    assert shop.complaints() == []


@ONE_LAYOUT
def test_what_cannot_be_brought_is_tried_once(world: World) -> None:
    stock = open_stock(world, rows=20)
    stock.target(
        "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        "CREATE TRIGGER swallow BEFORE INSERT ON thing FOR EACH ROW WHEN (NEW.number = 7) EXECUTE FUNCTION swallow()"
    )
    run = stock.started()
    assert (run.status, sweeps(run), found(run)) == ("mismatch", 1, {"item": (1, 0, 0)})


@ONE_LAYOUT
def test_a_parent_that_is_not_there_at_all_still_stops_the_run(shop: World) -> None:
    with half_copied(shop) as run:
        shop.source("UPDATE legacy.orders SET customer = 10 WHERE id = 150")  # 10 is gone: it is not meant
    assert fresh(run).status == "failed"
    assert "the customer row 10 was not migrated" in fresh(run).error


# ---- repair

MERGE = mapping_of("existing: {match: [number], then: update},")


def test_a_repair_of_updated_rows_is_undone_with_the_rest(world: World) -> None:
    stock = open_stock(world, MERGE, rows=20)
    stock.target("INSERT INTO thing (number, label) VALUES (3, 'mine'), (99, 'other')")
    before = stock.target("SELECT number, label FROM thing ORDER BY 1")
    run = stock.started()
    assert run.status == "verified"
    stock.source("UPDATE item SET label = 'new' WHERE id IN (3, 4); INSERT INTO item VALUES (0, 30, 'late')")
    runs.verify(fresh(run), None)
    assert (work(run).status, found(fresh(run))) == ("mismatch", {"item": (1, 0, 2)})
    runs.repair(fresh(run), None)
    assert (work(run).status, found(fresh(run))) == ("verified", {})
    assert stock.target("SELECT label FROM thing WHERE number IN (3, 4, 30, 99) ORDER BY number") == [
        ("NEW",), ("NEW",), ("LATE",), ("other",),
    ]  # fmt: skip
    assert runs.rollback_against(fresh(run)) == Against()
    assert stock.rolled_back(run).status == "rolled_back"
    assert stock.target("SELECT number, label FROM thing ORDER BY 1") == before


@pytest.mark.parametrize("link", ["{}", "{source_id: false}", "{map: false}"])
def test_a_repair_leaves_the_rows_of_other_runs_alone(world: World, link: str) -> None:
    stock = open_stock(world, mapping_of(f"link: {link},"), rows=20)
    first = stock.started()
    stock.source("INSERT INTO item SELECT n, n, 'second' FROM generate_series(21, 30) n")
    second = stock.started()
    assert (first.status, second.status) == ("verified", "verified")
    stock.source("UPDATE item SET label = 'changed' WHERE id IN (5, 25)")
    for run, left in ((second, 1), (first, 0)):
        runs.verify(fresh(run), None)
        assert work(run).status == "mismatch"
        runs.repair(fresh(run), None)
        assert sum(table.different for table in work(run).tables.all()) == left
    assert stock.target("SELECT count(*) FROM thing WHERE label = 'CHANGED'") == [(2,)]
    assert stock.rolled_back(second).status == "rolled_back"
    assert stock.target("SELECT count(*) FROM thing") == [(20,)]


def test_a_deferred_reference_is_repaired(shop: World) -> None:
    run = shop.started()
    shop.source("UPDATE legacy.customer SET sent_by = 7 WHERE id = 3")
    runs.verify(fresh(run), None)
    assert work(run).status == "mismatch"
    runs.repair(fresh(run), None)
    assert work(run).status == "verified"
    assert shop.complaints() == []


@ONE_LAYOUT
def test_there_is_nothing_to_repair_where_rows_are_only_extra(shop: World) -> None:
    run = shop.started()
    shop.source("DELETE FROM legacy.orders WHERE id = 7")
    runs.verify(fresh(run), None)
    assert work(run).status == "mismatch"
    with pytest.raises(Refused, match="reported, never deleted"):
        runs.repair(fresh(run), None)
    with pytest.raises(Refused, match="not mismatch"):
        runs.repair(shops_verified(shop, run), None)


def shops_verified(shop: World, run: Run) -> Run:
    """The run, verified again after the row is back."""
    customer = "SELECT id FROM legacy.customer WHERE NOT gone ORDER BY id OFFSET 7 LIMIT 1"
    shop.source(f"INSERT INTO legacy.orders SELECT 7, ({customer}), 8.75, date '2024-02-28' + 7")
    runs.verify(fresh(run), None)
    return work(run)
