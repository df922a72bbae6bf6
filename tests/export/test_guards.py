"""What exported scripts do about bad rows, a kill, two sessions, locks, changed rows, other scripts."""

from __future__ import annotations

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.conftest import Databases
from tests.export.twins import Twin
from tests.journeys.gate import wait_for
from tests.journeys.stock import MAP_ONLY

ITEMS = "CREATE TABLE item (id integer PRIMARY KEY, number integer NOT NULL, label text);\n"
ITEMS += "INSERT INTO item SELECT n, n, 'item ' || n FROM generate_series(1, 1000) n;"
THINGS = "CREATE TABLE thing (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, number integer, label varchar(20));"
MAPPING = """
tables:
  - {name: item, source: old.item, target: new.thing, columns: {number: number, label: {expr: "upper(label)"}}}
"""
MAP_ONLY = (
    MAP_ONLY.partition("tables:")[2].replace("source: item", "source: old.item").replace("thing", "new.thing")
)
SLOW = """
CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.0005); RETURN NEW; END';
CREATE TRIGGER slow BEFORE INSERT ON new.thing FOR EACH ROW EXECUTE FUNCTION public.slow();
"""
WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
CHUNKS = "SELECT count(*), sum(inserted)::int FROM migrator.ledger WHERE phase = 'copy'"


@pytest.fixture(params=["one", "two"])
def twin(request: pytest.FixtureRequest, databases: Databases) -> Twin:
    return Twin(databases, request.param, "hand")


@pytest.fixture
def one(databases: Databases) -> Twin:
    return Twin(databases, "one", "hand")


def script(folder: Path, part: str) -> Path:
    (found,) = folder.glob(f"*{part}*.sql")
    return found


def undone_up_to(twin: Twin, undo: Path, step: str) -> str:
    """Executes the scripts of the way back after the first, up to the one so named, whose file name it returns."""
    for path in sorted(undo.glob("*.sql"))[1:]:
        if step in path.name:
            return path.name
        twin.psql(undo, path.name)
    raise AssertionError(f"there is no script {step}")


def test_a_bad_row_stops_the_script_and_it_goes_on_from_there(twin: Twin, tmp_path: Path) -> None:
    twin.filled(
        ITEMS, THINGS + "ALTER TABLE thing ADD CHECK (number <> 777);", MAPPING + "on_error: quarantine"
    )
    folder = twin.export(tmp_path / "out", rows=100)
    with pytest.raises(AssertionError, match="violates check constraint"):
        twin.psql(folder)
    assert twin.target(CHUNKS) == [(7, 700)]
    assert twin.target("SELECT count(*) FROM new.thing") == [(700,)]
    twin.source("UPDATE old.item SET number = 0 WHERE number = 777")
    twin.psql(folder)
    assert twin.target(CHUNKS) == [(11, 1000)]
    assert twin.target("SELECT count(DISTINCT source_table_id), count(*) FROM new.thing") == [(1000, 1000)]


def test_a_sequence_behind_rows_that_were_there_is_put_past_them(twin: Twin, tmp_path: Path) -> None:
    there = (
        "INSERT INTO thing (id, number) OVERRIDING SYSTEM VALUE SELECT n, -n FROM generate_series(1, 50) n;"
    )
    twin.filled(ITEMS, THINGS + there, MAPPING)
    twin.psql(twin.export(tmp_path / "out"))
    assert twin.target("SELECT count(DISTINCT id), count(*) FILTER (WHERE number > 0) FROM new.thing") == [
        (1050, 1000)
    ]


LEAVES_OUT = """
CREATE FUNCTION public.give() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN IF NEW.number = 500 THEN RETURN NULL; END IF; NEW.id := NEW.number; RETURN NEW; END';
CREATE TRIGGER gives BEFORE INSERT ON new.thing FOR EACH ROW EXECUTE FUNCTION public.give();
"""


