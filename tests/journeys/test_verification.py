"""Verification after the fact: what someone changed, took or added since is found, and a retry mends what lacks."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import LazySettings

from jobs.actions import repairs, runs
from jobs.models import Run
from jobs.reporting import differences
from jobs.reporting.differences import Difference, Filters
from jobs.reporting.summary import summary
from mappings.problems import Refused
from tests.journeys.conftest import ONE_LAYOUT
from tests.journeys.stock import MAP_ONLY, open_stock
from tests.journeys.world import World, counts, fresh, said, work


def verified_again(world: World, run: Run) -> dict[str, Any]:
    """The orders' part of the report of a new verification that finds a difference."""
    runs.verify(fresh(run), None)
    assert work(run).status == "mismatch"
    report = run.reports.first()
    assert report is not None
    assert not report.passed
    (orders,) = (table for table in report.tables if table["name"] == "orders")
    return dict(orders)


ALL = Filters()
Kept = tuple[str, str | None, str, str | None, str | None, str]


def kept(run: Run, filters: Filters = ALL, sort: str = "key") -> list[Kept]:
    """(kind, source key, column, expected, found, why) of the differences that the target keeps, read in parts."""
    report = run.reports.first()
    assert report is not None
    found: list[Difference] = []
    with differences.opened(fresh(run), report) as store:
        part = store.part(filters, sort, size=2)
        while part.rows:
            found += part.rows
            part = store.part(filters, sort, size=2, after=found[-1].id)
        assert found == list(store.stream(filters, sort))
    return [(one.kind, one.source_key, one.column, one.expected, one.found, one.why) for one in found]


def test_every_difference_is_kept_by_key_and_column_with_why_until_the_next_verification(shop: World) -> None:
    run = shop.started()
    shop.target("UPDATE crm.sale SET total = 0.01, day = NULL WHERE source_table_id IN (7, 100)")
    shop.target("DELETE FROM crm.sale WHERE source_table_id = 8")
    shop.source("DELETE FROM legacy.orders WHERE id = 9; UPDATE legacy.orders SET total = 99 WHERE id = 10")
    shop.source("INSERT INTO legacy.orders VALUES (0, 1, 7, NULL)")
    orders = verified_again(shop, run)
    changed: list[Kept] = [
        ("different", "7", "total", "8.75", "0.01", "target"),
        ("different", "7", "day", "2024-03-06", None, "target"),
        ("different", "10", "total", "99.00", "12.50", "source"),
        ("different", "100", "total", "125.00", "0.01", "target"),
        ("different", "100", "day", "2024-06-07", None, "target"),
    ]
    missing: list[Kept] = [
        ("missing", "0", "", None, None, "never copied"),
        ("missing", "8", "", None, None, "taken"),
    ]
    extra: list[Kept] = [("extra", "9", "", None, None, "source gone")]
    by_key = [missing[0], *changed[:2], missing[1], *extra, *changed[2:]]
    assert kept(run) == by_key
    assert kept(run, sort="-key") == by_key[::-1]
    assert kept(run, sort="kind") == [*changed, *extra, *missing]
    assert kept(run, Filters(column="day"), "column") == [changed[1], changed[4]]
    assert kept(run, Filters(table="orders", kind="different", key="7")) == changed[:2]
    assert orders["columns"] == [{"column": "total", "different": 3}, {"column": "day", "different": 2}]
    assert (orders["differences"], orders["recorded"]) == (8, 8)
    runs.repair(fresh(run), None)
    assert work(run).status == "mismatch"
    assert kept(run) == extra


@ONE_LAYOUT
def test_no_more_differences_are_kept_than_may_be_and_it_is_said(shop: World, settings: LazySettings) -> None:
    run = shop.started()
    shop.target("UPDATE crm.sale SET total = 0.01, day = NULL")
    settings.DIFFERENCES_KEPT = 30
    orders = verified_again(shop, run)
    assert (orders["different"], orders["differences"], orders["recorded"]) == (200, 400, 30)
    assert len(kept(run)) == 30


def test_a_changed_value_is_shown_with_what_was_expected_until_it_is_mended(shop: World) -> None:
    run = shop.started()
    shop.target("UPDATE crm.sale SET total = 0.01, day = NULL WHERE source_table_id = 7")
    orders = verified_again(shop, run)
    assert (orders["missing"], orders["extra"], orders["different"]) == (0, 0, 1)
    assert orders["samples"] == [
        {
            "kind": "different",
            "key": "7",
            "columns": [
                {"column": "total", "expected": "8.75", "found": "0.01"},
                {"column": "day", "expected": "2024-03-06", "found": None},
            ],
        }
    ]
    shop.target("UPDATE crm.sale SET total = 8.75, day = '2024-03-06' WHERE source_table_id = 7")
    runs.verify(fresh(run), None)
    assert work(run).status == "verified"


