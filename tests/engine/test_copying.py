"""One chunk: fence, feed, insert, map and ledger in one transaction; once, and by the right worker only."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from jobs.engine import feed
from jobs.engine.errors import Fenced, PlanBroken
from jobs.engine.feed import Work
from jobs.engine.moving import copy as copying
from jobs.engine.sql.key_sql import Purpose
from jobs.engine.sql.walks.chunk_range import Range
from jobs.engine.target import ledger
from jobs.engine.target.ledger import Done
from mappings.sql import verbatim
from tests.engine.rig import Rig
from tests.journeys.acceptance import Promise, broken

MAP = "{source: old.item, target: new.thing, columns: {label: label}}"
ITEMS = (
    "CREATE TABLE item (id integer PRIMARY KEY, label text);"
    "INSERT INTO item SELECT n, 'l' || n FROM generate_series(1, 100) n"
)
THING = "CREATE TABLE thing (id serial PRIMARY KEY, label text)"
PROMISE = Promise(
    "rig",
    "item",
    "SELECT id::text, label FROM old.item",
    "SELECT substr(label, 2), id::text, label FROM new.thing WHERE label LIKE 'l%'",
)
LINKS = {
    "source id and map": "",
    "source id": "link: {map: false},",
    "map": "link: {source_id: false},",
    "map alone": "link: {source_id: false}, is_migrated: false,",
}


def linked(link: str) -> str:
    """The mapping with one way of linking."""
    return MAP.replace("columns", f"{LINKS[link]} columns")


def complaints(rig: Rig, link: str = "map") -> list[str]:
    return broken(*rig.pair, replace(PROMISE, has_map="map" in link))


@pytest.fixture(params=LINKS)
def items(request: pytest.FixtureRequest, rig: Rig) -> Rig:
    """A hundred rows, linked in each possible way."""
    rig.old(ITEMS)
    rig.new(f"{THING}; INSERT INTO thing (label) VALUES ('was here')")
    rig.ready(linked(request.param))
    rig.link_by = request.param  # type: ignore[attr-defined]
    return rig


def test_a_chunk_brings_its_rows_its_map_and_its_ledger_row(items: Rig) -> None:
    assert items.copy() == Done(inserted=100)
    assert complaints(items, items.link_by) == []  # type: ignore[attr-defined]
    assert items.new("SELECT run, table_name, phase, chunk, inserted, quarantined FROM migrator.ledger") == [
        (1, "item", "copy", 1, 100, 0)
    ]


def test_a_guarded_chunk_that_is_there_inserts_nothing(items: Rig) -> None:
    items.copy()
    assert items.copy(replace(items.work(), guarded=True)) == Done(inserted=0)
    assert complaints(items, items.link_by) == []  # type: ignore[attr-defined]


def test_a_second_run_brings_only_what_is_new(items: Rig) -> None:
    items.copy()
    items.old("INSERT INTO item VALUES (200, 'l200')")
    assert items.copy(items.again()) == Done(inserted=1)
    assert complaints(items, items.link_by) == []  # type: ignore[attr-defined]


def test_between_two_databases_nothing_travels_that_is_there(
    rig_two: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A range is moved only where its keys differ, be they as many as before and of the same sum."""
    rig_two.old(ITEMS)
    rig_two.new(THING)
    rig_two.ready(MAP)
    rig_two.copy()
    again = replace(rig_two.work(), guarded=True)
    moved: list[Range] = []
    stage = feed.stage

    def noted(work: Work, chunk: Range, purpose: Purpose) -> None:
        moved.append(chunk)
        stage(work, chunk, purpose)

    monkeypatch.setattr(feed, "stage", noted)
    for chunk in rig_two.cut(30):
        assert rig_two.copy(again, chunk) == Done(inserted=0)
    assert moved == []
    rig_two.old(
        "UPDATE item SET id = id * 10 WHERE id IN (40, 50); UPDATE item SET id = id / 10 WHERE id = 500"
    )
    rig_two.new("DELETE FROM thing WHERE source_table_id IN (45, 46)")
    assert [
        rig_two.copy(again, chunk).inserted for chunk in (Range(("30",), ("60",)), Range(("60",), None))
    ] == [2, 1]
    assert [chunk.low for chunk in moved] == [("30",), ("60",)]


