"""Verification after the fact: what someone changed, took or added since is found, and a retry mends what lacks."""

from __future__ import annotations

from typing import Any

import pytest

from jobs import actions
from jobs.models import Run
from tests.journeys.world import World, fresh, work


def verified_again(world: World, run: Run) -> dict[str, Any]:
    """The orders' part of the report of a new verification that finds a difference."""
    actions.verify(fresh(run), None)
    assert work(run).status == "mismatch"
    report = run.reports.first()
    assert report is not None
    assert not report.passed
    (orders,) = (table for table in report.tables if table["name"] == "orders")
    return orders


def test_a_changed_value_is_shown_with_what_was_expected(shop: World) -> None:
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


def test_a_lost_row_is_missing_and_a_retry_brings_it(shop: World) -> None:
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


def test_a_row_lacking_in_the_map_is_found(shop: World) -> None:
    run = shop.started()
    shop.target("DELETE FROM migrator.migration_map WHERE table_name = 'orders' AND source_key = '7'")
    assert not all(check["passed"] for check in verified_again(shop, run)["checks"])


def test_what_was_mended_is_verified_again(shop: World) -> None:
    run = shop.started()
    shop.target("UPDATE crm.sale SET total = 0.01 WHERE source_table_id = 7")
    verified_again(shop, run)
    shop.target("UPDATE crm.sale SET total = 8.75 WHERE source_table_id = 7")
    actions.verify(fresh(run), None)
    assert work(run).status == "verified"


@pytest.mark.parametrize("again", ["lost in the target", "new at the source"])
def test_a_retry_after_a_mismatch_copies_what_lacks(shop: World, again: str) -> None:
    run = shop.started()
    if again == "new at the source":
        shop.source("INSERT INTO legacy.orders VALUES (777, 1, 7, NULL)")
    else:
        shop.target(
            "DELETE FROM crm.sale WHERE source_table_id = 7;"
            "DELETE FROM migrator.migration_map WHERE table_name = 'orders' AND source_key = '7'"
        )
    assert verified_again(shop, run)["missing"] == 1
    actions.retry(fresh(run), None)
    assert work(run).status == "verified"
    assert shop.complaints() == []