def test_rows_that_a_trigger_leaves_out_are_not_confused_with_others(one: Twin, tmp_path: Path) -> None:
    """Only the order of the rows tells which of them got which key: a worker says the same."""
    keyed = THINGS.replace("bigint GENERATED ALWAYS AS IDENTITY", "bigint DEFAULT 0")
    one.filled(ITEMS, keyed + LEAVES_OUT, MAPPING.replace("columns:", "link: {source_id: false}, columns:"))
    with pytest.raises(AssertionError, match=r"a trigger of new\.thing leaves rows out"):
        one.psql(one.export(tmp_path / "out"))
    assert one.target("SELECT count(*) FROM new.thing") == [(0,)]


def test_a_missing_parent_stops_it_with_its_name(one: Twin, tmp_path: Path) -> None:
    one.filled()
    one.source("INSERT INTO old.orders VALUES ('z', 1, 10, 1, NULL)")  # customer 10 is gone
    folder = one.export(tmp_path / "out")
    with pytest.raises(AssertionError, match="the customer row 10 was not migrated"):
        one.psql(folder)


@pytest.mark.parametrize("mapping", [MAPPING, "tables:" + MAP_ONLY])
def test_two_sessions_at_once_and_one_that_is_killed_double_nothing(
    one: Twin, tmp_path: Path, mapping: str
) -> None:
    one.filled(ITEMS, THINGS, mapping)
    folder = one.export(tmp_path / "out", rows=40)
    copy = script(folder, "_copy_item")
    rest = [path for path in sorted(folder.glob("*.sql")) if path != copy]
    assert one.try_psql(*[path for path in rest if path < copy]).returncode == 0
    one.target(SLOW)
    killed = subprocess.Popen(
        ["psql", "-X", "-q", one.pair.target, "-f", str(copy)], stderr=subprocess.PIPE, text=True
    )
    assert killed.stderr is not None and "chunk 1:" in killed.stderr.readline()
    assert "chunk 2:" in killed.stderr.readline(), (
        "a chunk is told of before its commit, so the first is in now"
    )
    one.target("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%$migrator$%'"
               " AND pid <> pg_backend_pid()")  # fmt: skip
    killed.communicate(timeout=30)
    assert killed.returncode != 0
    with ThreadPoolExecutor() as pool, psycopg.connect(one.pair.target) as holder:
        holder.execute("SELECT FROM migrator.run FOR UPDATE")
        sessions = [pool.submit(one.try_psql, copy) for _ in range(2)]
        wait_for(lambda: one.target(WAITING) == [(2,)])
        holder.rollback()
        both = [session.result() for session in sessions]
    assert [done.returncode for done in both] == [0, 0], both
    assert one.target(CHUNKS) == [(26, 1000)]
    assert one.target("SELECT count(DISTINCT number), count(*) FROM new.thing") == [(1000, 1000)]
    said = [len(re.findall("chunk", done.stderr)) for done in both]
    assert 0 < sum(said) < 26, "one was copied before the kill"
    assert one.try_psql(*[path for path in rest if path > copy]).returncode == 0


def test_what_others_wrote_into_a_backref_stops_the_script_that_would_overwrite_it(
    twin: Twin, tmp_path: Path
) -> None:
    mapping = MAPPING.replace("columns:", "link: {backref: thing}, columns:")
    twin.filled(f"{ITEMS} ALTER TABLE item ADD thing bigint;", THINGS, mapping)
    folder = twin.export(tmp_path / "out")
    twin.source("UPDATE old.item SET thing = 999999 WHERE id = 7")
    with pytest.raises(
        AssertionError, match=r"old\.item\.thing has values that no run of this mapping wrote"
    ):
        twin.psql(folder)
    assert twin.source("SELECT id, thing FROM old.item WHERE thing IS NOT NULL") == [(7, 999999)]
    twin.source("UPDATE old.item SET thing = NULL")
    twin.psql(folder)
    assert twin.source("SELECT count(thing) FROM old.item") == [(1000,)]