def test_undo_takes_the_runs_rows_and_nothing_else(items: Rig) -> None:
    items.copy()
    assert items.undo().inserted == 100
    assert items.new("SELECT label FROM thing") == [("was here",)]
    assert items.new("SELECT count(*) FROM migrator.migration_map") == [(0,)]


def test_undo_of_the_second_run_leaves_the_first(items: Rig) -> None:
    items.copy()
    items.old("INSERT INTO item VALUES (200, 'l200'), (201, 'l201')")
    second = items.again()
    items.copy(second)
    assert items.undo(second).inserted == 2
    items.old("DELETE FROM item WHERE id >= 200")
    assert complaints(items, items.link_by) == []  # type: ignore[attr-defined]


def test_undo_of_the_first_run_leaves_the_second(items: Rig) -> None:
    items.copy()
    items.old("INSERT INTO item VALUES (200, 'l200'), (201, 'l201')")
    items.copy(items.again())
    assert items.undo().inserted == 100
    items.old("DELETE FROM item WHERE id < 200")
    assert complaints(items, items.link_by) == []  # type: ignore[attr-defined]


def test_undo_by_ranges_covers_every_row_once(items: Rig) -> None:
    items.copy()
    assert sum(items.undo(chunk=chunk).inserted for chunk in items.walk(30)) == 100
    assert items.new("SELECT label FROM thing") == [("was here",)]


# ---- once, and by the right worker only


@pytest.fixture
def simple(rig: Rig) -> Rig:
    """A hundred rows, linked by source id and map."""
    rig.old(ITEMS)
    rig.new(THING)
    rig.ready(MAP)
    return rig


def test_the_same_ticket_cannot_be_used_twice(simple: Rig) -> None:
    ticket = simple.ticket(simple.work(), "copy", Range(None, ("50",)))
    copying.copy_chunk(simple.work(), ticket)
    simple.new("TRUNCATE thing, migrator.migration_map")
    with pytest.raises(psycopg.errors.UniqueViolation, match="ledger_pkey"):
        copying.copy_chunk(simple.work(), ticket)
    assert simple.new("SELECT count(*) FROM thing") == [(0,)]


def test_the_ledger_tells_a_chunk_that_was_committed_from_one_that_was_not(simple: Rig) -> None:
    ticket = simple.ticket(simple.work(), "copy")
    assert ledger.recorded(simple.target, ticket) is None
    copying.copy_chunk(simple.work(), ticket)
    assert ledger.recorded(simple.target, ticket) == Done(inserted=100)


def test_a_stale_epoch_writes_nothing_and_says_why(simple: Rig) -> None:
    ticket = simple.ticket(simple.work(), "copy")
    ledger.raise_epoch(simple.target, 1, 2)
    with pytest.raises(Fenced, match="epoch 2 is in force, this worker holds 1"):
        copying.copy_chunk(simple.work(), ticket)
    assert simple.new("SELECT count(*) FROM thing") == [(0,)]
    assert simple.new("SELECT count(*) FROM migrator.ledger") == [(0,)]


@pytest.mark.parametrize("act", ["link", "unlink", "undo"])
def test_a_stale_epoch_does_nothing_else_either(simple: Rig, act: str) -> None:
    simple.copy()
    ledger.raise_epoch(simple.target, 1, 2)
    with pytest.raises(Fenced):
        getattr(simple, act)()
    assert complaints(simple) == []


def test_an_epoch_never_goes_back(simple: Rig) -> None:
    ledger.raise_epoch(simple.target, 1, 5)
    ledger.raise_epoch(simple.target, 1, 3)
    assert simple.new("SELECT epoch FROM migrator.run") == [(5,)]


