"""There and back and there again: source rows get the target ids again that they had before a rollback."""

from __future__ import annotations

import pytest

from jobs.actions import runs as actions
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


SOURCE_KEYS = {  # its columns, and their values in the n-th row
    "bigint": ("id bigint PRIMARY KEY", "n * 3000000000"),
    "integer": ("id integer PRIMARY KEY", "n - 20"),
    "text": ("id text PRIMARY KEY", "'k,\"' || n"),
    "uuid": ("id uuid PRIMARY KEY", "md5(n::text)::uuid"),
    "two": ("shop text, id integer, PRIMARY KEY (shop, id)", "chr(97 + n % 3), n"),
}
TARGET_KEYS = {
    "bigint": "id bigint GENERATED ALWAYS AS IDENTITY (START 3000000000) PRIMARY KEY",
    "integer": "id serial PRIMARY KEY",
    "text": "id text PRIMARY KEY DEFAULT 'a, ' || gen_random_uuid()",
    "uuid": "id uuid PRIMARY KEY DEFAULT gen_random_uuid()",
    "two": "id bigint GENERATED ALWAYS AS IDENTITY, area text DEFAULT 'x', PRIMARY KEY (id, area)",
}
AS_TEXTS = (
    "UPDATE migrator.remembered_chunk SET source_keys = coalesce(source_keys, source_numbers::text[]),"
    " target_keys = coalesce(target_keys, target_numbers::text[]), source_numbers = NULL, target_numbers = NULL"
)
OLDER = (
    "ALTER TABLE migrator.remembered_chunk DROP source_numbers, DROP target_numbers,"
    " ALTER source_keys SET NOT NULL, ALTER target_keys SET NOT NULL"
)
KEPT = (
    "SELECT DISTINCT source_numbers IS NOT NULL AND source_keys IS NULL, target_numbers IS NOT NULL AND target_keys"
    " IS NULL FROM migrator.remembered_chunk"
)
CASES = [
    ("bigint", "bigint", "", ""),
    ("integer", "integer", "link: {map: false},", AS_TEXTS + " WHERE ctid = '(0,1)'"),
    ("bigint", "integer", "link: {map: false},", f"{AS_TEXTS}; {OLDER}"),
    ("integer", "bigint", "link: {source_id: false}, is_migrated: false,", f"{AS_TEXTS}; {OLDER}"),
    ("text", "text", "link: {map: false},", OLDER),
    ("uuid", "uuid", "", ""),
    ("two", "two", "", ""),
    ("two", "two", "link: {map: false},", ""),
    ("two", "bigint", "", AS_TEXTS + " WHERE ctid = '(0,1)'"),
    ("bigint", "text", "link: {map: false},", ""),
]


@pytest.mark.parametrize(("source", "target", "options", "meanwhile"), CASES)
def test_ids_of_any_type_come_again_as_any_version_kept_them(
    world: World, source: str, target: str, options: str, meanwhile: str
) -> None:
    """meanwhile: what an older version of the product would have kept instead."""
    columns, values = SOURCE_KEYS[source]
    world.source(
        f"CREATE SCHEMA old; CREATE TABLE old.person (code text, name text, {columns});"
        f" INSERT INTO old.person SELECT 'c' || n, 'person ' || n, {values} FROM generate_series(1, 40) n"
    )
    world.target(f"CREATE SCHEMA new; CREATE TABLE new.people ({TARGET_KEYS[target]}, code text, name text)")
    define(world, options)
    run = world.start()
    run.tables.update(chunk_rows=15)
    run = world.worked(run)
    assert run.status == "verified", run.error
    first = world.target(KEYS)
    assert len(first) == 40
    for _ in range(2):
        assert proved(world.rolled_back(run)).state == "equal"
        numbers = {"bigint", "integer"}
        assert world.target(KEPT) == [(source in numbers, target in numbers)]
        if meanwhile:
            world.target(meanwhile)
        run = world.started()
        assert (run.status, world.target(KEYS)) == ("verified", first)


def test_a_rollback_that_an_older_version_began_is_ended(world: World) -> None:
    run, first = begun(world, "link: {map: false},", "serial")
    world.target(STUCK)
    stuck = world.rolled_back(run, force=True)
    assert stuck.status == "failed" and "not now" in stuck.error
    world.target(f"DROP TRIGGER stuck ON new.people; {AS_TEXTS}; {OLDER}")
    actions.retry(stuck, None)
    ended = world.worked(stuck)
    assert ended.status == "rolled_back", ended.error
    assert world.started().status == "verified"
    assert world.target(KEYS) == first


STUCK = (
    "CREATE FUNCTION new.stuck() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''not now''; END';"
    "CREATE TRIGGER stuck BEFORE DELETE ON new.people FOR EACH ROW WHEN (OLD.code = 'c40')"
    " EXECUTE FUNCTION new.stuck()"
)


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
