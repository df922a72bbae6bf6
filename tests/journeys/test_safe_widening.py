"""A run that widens the safe way: paused or killed while rows are filled, it goes on from there, and back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client

from jobs.actions import runs
from jobs.engine.schema import shadow_fill
from jobs.models import Review, Run, StepRun
from tests.journeys.gate import wait_for
from tests.journeys.processes import Processes, ended, horse_of, kill
from tests.journeys.world import NewWorld, World, fresh, work

MAPPING = """
version: 1
name: grown
tables:
  - {source: public.item, target: public.thing, columns: {v: v}}
"""
SHADOWS = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'thing'::regclass AND attname LIKE 'v_shadow_%'"
SLOW = """
CREATE TABLE nap AS SELECT 0.0 AS seconds;
CREATE FUNCTION nap() RETURNS boolean LANGUAGE plpgsql AS
'BEGIN PERFORM pg_sleep(n.seconds) FROM public.nap AS n; RETURN true; END';
ALTER TABLE thing ADD CHECK (nap()); UPDATE nap SET seconds = 0.01;
"""


@pytest.fixture
def grown(new_world: NewWorld) -> World:
    """A target whose column is too small, with rows in it."""
    made = new_world("two")
    made.source("CREATE TABLE item (id int PRIMARY KEY, v bigint); INSERT INTO item VALUES (1, 3000000000)")
    made.target(
        "CREATE TABLE thing (id serial PRIMARY KEY, v int NOT NULL UNIQUE);"
        "INSERT INTO thing (v) SELECT generate_series(1, 200)"
    )
    made.define(MAPPING)
    made.safe = True
    return made


AT_FILL = """CREATE FUNCTION at_fill() RETURNS event_trigger LANGUAGE plpgsql AS
'BEGIN IF tg_tag = ''CREATE INDEX'' AND EXISTS (SELECT FROM pg_event_trigger_ddl_commands()
 WHERE schema_name <> ''migrator'') THEN RAISE EXCEPTION ''no index today''; END IF; END';"""


def is_filling(run: Run) -> bool:
    return StepRun.objects.filter(run=run, state="running", title__contains="fill it").exists()


def test_a_pause_is_heard_while_rows_are_filled(grown: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow_fill, "CALL_SECONDS", 0)
    grown.target(SLOW)
    before, run = grown.shape(), grown.start()

    def pause() -> None:
        wait_for(lambda: is_filling(run))
        runs.pause(fresh(run), None)
        connection.close()
        grown.target("UPDATE nap SET seconds = 0")

    with ThreadPoolExecutor() as pool:
        pausing = pool.submit(pause)
        assert work(run).status == "paused"
        pausing.result()
    states = list(run.steps.values_list("state", flat=True).order_by("position"))
    assert states[:3] == ["done", "running", "waiting"]
    assert grown.target(SHADOWS) == [(1,)]
    runs.resume(fresh(run), None)
    assert work(run).status == "verified"
    assert grown.target("SELECT max(v), count(*) FROM thing") == [(3000000000, 201)]
    assert grown.rolled_back(run).status == "rolled_back"
    assert sorted(grown.shape()) == sorted(before)


def test_page_and_commands_plan_and_start_it(
    grown: World, admin_client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    review = f"/mappings/{grown.mapping.name}/review/"
    page = admin_client.get(review, {"env": "local"}).content.decode()
    assert "data-asks>" in page and "swap the new column in" not in page
    page = admin_client.get(review, {"env": "local", "safe": "1"}).content.decode()
    assert "data-asks checked>" in page and "swap the new column in" in page
    assert '<input type="hidden" name="safe" value="1">' in page
    call_command("mapping", "plan", "grown", env="local")
    plain = capsys.readouterr().out
    call_command("mapping", "plan", "grown", "--env", "local", "--safe-widening")
    assert "swap the new column in" not in plain and "swap the new column in" in capsys.readouterr().out
    made = Review.objects.get(safe=True)
    asked = {"env": "local", "safe": "1", "format": "sql"}
    downloaded = admin_client.get(f"/mappings/{grown.mapping.name}/plan/", asked).content.decode()
    assert "swap the new column in" in downloaded
    start = f"/mappings/{grown.mapping.name}/start/"
    admin_client.post(start, {"env": "local", "safe": "1", "review": made.pk})
    run = Run.objects.get()
    runs.cancel(run, None)
    call_command("run", "start", "grown", "--env", "local", "--safe-widening")
    for one in Run.objects.all():
        assert one.steps.filter(title__endswith="swap the new column in").exists()


def test_what_was_begun_and_failed_is_rolled_back(grown: World) -> None:
    before, run = grown.shape(), grown.start()
    grown.target(f"{AT_FILL} CREATE EVENT TRIGGER at_fill ON ddl_command_end EXECUTE FUNCTION at_fill()")
    assert work(run).status == "failed"
    grown.target("DROP EVENT TRIGGER at_fill")
    assert grown.target(SHADOWS) == [(1,)]
    assert grown.rolled_back(run).status == "rolled_back"
    assert grown.shape() == before


@pytest.mark.faults
def test_a_worker_killed_while_rows_are_filled(grown: World, processes: Processes) -> None:
    worker = processes.worker()
    processes.sweeper()
    grown.target(SLOW)
    run = grown.start()
    wait_for(lambda: is_filling(run))
    kill(horse_of(worker))
    assert grown.target(SHADOWS) == [(1,)]
    grown.target("DELETE FROM nap")
    assert ended(run) == "verified"
    assert grown.target("SELECT max(v), count(*) FROM thing") == [(3000000000, 201)]