def test_a_row_changed_at_the_source_is_different(shop: World) -> None:
    run = shop.started()
    shop.source("UPDATE legacy.orders SET total = 99 WHERE id = 7")
    assert verified_again(shop, run)["samples"] == [
        {
            "kind": "different",
            "key": "7",
            "columns": [{"column": "total", "expected": "99.00", "found": "8.75"}],
        }
    ]


def test_a_lost_row_is_missing(shop: World) -> None:
    run = shop.started()
    shop.target("DELETE FROM crm.sale WHERE source_table_id = 7")
    orders = verified_again(shop, run)
    assert (orders["missing"], orders["samples"]) == (1, [{"kind": "missing", "key": "7", "columns": []}])


def test_a_row_that_left_the_source_is_extra(shop: World) -> None:
    run = shop.started()
    shop.source("DELETE FROM legacy.orders WHERE id = 7")
    orders = verified_again(shop, run)
    assert (orders["extra"], orders["samples"]) == (1, [{"kind": "extra", "key": "7", "columns": []}])


def test_a_doubled_row_is_found(shop: World) -> None:
    run = shop.started()
    shop.target(
        "DROP INDEX crm.sale_source_table_id_key;"
        "INSERT INTO crm.sale (client_id, total, day, source_table_id, is_migrated)"
        " SELECT client_id, total, day, source_table_id, true FROM crm.sale WHERE source_table_id = 7"
    )
    assert not all(check["passed"] for check in verified_again(shop, run)["checks"])


def test_a_lost_flag_is_found(shop: World) -> None:
    run = shop.started()
    shop.target("UPDATE crm.sale SET is_migrated = false WHERE source_table_id = 7")
    assert verified_again(shop, run)["different"] == 1


@ONE_LAYOUT
def test_a_row_lacking_in_the_map_is_found(shop: World) -> None:
    run = shop.started()
    shop.target("DELETE FROM migrator.migration_map WHERE table_name = 'orders' AND source_key = '7'")
    assert not all(check["passed"] for check in verified_again(shop, run)["checks"])


def test_a_retry_copies_what_is_new_at_the_source(shop: World) -> None:
    run = shop.started()
    shop.source("INSERT INTO legacy.orders VALUES (0, 1, 7, NULL)")
    assert verified_again(shop, run)["missing"] == 1
    runs.retry(fresh(run), None)
    assert work(run).status == "verified"
    assert counts(fresh(run))["orders"] == (201, 201)
    assert shop.complaints() == []


def test_a_retry_brings_back_what_was_lost_in_the_target_and_a_rollback_takes_it(shop: World) -> None:
    run = shop.started()
    shop.target("DELETE FROM crm.sale WHERE source_table_id IN (7, 8)")
    assert verified_again(shop, run)["missing"] == 2
    runs.retry(fresh(run), None)
    assert work(run).status == "verified"
    assert counts(fresh(run))["orders"] == (200, 200)
    assert shop.complaints() == []
    assert shop.rolled_back(run).status == "rolled_back"
    assert shop.target("SELECT count(*) FROM crm.sale") == [(1,)]


def test_a_retry_brings_back_lost_rows_where_only_the_map_tells_them_apart(world: World) -> None:
    stock = open_stock(world, MAP_ONLY, rows=50)
    run = stock.started()
    stock.target("DELETE FROM thing WHERE number = 7")
    runs.verify(fresh(run), None)
    assert work(run).status == "mismatch"
    runs.retry(fresh(run), None)
    assert work(run).status == "verified"
    assert stock.complaints() == []


STEPS = "Every schema step stands as the run left it"


def test_a_schema_step_that_someone_undid_is_a_difference(shop: World) -> None:
    first = shop.started()
    shop.source("INSERT INTO legacy.orders VALUES (900, 1, 5, NULL)")
    run = shop.started()
    shop.target("DROP INDEX crm.sale_source_table_id_key")
    for each in (first, run):  # the second applied none of them
        orders = verified_again(shop, each)
        assert [check["detail"] for check in orders["checks"] if not check["passed"]] == [
            "not any more: Build the unique index on crm.sale (source_table_id)"
        ]
        assert [check["title"] for check in orders["checks"] if not check["passed"]] == [STEPS]
    shop.target("CREATE UNIQUE INDEX sale_source_table_id_key ON crm.sale (source_table_id)")
    for half in ("DROP NOT NULL", "DROP DEFAULT"):  # the column is there, and not as it was promised
        shop.target(f"ALTER TABLE crm.sale ALTER is_migrated {half}")
        orders = verified_again(shop, run)
        assert [check["detail"] for check in orders["checks"] if not check["passed"]] == [
            "not any more: Add crm.sale.is_migrated, the flag of migrated rows"
        ]
        shop.target(
            "ALTER TABLE crm.sale ALTER is_migrated SET NOT NULL, ALTER is_migrated SET DEFAULT false"
        )
    runs.verify(fresh(run), None)
    assert work(run).status == "verified"


