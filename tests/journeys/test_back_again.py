"""There and back and there again: source rows get the target ids again that they had before a rollback."""

from __future__ import annotations

import pytest

from jobs.models import Run
from tests.journeys.test_rollback_proofs import SOURCE
from tests.journeys.test_rollback_reports import proved
from tests.journeys.world import World

TARGET = """
CREATE SCHEMA new; CREATE TABLE new.people ({0}, code text, name text);
INSERT INTO new.people (code, name) SELECT 'c' || n, 'old ' || n FROM generate_series(3, 5) n;
"""
IDS = {
    "always": "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    "serial": "id serial PRIMARY KEY",
    "uuid": "id uuid PRIMARY KEY DEFAULT gen_random_uuid()",
}
KEYS = "SELECT code, id::text FROM new.people WHERE name LIKE 'person%' ORDER BY code"
FORMS = [
    ("", "always"),
    ("link: {map: false},", "serial"),
    ("link: {source_id: false}, is_migrated: false,", "uuid"),
    ("existing: {match: [code], then: update},", "always"),
    ("existing: {match: [code], then: keep}, link: {source_id: false},", "serial"),
]
EARLY = "CREATE FUNCTION new.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';" \
    "CREATE TRIGGER early BEFORE INSERT ON new.people FOR EACH ROW EXECUTE FUNCTION new.f()"  # fmt: skip


def define(world: World, options: str) -> None:
    world.define(
        "version: 1\nname: people\ntables:\n  - {name: person, source: old.person, target: new.people,"
        f" {options}\n     columns: {{code: code, name: name}}}}"
    )


def begun(world: World, options: str, ids: str) -> tuple[Run, list[tuple[object, ...]]]:
    """A run, and the ids that it gave."""
    world.source(SOURCE)
    world.target(TARGET.format(IDS[ids]))
    define(world, options)
    run = world.start()
    run.tables.update(chunk_rows=15)
    run = world.worked(run)
    assert run.status == "verified", run.error
    return run, world.target(KEYS)


@pytest.mark.parametrize(("options", "ids"), FORMS)
def test_the_same_source_rows_get_the_same_ids(world: World, options: str, ids: str) -> None:
    run, first = begun(world, options, ids)
    rolled_back = world.rolled_back(run)
    assert rolled_back.status == "rolled_back", rolled_back.error
    world.source("INSERT INTO old.person SELECT n, 'c' || n, 'person ' || n FROM generate_series(-9, 0) n")
    world.source("INSERT INTO old.person SELECT n, 'c' || n, 'person ' || n FROM generate_series(41, 60) n")
    again = world.started()
    assert again.status == "verified", again.error
    second = world.target(KEYS)
    assert set(first) <= set(second) and len(second) == len(first) + 30
    assert len({key for _, key in second}) == len(second)
    assert proved(world.rolled_back(again)).state == "equal"
    third = world.started()
    assert (third.status, world.target(KEYS)) == ("verified", second)


def test_an_id_that_another_row_has_by_now_is_not_taken_from_it(world: World) -> None:
    run, first = begun(world, "", "serial")
    world.rolled_back(run)
    world.target("INSERT INTO new.people (id, code) SELECT id + 3, 'mine' FROM generate_series(1, 10) id")
    world.target("ALTER SEQUENCE new.people_id_seq RESTART 4")
    again = world.started()
    assert again.status == "verified", again.error
    second = {str(code): key for code, key in world.target(KEYS)}
    kept = {str(code): key for code, key in first if int(str(key)) > 13}
    assert len(kept) == 30 and len(second) == 40
    assert {code: second[code] for code in kept} == kept
    assert world.target("SELECT count(*) FROM new.people WHERE code = 'mine'") == [(10,)]


def test_a_mapping_may_say_no_and_a_trigger_does_not_matter(world: World) -> None:
    run, first = begun(world, "link: {same_ids: false},", "always")
    world.rolled_back(run)
    assert world.target("SELECT * FROM migrator.remembered_chunk") == []
    world.target(EARLY)
    define(world, "")
    run = world.started()
    assert not set(world.target(KEYS)) & set(first)
    first = world.target(KEYS)
    world.rolled_back(run)
    assert world.started().status == "verified"
    assert world.target(KEYS) == first