def test_what_was_changed_since_is_not_taken_back(twin: Twin, tmp_path: Path) -> None:
    twin.filled(ITEMS, THINGS, MAPPING)
    before = twin.state()
    folder = twin.export(tmp_path / "out")
    twin.psql(folder)
    twin.target("UPDATE new.thing SET label = 'mine' WHERE number = 5")
    with pytest.raises(AssertionError, match=r"1 rows were changed since, for example source rows \{5\}"):
        twin.psql(folder / "undo")
    assert twin.target("SELECT count(*) FROM new.thing") == [(1000,)]
    check = script(folder / "undo", "verify_item")
    assert twin.try_psql(check, options=["-c", "SET migrator.force = 'on'"]).returncode == 0
    for path in sorted((folder / "undo").glob("*.sql"))[1:]:
        twin.psql(folder / "undo", path.name)
    assert twin.state() == before


def test_flagged_rows_that_an_application_copied_keep_the_column_that_tells(
    twin: Twin, tmp_path: Path
) -> None:
    """Before anything is undone, and when the column is about to go."""
    twin.filled(ITEMS, THINGS, MAPPING)
    before = twin.state()
    folder = twin.export(tmp_path / "out")
    twin.psql(folder)
    copied = "INSERT INTO new.thing (number, label, is_migrated) SELECT -number, label, true FROM new.thing"
    twin.target(f"{copied} WHERE number < 3")
    told = r"2 rows of new\.thing are flagged as migrated, and no run brought them.*for example \{1001,1002\}"
    with pytest.raises(AssertionError, match=told):
        twin.psql(folder / "undo")
    assert twin.target("SELECT count(*) FROM new.thing") == [(1002,)]
    check = script(folder / "undo", "verify_item")
    assert twin.try_psql(check, options=["-c", "SET migrator.force = 'on'"]).returncode == 0
    name = undone_up_to(twin, folder / "undo", "is_migrated")
    with pytest.raises(AssertionError, match=told):
        twin.psql(folder / "undo", name)
    assert twin.target("SELECT number FROM new.thing WHERE is_migrated ORDER BY 1") == [(-2,), (-1,)]
    twin.target("DELETE FROM new.thing")
    twin.psql(folder / "undo")
    assert twin.state() == before


def test_back_references_are_compared_with_the_links(twin: Twin, tmp_path: Path) -> None:
    twin.filled(ITEMS, THINGS, MAPPING.replace("columns:", "link: {backref: thing}, columns:"))
    folder = twin.export(tmp_path / "out")
    twin.psql(folder)
    check = script(folder, "verify_item" if twin.pair.source == twin.pair.target else "check_ids_item")
    assert twin.try_psql(check).returncode == 0
    twin.source("UPDATE old.item SET thing = 9 WHERE id = 7; UPDATE old.item SET thing = NULL WHERE id = 900")
    said = twin.try_psql(check).stderr
    assert "item: 2 of old.item.thing do not name the row's own target row" in said
    assert re.search("different.*7(.|\n)*900", said), said


@pytest.mark.parametrize(
    ("sabotage", "why", "forced"),
    [
        ("DELETE FROM migrator.migration_map WHERE source_key::int <= 400", "the map lacks 400 of the source rows",
         "item: rows are still as the run wrote them"),
        ("DELETE FROM migrator.ledger", "1000 rows carry a source id, and schema migrator knows no run that", ""),
        ("UPDATE new.thing SET source_table_id = NULL WHERE number IN (5, 6)",
         "2 source rows have another target row by their source id than by the map", ""),
        ("DROP SCHEMA migrator CASCADE", 'relation "migrator.run" does not exist', ""),
    ],
)  # fmt: skip
def test_a_way_back_that_cannot_be_proved_stops(
    twin: Twin, tmp_path: Path, sabotage: str, why: str, forced: str
) -> None:
    twin.filled(ITEMS, THINGS, MAPPING)
    folder = twin.export(tmp_path / "out")
    twin.psql(folder)
    twin.target(sabotage)
    with pytest.raises(AssertionError, match=re.escape(why)):
        twin.psql(folder / "undo")
    assert twin.target("SELECT count(*) FROM new.thing") == [(1000,)]
    if not forced:
        return
    name = undone_up_to(twin, folder / "undo", "check_schema")
    with pytest.raises(AssertionError, match=forced):
        twin.psql(folder / "undo", name)
    assert twin.target("SELECT count(source_table_id) FROM new.thing") == [(400,)]


