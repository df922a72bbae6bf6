"""Taking back: what one chunk wrote goes as it came; what was touched since is looked up row by row."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.engine.feed import Work, run_sql
from jobs.engine.moving import undo
from jobs.engine.scope import Scope
from jobs.engine.sql import remains
from jobs.engine.sql.merging import superseded
from jobs.engine.sql.walks.chunk_range import MapRange, Range
from jobs.models import Chunk
from jobs.running.cutting import tickets
from mappings.sql import compose
from tests.engine.rig import Rig

ITEMS = (
    "CREATE TABLE item (id integer PRIMARY KEY, label text);"
    "INSERT INTO item SELECT n, 'l' || n FROM generate_series(1, 100) n"
)
THING = "CREATE TABLE thing (id serial PRIMARY KEY, label text)"
MAP = "{source: old.item, target: new.thing, columns: {label: label}}"
LOST = (
    "SELECT m.source_key FROM migrator.migration_map m"
    " WHERE NOT EXISTS (SELECT FROM new.thing t WHERE t.id = m.target_key::int) ORDER BY 1"
)


@pytest.fixture
def copied(rig: Rig) -> Rig:
    """A hundred rows, brought by four chunks."""
    rig.old(ITEMS)
    rig.new(f"{THING}; INSERT INTO thing (label) VALUES ('was here')")
    rig.ready(MAP)
    for chunk in rig.cut(30):
        rig.copy(chunk=chunk)
    return rig


def undone(rig: Rig, work: Work | None = None) -> list[int]:
    """Takes a run back; how many rows each stretch held. No map row may outlive its target row meanwhile."""
    deleted = rig.new(LOST)
    rows = []
    for stretch in rig.walk(30, work):
        rows.append(rig.undo(work, stretch).inserted)
        assert set(rig.new(LOST)) <= set(deleted)
    return rows


def left(rig: Rig) -> list[object]:
    assert rig.new("SELECT count(*) FROM migrator.migration_map WHERE run = 1") == [(0,)]
    return [label for (label,) in rig.new("SELECT label FROM thing ORDER BY id")]


def test_each_chunk_goes_as_it_came(copied: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undo, "_by_the_map", None)
    assert undone(copied) == [30, 30, 30, 10]
    assert left(copied) == ["was here"]


def test_several_chunks_go_at_once(copied: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undo, "_by_the_map", None)
    assert [copied.undo(chunk=stretch).inserted for stretch in copied.walk(60)] == [60, 40]
    assert left(copied) == ["was here"]


def test_without_a_map_rows_go_by_the_ranges_in_which_they_came(rig: Rig) -> None:
    rig.old(ITEMS)
    rig.new(f"{THING}; INSERT INTO thing (label) VALUES ('was here')")
    rig.ready("{source: old.item, target: new.thing, link: {map: false}, columns: {label: label}}")
    for chunk in rig.cut(30):
        rig.copy(chunk=chunk)
    rig.old("INSERT INTO item SELECT n, 'later' FROM generate_series(101, 170) n")
    second = rig.again()
    rig.copy(second, Range(("100",), None))
    walk = rig.walk(50)
    assert [stretch.high for stretch in walk] == [("60",), ("110",), ("160",), None]
    assert [rig.undo(chunk=stretch).inserted for stretch in walk] == [60, 40, 0, 0]
    assert rig.new("SELECT label, count(*) FROM thing GROUP BY 1 ORDER BY 1") == [
        ("later", 70),
        ("was here", 1),
    ]
    assert rig.undo(second).inserted == 70


def test_there_back_and_there_again(copied: Rig) -> None:
    undone(copied)
    undo.forget(copied.work())
    copied.register(2)
    for chunk in copied.cut(40):
        copied.copy(copied.work(run=2), chunk)
    assert undone(copied, copied.work(run=2)) == [40, 40, 20]
    assert left(copied) == ["was here"]


def test_rows_changed_since_go_too(copied: Rig) -> None:
    copied.new("UPDATE thing SET label = 'changed' WHERE source_table_id IN (7, 95)")
    assert undone(copied) == [30, 30, 30, 10]
    assert left(copied) == ["was here"]


def test_rows_deleted_since_leave_no_map_row(copied: Rig) -> None:
    copied.new("DELETE FROM thing WHERE source_table_id IN (7, 8, 95)")
    assert undone(copied) == [28, 30, 30, 9]
    assert left(copied) == ["was here"]


def test_rows_brought_again_and_rows_deleted_since_do_not_make_up_for_each_other(copied: Rig) -> None:
    copied.new("DELETE FROM thing WHERE source_table_id = 7")
    again = copied.work(guarded=True)
    assert copied.copy(again, Range(None, ("30",))).inserted == 1
    copied.new("DELETE FROM thing WHERE source_table_id = 8")
    assert undone(copied) == [28, 30, 30, 11]
    assert left(copied) == ["was here"]


def test_a_row_that_somebody_gave_a_source_id_stays(copied: Rig) -> None:
    copied.new("INSERT INTO thing (label, source_table_id) VALUES ('by hand', 0)")
    assert undone(copied) == [30, 30, 30, 10]
    assert left(copied) == ["was here", "by hand"]


def test_a_catch_up_among_the_rows_stays_and_goes_alone(copied: Rig) -> None:
    copied.old("DELETE FROM item WHERE id IN (5, 50)")
    copied.new("DELETE FROM thing WHERE source_table_id IN (5, 50)")
    copied.old("INSERT INTO item VALUES (5, 'again'), (50, 'again'), (0, 'new')")
    second = copied.again()
    for chunk in copied.cut(50):
        copied.copy(second, chunk)
    assert sum(undone(copied)) == 98
    # In no order: within a chunk rows are inserted as the server finds them.
    assert sorted(map(str, left(copied))) == ["again", "again", "new", "was here"]
    assert sum(undone(copied, second)) == 3
    assert left(copied) == ["was here"]


def test_half_a_stretch_takes_half(copied: Rig) -> None:
    (stretch, *_) = copied.walk(30)
    assert isinstance(stretch, MapRange)
    ((middle,),) = copied.new("SELECT ctid::text FROM migrator.migration_map WHERE source_key = '15'")
    halves = [
        replace(stretch, up_to=str(middle)),
        replace(stretch, above=str(middle)),
    ]
    assert [copied.undo(chunk=half).inserted for half in halves] == [15, 15]
    assert copied.new(LOST) == []


def as_kept(low: list[str], high: list[str], rig: Rig) -> Range:
    """What a chunk of an undo with these bounds is a range of."""
    chunk = Chunk(phase="undo", number=1, epoch=1, low=low, high=high)
    return tickets.ticket(chunk, 1, rig.work().table).range


def test_what_the_control_database_keeps_of_a_range_of_the_map_says_it_all(copied: Rig) -> None:
    (chunk, *_) = copied.walk(60)
    low, high = chunk.bounds()
    assert low and high and [*low] == [low[0], "(0,0)", low[2]] and len(low[0].split(",")) == 2
    assert as_kept([*low], [*high], copied) == chunk


def test_three_parts_of_a_key_are_no_range_of_the_map(rig: Rig) -> None:
    rig.old(
        "CREATE TABLE item (a int, b int, c int, label text, PRIMARY KEY (a, b, c));"
        "INSERT INTO item SELECT 1, 1, n, 'l' || n FROM generate_series(1, 100) n"
    )
    rig.new(THING)
    rig.ready("{source: old.item, target: new.thing, link: {map: false}, columns: {label: label}}")
    rig.copy()
    kept = as_kept(["1", "1", "30"], ["1", "1", "50"], rig)
    assert kept == Range(("1", "1", "30"), ("1", "1", "50"))
    assert rig.undo(chunk=kept).inserted == 20


def test_rows_of_the_map_that_were_moved_still_go(rig: Rig) -> None:
    rig.old(ITEMS)
    rig.new(THING)
    rig.ready(MAP)
    rig.target.execute(
        "INSERT INTO migrator.migration_map SELECT 'other', 'other', n, n, 9, 'inserted' FROM generate_series(1, 999) n"
    )
    rig.copy()
    (stretch,) = rig.walk(30)
    rig.target.execute("DELETE FROM migrator.migration_map WHERE mapping = 'other'")
    rig.target.execute("VACUUM FULL migrator.migration_map")
    assert rig.undo(chunk=stretch).inserted == 100
    assert left(rig) == []


READ = (
    "SELECT idx_scan, idx_tup_read FROM pg_stat_all_indexes"
    " WHERE indexrelid = 'migrator.before_image_pkey'::regclass"
)


def test_each_row_is_restored_by_a_look_at_its_own_image(rig: Rig) -> None:
    """Not at all of the run's: four times the rows are four times the work, also where nobody analysed the images."""
    rig.old("CREATE TABLE item (id integer PRIMARY KEY, label text);"
            "INSERT INTO item SELECT n, 'l' || n FROM generate_series(1, 2000) n")  # fmt: skip
    rig.new(f"{THING}; INSERT INTO thing (label) SELECT 'l' || n FROM generate_series(1, 2000) n;"
            "ALTER TABLE thing ADD n int; ANALYZE thing")  # fmt: skip
    rig.ready("{source: old.item, target: new.thing, existing: {match: [label], then: update},"
              " columns: {label: label, n: id}}")  # fmt: skip
    rig.target.execute(superseded.TARGET_INDEX.encode())
    assert rig.copy().updated == 2_000
    looked_up = "\n".join(
        line
        for (line,) in run_sql(
            rig.target,
            compose("EXPLAIN {}", remains.without_image(Scope(rig.plan, rig.plan.tables[0], 1, False))),
        )
    )
    assert "Join Filter" not in looked_up, (
        "each updated row is held against all images, or all that was inserted"
    )
    assert "Index Cond: ((run = 1) AND (table_name = 'item'::text) AND (target_key =" in looked_up
    assert "Index Scan using migration_map_target" in looked_up
    before = read_of_images(rig)
    for stretch in rig.walk(2_000):
        rig.undo(chunk=stretch)
    scans, rows = (now - was for now, was in zip(read_of_images(rig), before, strict=True))
    assert rig.new("SELECT count(*), count(n), count(source_table_id) FROM thing") == [(2_000, 0, 0)]
    assert scans >= 2_000
    assert rows <= 3 * 2_000


def read_of_images(rig: Rig) -> tuple[int, int]:
    """(look-ups in the index of the before-images, entries read there) up to now."""
    rig.target.execute("SELECT pg_stat_force_next_flush()")
    row = rig.target.execute(READ).fetchone()
    assert row is not None
    return row[0], row[1]