def test_a_takeover_waits_for_the_chunk_that_commits_just_now(simple: Rig) -> None:
    ticket = simple.ticket(simple.work(), "copy")
    with psycopg.connect(simple.pair.target) as other, simple.target.transaction():
        ledger.fence(simple.target, ticket)
        other.execute("SET lock_timeout = '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            ledger.raise_epoch(other, 1, 2)


def test_another_installations_run_of_the_same_number_is_refused(simple: Rig) -> None:
    with pytest.raises(PlanBroken, match="run number 1 belongs to another installation"):
        simple.register(1)


def test_a_target_that_forgot_an_epoch_is_noticed(simple: Rig) -> None:
    simple.new("UPDATE migrator.run SET epoch = 0")
    with pytest.raises(PlanBroken, match="set back to an earlier state"):
        simple.copy()


def test_a_run_shuts_out_the_others_of_its_mapping_but_not_exported_scripts(simple: Rig) -> None:
    simple.register(2)
    simple.new(
        "INSERT INTO migrator.run (number, uid, mapping, sha256, environment, epoch) SELECT r.number,"
        f" {ledger.uid_by_hand(verbatim('r'))}, r.mapping, r.sha256, r.environment, 1"
        " FROM (VALUES (3::bigint, 'rig', 'x', 'local')) AS r(number, mapping, sha256, environment)"
    )
    ledger.shut_out_others(simple.target, "rig", 2)
    assert simple.new("SELECT number, epoch FROM migrator.run ORDER BY number") == [(1, 2), (2, 1), (3, 1)]


def test_sessions_of_a_lost_worker_are_ended_whatever_role_was_set(simple: Rig) -> None:
    with psycopg.connect(simple.pair.target, application_name="migrator lost") as lost:
        lost.execute("SELECT 1")
        simple.new("DROP ROLE IF EXISTS group_role; CREATE ROLE group_role")
        try:
            simple.target.execute("SET ROLE group_role")
            ledger.end_sessions(simple.target, "lost")
        finally:
            simple.target.execute("RESET ROLE")
            simple.new("DROP ROLE group_role")
        with pytest.raises(psycopg.OperationalError):
            lost.execute("SELECT 1")


def test_sessions_of_a_lost_worker_are_ended(simple: Rig) -> None:
    with psycopg.connect(simple.pair.target, application_name="migrator lost") as lost:
        lost.execute("SELECT 1")
        ledger.end_sessions(simple.target, "lost")
        with pytest.raises(psycopg.OperationalError):
            lost.execute("SELECT 1")


def test_keys_that_were_copied_are_not_made_again_by_the_sequence(rig: Rig) -> None:
    rig.old(
        "CREATE TABLE item (id integer PRIMARY KEY, label text); INSERT INTO item VALUES (7, 'a'), (41, 'b')"
    )
    rig.new("CREATE TABLE thing (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, label text)")
    rig.ready("{source: old.item, target: new.thing, columns: {id: id, label: label}}")
    rig.copy()
    rig.advance_sequences()
    assert rig.new("INSERT INTO thing (label) VALUES ('next') RETURNING id") == [(42,)]


def test_a_sequence_that_is_ahead_stays(rig: Rig) -> None:
    rig.old("CREATE TABLE item (id integer PRIMARY KEY, label text); INSERT INTO item VALUES (7, 'a')")
    rig.new("CREATE TABLE thing (id serial PRIMARY KEY, label text); SELECT setval('thing_id_seq', 900)")
    rig.ready("{source: old.item, target: new.thing, columns: {id: id, label: label}}")
    rig.copy()
    rig.advance_sequences()
    assert rig.new("INSERT INTO thing (label) VALUES ('next') RETURNING id") == [(901,)]


def test_the_targets_ids_are_written_back_and_taken_out_again(rig: Rig) -> None:
    rig.old(ITEMS)
    rig.new(THING)
    rig.ready("{source: old.item, target: new.thing, link: {backref: new_id}, columns: {label: label}}")
    rig.copy()
    rig.link()
    assert sorted(rig.old("SELECT new_id::text, label FROM item")) == sorted(
        rig.new("SELECT id::text, label FROM thing")
    )
    rig.unlink()
    assert rig.old("SELECT count(new_id) FROM item") == [(0,)]