@ONE_LAYOUT
def test_rows_that_a_trigger_doubles_are_counted_in_words(shop: World) -> None:
    shop.target("""
CREATE FUNCTION crm.double() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF NEW.source_table_id <= 12 THEN INSERT INTO crm.sale (client_id, total) VALUES (NEW.client_id, 0); END IF;
  RETURN NULL; END $$""")
    shop.target("ALTER TABLE crm.sale ADD source_table_id int")
    shop.target("CREATE TRIGGER t AFTER INSERT ON crm.sale FOR EACH ROW EXECUTE FUNCTION crm.double()")
    run = shop.started()
    report = run.reports.first()
    assert report is not None
    (text,) = (
        check["detail"] for check in report.tables[1]["checks"] if check["title"].startswith("The target has")
    )
    assert text == (
        "1 before + 200 inserted = 201, found 213; 12 more than that, which this run did not bring: 12 of them were"
        " written in its own transactions for no source row, as a trigger of the target does"
    )


def test_chosen_rows_are_repaired_and_no_others(shop: World) -> None:
    run = shop.started()
    shop.target("UPDATE crm.sale SET total = 0.01 WHERE source_table_id IN (7, 8, 100)")
    shop.target("DELETE FROM crm.sale WHERE source_table_id IN (9, 10)")
    verified_again(shop, run)
    with pytest.raises(Refused, match="none of the chosen rows is missing or different"):
        repairs.repair_rows(fresh(run), None, Filters(key="11"))
    total = Filters(table="orders", column="total", key="7")
    assert repairs.choose(fresh(run), total).tables == [("orders", 0, 1)]
    repairs.repair_rows(fresh(run), None, total)
    assert work(run).status == "mismatch"
    assert {key for _, key, *_ in kept(run)} == {"8", "9", "10", "100"}
    assert any("1 to overwrite (for example orders 7)" in text for text in said(run))
    report = run.reports.first()
    assert report is not None
    with differences.opened(fresh(run), report) as store:
        ids = [one.id for one in store.stream(ALL) if one.source_key in ("8", "9")]
    repairs.repair_rows(fresh(run), None, ALL, ids)
    assert work(run).status == "mismatch"
    assert {key for _, key, *_ in kept(run)} == {"10", "100"}
    runs.repair(fresh(run), None)
    assert work(run).status == "verified"
    assert shop.complaints() == []


def test_a_chosen_row_is_linked_and_others_are_left_as_they_are(shop: World) -> None:
    run = shop.started()
    gone = "(SELECT id FROM crm.client WHERE source_table_id IN (60, 59))"
    shop.target(f"UPDATE crm.client SET sent_by = NULL WHERE sent_by IN {gone}")
    shop.target(f"DELETE FROM crm.sale WHERE client_id IN {gone}; DELETE FROM crm.client WHERE id IN {gone}")
    shop.target("UPDATE crm.client SET sent_by = NULL WHERE source_table_id = 3")
    runs.verify(fresh(run), None)
    assert work(run).status == "mismatch"
    missing = [key for kind, key, *_ in kept(run, Filters(table="customer")) if kind == "missing"]
    before = {key for _, key, *_ in kept(run)}
    repairs.repair_rows(fresh(run), None, Filters(table="customer", kind="missing", key=str(missing[0])))
    work(run)
    left = {key for _, key, *_ in kept(run, Filters(table="customer"))}
    assert missing[0] not in left
    assert "3" in left, "another row was linked as well"
    assert before >= left


@ONE_LAYOUT
def test_a_verification_by_binary_forms_finds_more_and_goes_on_so_after_a_repair(shop: World) -> None:
    run = shop.started()
    shop.target("ALTER TABLE crm.sale ALTER total TYPE numeric")
    shop.target("UPDATE crm.sale SET total = 8.750 WHERE source_table_id = 7")
    runs.verify(fresh(run), None)
    assert (work(run).status, summary(fresh(run))["equality"]) == ("verified", "equal")
    runs.verify(fresh(run), None, identical=True)
    assert (work(run).status, summary(fresh(run))["equality"]) == ("mismatch", "identical")
    assert kept(run) == [("different", "7", "total", "8.75", "8.750", "target")]
    runs.repair(fresh(run), None)
    assert (work(run).status, summary(fresh(run))["equality"]) == ("verified", "identical")
    report = run.reports.first()
    assert report is not None
    details = [check["detail"] for table in report.tables for check in table["checks"]]
    assert any("identical in every bit of their binary form" in detail for detail in details)
    assert shop.target("SELECT total::text FROM crm.sale WHERE source_table_id = 7") == [("8.75",)]
