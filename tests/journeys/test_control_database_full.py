"""The control database has no room left: it cannot say so itself, yet page, command and whoever follows a run do."""

from __future__ import annotations

import io

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from redis import Redis

from jobs.pages import health
from jobs.processes import control_database, seats
from jobs.reporting import follow
from jobs.workers import tasks
from tests.journeys.world import World, fresh
from tests.made_runs import make_seat

FULL = """
CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE disk_full USING MESSAGE = 'could not extend file: No space left on device';
END
$$;
CREATE TRIGGER no_room BEFORE INSERT OR UPDATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION no_room();
"""
ROOM_AGAIN = "DROP FUNCTION no_room() CASCADE"


@pytest.mark.parametrize("table", ["jobs_seat", "jobs_chunk"])
def test_it_is_named_while_a_run_stands_still(
    shop: World, empty_redis: Redis, admin_client: Client, table: str
) -> None:
    """Found out by a worker's beat, or by its slice; both are tried every few seconds."""
    make_seat("one")
    run = shop.start()
    told, asked = io.StringIO(), io.StringIO()
    with connection.cursor() as cursor:
        cursor.execute(FULL.format(table=table))
    try:
        if table == "jobs_seat":
            seats.Heartbeat("one").beat()
        else:
            tasks.ring(run.pk)
        health.forget()
        page = admin_client.get(f"/runs/{run.pk}/").content.decode()
        call_command("run", "status", str(run.pk), stderr=asked)
        looks = follow._Warnings(told)
        looks._next = 0
        looks.look()
    finally:
        with connection.cursor() as cursor:
            cursor.execute(ROOM_AGAIN)
    for said in (page, asked.getvalue(), told.getvalue()):
        assert "The control database takes no writes: its disk is full" in said
    empty_redis.delete(control_database.KEY)  # as it is 15 s later
    health.forget()
    assert "takes no writes" not in admin_client.get(f"/runs/{run.pk}/").content.decode()
    while fresh(run).status != "verified":
        tasks.ring(run.pk)
