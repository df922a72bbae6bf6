"""Rollback where referring columns have no index: said beforehand, helped for its time, and nothing of it is left."""

from __future__ import annotations

import psycopg
import pytest

from jobs.actions import runs as actions
from mappings.planning.planner import make_plan
from tests.journeys.gate import closed_gate, meanwhile, wait_for
from tests.journeys.world import World, fresh, said, work

ROWS = 15_000
SOURCE = f"""
CREATE TABLE house (id int PRIMARY KEY);
CREATE TABLE flat (id int PRIMARY KEY, house int NOT NULL REFERENCES house);
INSERT INTO house SELECT n FROM generate_series(1, {ROWS}) n;
INSERT INTO flat SELECT n, {ROWS} + 1 - n FROM generate_series(1, {ROWS}) n;
"""
TARGET = """
CREATE TABLE building (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, number int);
CREATE TABLE unit (id bigint GENERATED ALWAYS AS IDENTITY, place bigint NOT NULL REFERENCES building, area int);
CREATE TABLE cellar (unit int, building bigint REFERENCES building) PARTITION BY LIST (unit);
CREATE TABLE cellar_1 PARTITION OF cellar FOR VALUES IN (1);
CREATE TABLE cellar_2 (building bigint, unit int);
ALTER TABLE cellar ATTACH PARTITION cellar_2 FOR VALUES IN (2);
CREATE INDEX ON cellar_1 (building);
CREATE TABLE lift (building bigint REFERENCES building);
CREATE INDEX ON lift (building) WHERE building IS NOT NULL;
INSERT INTO cellar SELECT 2, NULL FROM generate_series(1, 60000);
INSERT INTO lift SELECT NULL FROM generate_series(1, 15000);
"""
MAPPING = """
version: 1
name: houses
tables:
  - {name: house, source: house, target: building, columns: {number: id}}
  - {name: flat, source: flat, target: unit, columns: {place: {from: house, ref: house}, area: id}}
"""
UNINDEXED = ["public.unit (place)", "public.cellar (building)"]
HELPERS = (
    "SELECT indrelid::regclass::text, indisvalid FROM pg_index"
    " WHERE indexrelid::regclass::text LIKE '%migrator_rollback%' ORDER BY 1"
)
BUILDER = (
    "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query ILIKE 'create index concurrently%'"
)


def test_a_rollback_has_helper_indexes_for_its_time_alone(world: World) -> None:
    world.source(SOURCE)
    world.target(TARGET)
    world.define(MAPPING)
    before = world.shape()
    plan = make_plan(world.mapping.revisions.get(), world.environment)
    warned = [str(problem) for problem in plan.warnings if "has no index" in str(problem)]
    assert [next((key for key in UNINDEXED if key in text), text) for text in warned] == UNINDEXED[::-1]
    run = world.started()
    assert run.status == "verified"
    costs = [str(problem) for problem in actions.rollback_costs(run)]
    assert len(costs) == 2 and all("15,000 deleted rows" in text for text in costs)
    actions.roll_back(fresh(run), None)
    with (
        psycopg.connect(world.pair.target) as other,
        closed_gate(world.pair.target, "building", "OLD.number = 77", "DELETE") as gate,
    ):
        other.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        other.execute("SELECT 1")  # a build ends when nobody has so old a view of the table any more
        with meanwhile(lambda: work(run)):
            ((builder,),) = wait_for(lambda: world.target(BUILDER))
            wait_for(lambda: world.target(HELPERS) == [("cellar_2", False)])
            world.target(f"SELECT pg_terminate_backend({builder})")
            wait_for(lambda: not world.target(f"SELECT 1 FROM pg_stat_activity WHERE pid = {builder}"))
            other.rollback()
            gate.wait_for_somebody()
            assert world.target(HELPERS) == [("cellar_2", True), ("unit", True)]
            gate.open()
    assert fresh(run).status == "rolled_back"
    assert world.target(HELPERS) == []
    world.target("DROP TRIGGER gate ON building; DROP FUNCTION gate()")
    assert world.shape() == before
    assert not [text for text in said(run) if "goes on without" in text]


@pytest.mark.parametrize("world", ["two"], indirect=True)
def test_a_helper_index_that_a_rollback_left_goes_with_the_next_run(world: World) -> None:
    world.source(SOURCE)
    world.target(TARGET)
    world.define(MAPPING)
    run = world.started()
    world.target(f"CREATE INDEX migrator_rollback_{run.pk}_0123456789 ON unit (place)")
    world.target(f"CREATE INDEX migrator_rollback_{run.pk}9_0123456789 ON lift (building)")
    assert world.started().status == "verified"
    assert world.target(HELPERS) == [("lift", True)]
