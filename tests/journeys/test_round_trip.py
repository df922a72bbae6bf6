"""The whole way, in one and in two databases: start, verify, roll back, start again; twice in a row; by the ring."""

from __future__ import annotations

import pytest
from django.db import connection
from redis import Redis
from rq import SimpleWorker
from rq.serializers import JSONSerializer

from jobs.actions import runs
from jobs.processes import doorbell, seats
from jobs.workers import tasks
from mappings.problems import Refused
from tests.journeys.conftest import ONE_LAYOUT
from tests.journeys.world import World, counts, fresh, said
from tests.made_runs import make_seat


def test_a_started_run_is_verified_and_nothing_is_lost_doubled_or_touched(shop: World) -> None:
    before = shop.target("SELECT id, full_name, email FROM crm.client")
    run = shop.started()
    assert run.status == "verified"
    assert counts(run) == {"customer": (48, 48), "orders": (200, 200)}
    assert shop.complaints() == []
    assert shop.target("SELECT id, full_name, email FROM crm.client WHERE NOT is_migrated") == before


def test_the_report_says_what_was_checked(shop: World) -> None:
    report = shop.started().reports.get()
    assert report.passed
    names = ("name", "source_rows", "inserted", "target_before", "target_after", "is_migrated", "map_rows")
    assert [tuple(table[name] for name in names) for table in report.tables] == [
        ("customer", 48, 48, 1, 49, 48, 48),
        ("orders", 200, 200, 1, 201, 200, 200),
    ]
    assert all(check["passed"] for table in report.tables for check in table["checks"])


def test_a_rollback_leaves_all_as_before_and_can_be_started_again(shop: World) -> None:
    everything = "SELECT 'client', c::text FROM crm.client c UNION ALL SELECT 'sale', s::text FROM crm.sale s"
    shape, rows = shop.shape(), shop.target(everything)
    run = shop.started()
    assert shop.shape() != shape
    assert shop.rolled_back(run).status == "rolled_back"
    assert (shop.shape(), shop.target(everything)) == (shape, rows)
    for table in ("migration_map", "ledger", "before_image", "quarantine"):
        assert shop.target(f"SELECT count(*) FROM migrator.{table}") == [(0,)], table
    assert shop.target("SELECT count(*) FROM migrator.schema_step WHERE undone_at IS NULL") == [(0,)]
    again = shop.started()
    assert again.status == "verified"
    assert counts(again) == {"customer": (48, 48), "orders": (200, 200)}
    assert shop.complaints() == []


def test_a_catch_up_brings_only_what_is_new_and_its_rollback_takes_only_that(shop: World) -> None:
    shop.started()
    shop.source("INSERT INTO legacy.orders SELECT n, 1, n, NULL FROM generate_series(901, 903) n")
    second = shop.started()
    assert (second.status, counts(second)["orders"]) == ("verified", (3, 203))
    assert shop.complaints() == []
    assert shop.rolled_back(second).status == "rolled_back"
    shop.source("DELETE FROM legacy.orders WHERE id > 900")
    assert shop.complaints() == []


def test_a_second_run_inserts_nothing_and_the_schema_goes_with_the_last_that_leaves(shop: World) -> None:
    shape = shop.shape()
    first, second = shop.started(), shop.started()
    assert second.status == "verified"
    assert counts(second) == {"customer": (0, 48), "orders": (0, 200)}
    assert shop.complaints() == []
    migrated = shop.shape()
    shop.rolled_back(second)
    assert shop.shape() == migrated
    shop.rolled_back(first)
    assert shop.shape() == shape


@ONE_LAYOUT
def test_a_rollback_may_keep_the_schema(shop: World) -> None:
    run = shop.started()
    migrated = shop.shape()
    runs.roll_back(run, None, keep_schema=True)
    tasks.ring(run.pk)
    assert (fresh(run).status, shop.shape()) == ("rolled_back", migrated)
    assert shop.target("SELECT count(*) FROM crm.sale") == [(1,)]


@ONE_LAYOUT
def test_rings_alone_carry_a_run_from_start_to_verified(shop: World, empty_redis: Redis) -> None:
    make_seat("one")
    run = shop.start()
    queue = doorbell.queue_at(seats.queue_name("one"), empty_redis)
    assert len(queue) == 1
    SimpleWorker([queue], connection=empty_redis, serializer=JSONSerializer).work(
        burst=True, logging_level="WARNING"
    )
    assert fresh(run).status == "verified"
    assert shop.complaints() == []


@ONE_LAYOUT
def test_every_move_is_recorded_with_its_reason(shop: World) -> None:
    assert said(shop.started()) == [
        "The run was started.",
        "A worker took the run up.",
        "The target is prepared.",
        "Every chunk is copied and linked.",
        "Verification found no difference.",
    ]


@ONE_LAYOUT
def test_a_revision_altered_behind_the_plan_is_refused(shop: World) -> None:
    run = shop.start()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE mappings_revision DISABLE TRIGGER USER")
        cursor.execute(
            "UPDATE mappings_revision SET canonical = replace(canonical, 'legacy.orders', 'legacy.others')"
        )
        cursor.execute("ALTER TABLE mappings_revision ENABLE TRIGGER USER")
    tasks.ring(run.pk)
    assert fresh(run).status == "failed"
    assert "was altered after it was frozen" in fresh(run).error
    assert shop.target("SELECT count(*) FROM crm.sale") == [(1,)]


@ONE_LAYOUT
def test_a_blocked_plan_starts_nothing(shop: World) -> None:
    shop.target(
        "ALTER TABLE crm.sale ADD COLUMN must integer NOT NULL DEFAULT 1; ALTER TABLE crm.sale ALTER must DROP DEFAULT"
    )
    with pytest.raises(Refused, match=r"crm\.sale\.must is NOT NULL"):
        shop.start()
    assert shop.mapping.runs.count() == 0
