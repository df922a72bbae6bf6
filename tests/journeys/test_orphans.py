"""A worker killed while it sets rows aside after the copy: all of them go, or none, and each is counted once."""

from __future__ import annotations

import pytest
from django.db import connections, transaction

from jobs.models import Chunk
from tests.journeys.gate import closed_gate, meanwhile, wait_for
from tests.journeys.processes import Processes, ended, horse_of, is_running, kill
from tests.journeys.world import NewWorld, World, fresh, work

SOURCE = """
CREATE TABLE emp (id int PRIMARY KEY, name text, boss int);
INSERT INTO emp VALUES (1, 'a', NULL), (2, 'BAD', 1), (3, 'c', 2), (4, 'd', 3), (5, 'e', 1);
CREATE TABLE desk (id int PRIMARY KEY, emp int);
INSERT INTO desk VALUES (1, 4), (2, 5);
"""
TARGET = """
CREATE TABLE staff (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text CHECK (name <> 'BAD'),
  boss bigint REFERENCES staff);
CREATE TABLE place (id int PRIMARY KEY, staff bigint NOT NULL REFERENCES staff);
"""
MAPPING = """
version: 1
name: orphans
on_error: quarantine
tables:
  - {source: emp, target: staff, columns: {name: name, boss: {from: boss, ref: emp}}}
  - {source: desk, target: place, columns: {id: id, staff: {from: emp, ref: emp}}}
"""


def company(world: World) -> World:
    """Five people, of whom two have to be set aside with the desk of one, because somebody above them cannot come."""
    world.source(SOURCE)
    world.target(TARGET)
    world.define(MAPPING)
    return world


def is_done(world: World, run_id: int) -> None:
    """What came and what was set aside, by the tables, the ledger and the run."""
    assert world.target("SELECT name FROM staff ORDER BY 1") == [("a",), ("e",)]
    assert world.target("SELECT id FROM place") == [(2,)]
    assert world.target("SELECT table_name, source_key FROM migrator.quarantine ORDER BY 1, 2") == [
        ("desk", "1"), ("emp", "2"), ("emp", "3"), ("emp", "4"),
    ]  # fmt: skip
    sums = "SELECT table_name, sum(inserted), sum(quarantined) FROM migrator.ledger"
    assert world.target(f"{sums} WHERE run = {run_id} GROUP BY 1 ORDER BY 1") == [
        ("desk", 1, 1),
        ("emp", 2, 3),
    ]


def test_a_work_horse_killed_while_rows_are_taken_away(world: World, processes: Processes) -> None:
    company(world)
    worker = processes.worker()
    processes.sweeper()
    with closed_gate(world.pair.target, "staff", "OLD.name = 'd'", event="DELETE") as gate:
        run = world.start()
        gate.wait_for_somebody()
        kill(horse_of(worker))
    assert ended(run) == "verified"
    is_done(world, run.pk)
    counts = {table.name: (table.inserted, table.quarantined) for table in fresh(run).tables.all()}
    assert counts == {"emp": (2, 3), "desk": (1, 1)}
    assert Chunk.objects.get(table__run=run, phase="prune").attempts == 2
    assert world.rolled_back(run).status == "rolled_back"
    assert world.target("SELECT (SELECT count(*) FROM staff) + (SELECT count(*) FROM place)") == [(0,)]


@pytest.mark.faults
def test_a_work_horse_killed_just_after_the_commit(new_world: NewWorld, processes: Processes) -> None:
    world = company(new_world("two"))
    worker = processes.worker()
    processes.sweeper()
    with closed_gate(world.pair.target, "staff", "OLD.name = 'd'", event="DELETE") as gate:
        run = world.start()
        gate.wait_for_somebody()
        horse = horse_of(worker)
        with transaction.atomic():  # the horse cannot note the end of its chunk
            Chunk.objects.select_for_update().get(table__run=run, phase="prune")
            gate.open()
            wait_for(lambda: world.target("SELECT 1 FROM migrator.quarantine WHERE source_key = '4'"))
            kill(horse)
            wait_for(lambda: not is_running(horse))
    connections.close_all()
    assert ended(run) == "verified"
    is_done(world, run.pk)
    counts = {table.name: (table.inserted, table.quarantined) for table in fresh(run).tables.all()}
    assert counts == {"emp": (2, 3), "desk": (1, 1)}


def test_a_parent_that_came_too_late_and_is_bad(world: World) -> None:
    """Its child waits for it, until it is known that it cannot come; what was copied below the child follows."""
    company(world)
    world.source("UPDATE emp SET name = 'b' WHERE id = 2; INSERT INTO desk VALUES (3, 1)")
    with closed_gate(world.pair.target, "place", "NEW.id = 1") as gate:
        run = world.start()
        with meanwhile(lambda: work(run)):
            gate.wait_for_somebody()
            world.source("INSERT INTO emp VALUES (0, 'BAD', 1); UPDATE emp SET boss = 0 WHERE id = 2")
            gate.open()
    assert (fresh(run).status, fresh(run).error) == ("verified", "")
    assert world.target("SELECT name FROM staff ORDER BY 1") == [("a",), ("e",)]
    assert world.target("SELECT id FROM place ORDER BY 1") == [(2,), (3,)]
    assert world.target("SELECT table_name, source_key FROM migrator.quarantine ORDER BY 1, 2") == [
        ("desk", "1"), ("emp", "0"), ("emp", "2"), ("emp", "3"), ("emp", "4"),
    ]  # fmt: skip
    assert {table.name: (table.inserted, table.quarantined) for table in fresh(run).tables.all()} == {
        "emp": (2, 4), "desk": (2, 1),
    }  # fmt: skip
