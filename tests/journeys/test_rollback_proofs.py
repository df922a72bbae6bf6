"""A rollback proves itself: where a witness is lost or was changed, it is refused, or fails and drops nothing."""

from __future__ import annotations

import pytest

from jobs.actions import runs as actions
from jobs.models import Run
from jobs.reporting.summary import exit_code
from mappings.problems import Refused
from tests.journeys.conftest import ONE_LAYOUT
from tests.journeys.test_rollback_reports import proved
from tests.journeys.world import World, fresh, said, work

SOURCE = """
CREATE SCHEMA old; CREATE TABLE old.person (id int PRIMARY KEY, code text, name text);
INSERT INTO old.person SELECT n, 'c' || n, 'person ' || n FROM generate_series(1, 40) n;
"""
TARGET = """
CREATE SCHEMA new;
CREATE TABLE new.people (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code text, name text);
INSERT INTO new.people (code, name) SELECT 'c' || n, 'old ' || n FROM generate_series(3, 5) n;
INSERT INTO new.people (code, name) VALUES ('own', 'mine');
"""
OPTIONS = {
    "ids": "",
    "no map": "link: {map: false},",
    "map alone": "link: {source_id: false}, is_migrated: false,",
    "no map, no flag": "link: {map: false}, is_migrated: false,",
    "updated": "existing: {match: [code], then: update},",
    "updated, map alone": "existing: {match: [code], then: update}, link: {source_id: false}, is_migrated: false,",
}
HALF = "WHERE ctid IN (SELECT ctid FROM {0} ORDER BY ctid LIMIT (SELECT count(*) / 2 FROM {0}))"


def half(table: str) -> str:
    """Deletes half of a table of schema migrator."""
    return f"DELETE FROM migrator.{table} {HALF.format(f'migrator.{table}')}"


GONE = "DROP SCHEMA migrator CASCADE"
MAP, LEDGER, IMAGES = (
    "DELETE FROM migrator.migration_map",
    "DELETE FROM migrator.ledger",
    "DELETE FROM migrator.before_image",
)
UNLINKED = "UPDATE new.people SET source_table_id = NULL WHERE source_table_id IN (7, 8)"
SWAPPED = (
    "UPDATE migrator.migration_map AS m SET target_key = o.target_key FROM migrator.migration_map AS o"
    " WHERE (m.source_key, o.source_key) IN (('7', '8'), ('8', '9'))"
)
COPIED = (
    "INSERT INTO new.people (code, name, is_migrated)"
    " SELECT code, name, true FROM new.people WHERE source_table_id IN (7, 8)"
)

SABOTAGES = [
    *((options, GONE, "does not know the run") for options in OPTIONS),
    ("ids", MAP, "the map lists 0 of the 40 .* carry a source id that the map does not have, for example"),
    ("ids", half("migration_map"), "the map lists 20 of the 40 source rows .*20 rows of new.people carry a source id"),
    ("map alone", half("migration_map"), "the map lists 20 .* 20 rows of new.people are the run's by the transactions"),
    ("updated", half("migration_map"), "the map lists 20 of the 40 source rows"),
    ("ids", half("ledger"), "the ledger in the target lists"),
    ("no map", LEDGER, "the ledger in the target lists 0 inserted"),
    ("updated", IMAGES, "3 source rows updated a row of which no before-image is there.*for example 3, 4, 5"),
    ("updated, map alone", IMAGES, "3 source rows updated a row of which no before-image is there"),
    ("ids", UNLINKED, "2 source rows have another target row by their source id than by the map.*example 7, 8"),
    ("updated", UNLINKED, "2 source rows have another target row by their source id"),
    ("no map", UNLINKED, "2 rows of new.people are flagged as migrated and have no source id any more"),
    ("no map, no flag", UNLINKED, "38 of the 40 rows that the run inserted have a source id"),
    ("ids", SWAPPED, "2 source rows have another target row by their source id than by the map"),
    ("updated", SWAPPED, "2 source rows have another target row by their source id than by the map"),
]  # fmt: skip
"""Options of the table mapping, what somebody does to the target after the run, and why the rollback is refused."""


def opened(world: World, options: str, target: str = TARGET) -> tuple[Run, list[tuple[object, ...]]]:
    """A verified run, and the shape of the target before it."""
    world.source(SOURCE)
    world.target(target)
    before = world.shape()
    world.define(
        "version: 1\nname: people\ntables:\n  - {name: person, source: old.person, target: new.people,"
        f" {OPTIONS[options]}\n     columns: {{code: code, name: name}}}}"
    )
    run = world.start()
    run.tables.update(chunk_rows=10)
    run = work(run)
    assert run.status == "verified", run.error
    return run, before


ROWS = "SELECT code, name FROM new.people ORDER BY id"
BEFORE = [("c3", "old 3"), ("c4", "old 4"), ("c5", "old 5"), ("own", "mine")]


@pytest.mark.parametrize(("options", "sabotage", "why"), SABOTAGES)
def test_what_cannot_be_proved_is_refused_and_forced_fails_or_is_true(
    world: World, options: str, sabotage: str, why: str
) -> None:
    run, before = opened(world, options)
    rows = world.target(ROWS)
    world.target(sabotage)
    with pytest.raises(Refused, match=why):
        actions.roll_back(fresh(run), None)
    assert (fresh(run).status, world.target(ROWS)) == ("verified", rows)
    forced = world.rolled_back(run, force=True)
    if forced.status == "rolled_back":
        assert (world.target(ROWS), world.shape()) == (BEFORE, before)
        return
    assert forced.status == "failed", forced.status
    left = [row for row in world.target(ROWS) if row not in BEFORE]
    assert left, "failed although nothing is left"
    assert set(world.shape()) >= set(before)
    assert len(world.shape()) > len(before) or "map alone" in options, "the columns that tell were dropped"
    assert "person: " in forced.error, forced.error