@pytest.mark.parametrize("action", ["CASCADE", "NO ACTION"])
def test_rows_of_others_that_point_to_them_stop_the_way_back(one: Twin, tmp_path: Path, action: str) -> None:
    things = f"{THINGS} CREATE TABLE part (thing bigint REFERENCES thing ON DELETE {action});"
    one.filled(ITEMS, things, MAPPING)
    folder = one.export(tmp_path / "out")
    one.psql(folder)
    one.target("INSERT INTO new.part SELECT id FROM new.thing ORDER BY id LIMIT 3")
    with pytest.raises(
        AssertionError, match=r"3 rows of new\.part that the run did not bring point to its rows"
    ):
        one.psql(folder / "undo")
    assert one.target("SELECT count(*) FROM new.part") == [(3,)]


def test_verification_stops_at_a_difference_and_shows_it(twin: Twin, tmp_path: Path) -> None:
    twin.filled(ITEMS, THINGS, MAPPING)
    folder = twin.export(tmp_path / "out")
    with pytest.raises(AssertionError, match="1 different") as found:
        paths = sorted(folder.glob("*.sql"))
        place = next(place for place, path in enumerate(paths) if "verify_item" in path.name)
        for path in paths[:place]:
            twin.psql(folder, path.name)
        twin.target("UPDATE new.thing SET label = 'mine' WHERE number = 5")
        twin.psql(folder, paths[place].name)
    assert '[["label", "ITEM 5", "mine"]]' in str(found.value)


def test_an_index_that_was_left_broken_is_built_again(one: Twin, tmp_path: Path) -> None:
    rows = "INSERT INTO thing (number) SELECT -n FROM generate_series(1, 12000) n; ANALYZE thing;"
    one.filled(ITEMS, THINGS + rows, MAPPING)
    folder = one.export(tmp_path / "out")
    paths = sorted(folder.glob("*.sql"))
    index = script(folder, "schema_add_index")
    assert "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS" in index.read_text()
    assert one.try_psql(*paths[: paths.index(index)]).returncode == 0
    one.target("UPDATE new.thing SET source_table_id = 1 WHERE number IN (-1, -2)")
    assert "could not create unique index" in one.try_psql(index).stderr
    assert one.target("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(1,)]
    one.target("UPDATE new.thing SET source_table_id = NULL")
    one.psql(folder)
    assert one.target("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]


def test_another_script_for_the_same_step_is_refused(one: Twin, tmp_path: Path) -> None:
    one.filled(ITEMS, THINGS, MAPPING)
    folder = one.export(tmp_path / "out")
    paths = sorted(folder.glob("*.sql"))
    column = script(folder, "schema_add_column_source_table_id")
    one.psql(folder, paths[0].name)
    tampered = tmp_path / "tampered.sql"
    tampered.write_text(
        re.sub(r"\b[0-9a-f]{64}'(?=, '', 'integer', 0, 0\);)", "0" * 64 + "'", column.read_text())
    )
    assert one.try_psql(tampered).returncode == 0
    assert "the register has another script (sha256) for this step" in one.try_psql(column).stderr


def test_a_lock_is_not_waited_for(one: Twin, tmp_path: Path) -> None:
    one.filled(ITEMS, THINGS, MAPPING)
    folder = one.export(tmp_path / "out")
    one.psql(folder, sorted(folder.glob("*.sql"))[0].name)
    holder = subprocess.Popen(
        [
            "psql",
            "-X",
            "-q",
            one.pair.target,
            "-c",
            "BEGIN; LOCK new.thing; SELECT pg_sleep(20)",
        ],
    )
    try:
        while not one.target("SELECT 1 FROM pg_locks WHERE relation = 'new.thing'::regclass"):
            pass
        assert (
            "canceling statement due to lock timeout"
            in one.try_psql(script(folder, "column_source_table_id")).stderr
        )
    finally:
        holder.terminate()
        holder.wait()