@ONE_LAYOUT
@pytest.mark.parametrize(
    ("options", "sabotage", "why"),
    [
        ("ids", MAP, "40 rows of new.people are still as the run wrote them, for example"),
        ("ids", "DELETE FROM migrator.schema_step", "does not know any more how to undo: Add new.people.is_migrated"),
        ("ids", "UPDATE migrator.schema_step SET undone_at = now()", "does not know any more how to undo: Add new"),
        ("updated", IMAGES, "3 rows of new.people are still as the run wrote them, for example 1, 2, 3"),
        ("map alone", half("migration_map"), "20 rows of new.people are still as the run wrote them"),
    ],
)  # fmt: skip
def test_what_is_lost_after_the_start_ends_it_before_the_schema_is_undone(
    world: World, options: str, sabotage: str, why: str
) -> None:
    run, before = opened(world, options)
    actions.roll_back(fresh(run), None)
    wide = world.shape()
    world.target(sabotage)
    failed = work(run)
    assert (failed.status, world.shape()) == ("failed", wide)
    assert why in failed.error
    if options != "ids" or sabotage != MAP:
        return
    world.target("DELETE FROM new.people WHERE is_migrated")
    actions.retry(fresh(run), None)
    assert (work(run).status, world.target(ROWS), world.shape()) == ("rolled_back", BEFORE, before)


@ONE_LAYOUT
def test_rows_that_lost_source_id_and_flag_are_not_taken_for_deleted(world: World) -> None:
    """Without a map nothing tells them from others' rows but their number; whoever knows better may force it."""
    run, _ = opened(world, "no map")
    world.target(UNLINKED.replace("SET", "SET is_migrated = false,"))
    why = r"38 of the 40 rows that the run inserted have a source id, and new\.people has 6 others, where 4 were before"
    with pytest.raises(Refused, match=why):
        actions.roll_back(fresh(run), None)
    forced = world.rolled_back(run, force=True)
    assert forced.status == "rolled_back"
    (told,) = proved(forced).unexplained
    assert "38 of the 40 source rows that the run dealt with were undone" in told
    assert "2 rows of new.people without a source id were written since by no run, for example 11, 12" in told
    assert exit_code(forced, "rollback") == 3


@ONE_LAYOUT
def test_a_flag_that_somebody_dropped_is_nothing_to_undo(world: World) -> None:
    run, before = opened(world, "ids")
    world.target("ALTER TABLE new.people DROP COLUMN is_migrated")
    assert world.rolled_back(run).status == "rolled_back", said(run)
    assert (world.target(ROWS), world.shape()) == (BEFORE, before)


@pytest.mark.parametrize("options", ["ids", "no map", "map alone"])
def test_rows_that_others_took_away_leave_nothing_to_prove(world: World, options: str) -> None:
    run, before = opened(world, options)
    world.target("DELETE FROM new.people WHERE name IN ('person 2', 'person 11')")
    assert world.rolled_back(run).status == "rolled_back", said(run)
    assert (world.target(ROWS), world.shape()) == (BEFORE, before)
    run = world.started()
    world.target("TRUNCATE new.people")
    assert world.rolled_back(run).status == "rolled_back", said(run)
    assert (world.target(ROWS), world.shape()) == ([], before)


def test_a_target_that_was_set_back_to_before_the_run_is_as_it_should_be(world: World) -> None:
    run, before = opened(world, "ids")
    world.target(f"{GONE}; DROP TABLE new.people; DROP SCHEMA new; {TARGET}")
    assert world.rolled_back(run).status == "rolled_back", said(run)
    assert (world.target(ROWS), world.shape()) == (BEFORE, before)


def test_rows_that_a_trigger_made_are_told_before_they_would_stay(world: World) -> None:
    run, _ = opened(world, "ids", TARGET + DOUBLES)
    with pytest.raises(
        Refused, match=r"40 rows of new\.people were written in the run's own transactions for no source"
    ):
        actions.roll_back(fresh(run), None)
    assert world.rolled_back(run, force=True).status == "failed"
    world.target("DELETE FROM new.people WHERE name LIKE '%again'")
    actions.retry(fresh(run), None)
    assert (work(run).status, world.target(ROWS)) == ("rolled_back", BEFORE)


DOUBLES = """
CREATE FUNCTION new.double() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF NEW.name NOT LIKE '%again' THEN
    INSERT INTO new.people (code, name) VALUES (NEW.code, NEW.name || ' again');
  END IF;
  RETURN NULL; END $$;
CREATE TRIGGER doubles AFTER INSERT ON new.people FOR EACH ROW EXECUTE FUNCTION new.double();
"""


@ONE_LAYOUT
@pytest.mark.parametrize("options", ["ids", "no map"])
def test_flagged_rows_that_an_application_copied_keep_the_columns_that_tell(
    world: World, options: str
) -> None:
    run, before = opened(world, options)
    world.target(COPIED)
    told = "2 rows of new.people are flagged as migrated, and no run brought them"
    with pytest.raises(Refused, match=f"{told}.*for example 45, 46"):
        actions.roll_back(fresh(run), None)
    failed = world.rolled_back(run, force=True)
    assert (failed.status, told in failed.error) == ("failed", True)
    assert len(world.shape()) > len(before)
    actions.roll_back(fresh(run), None, keep_schema=True, force=True)
    kept = work(run)
    assert (kept.status, len(world.target(ROWS))) == ("rolled_back", len(BEFORE) + 2)
    assert world.target("SELECT code FROM new.people WHERE is_migrated") == [("c7",), ("c8",)]
    assert len(world.shape()) > len(before)
    assert proved(kept).unexplained == ()
