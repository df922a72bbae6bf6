"""Tables that are copied by their pages, while their rows move: whole runs, held up in the middle of the walk."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from unittest.mock import patch

import pytest

from jobs.actions import runs
from jobs.engine.moving import ranges
from jobs.models import Chunk, Run, StepRun
from jobs.running.steps import late_indexes
from migrator_site.embedded import Postgres
from tests.conftest import Pair
from tests.journeys.acceptance import Promise
from tests.journeys.conftest import ONE_LAYOUT
from tests.journeys.gate import closed_gate, meanwhile
from tests.journeys.test_timeouts import takes_too_long
from tests.journeys.world import NewWorld, World, execute, fresh, said, work

ROWS, CHUNK = 3_000, 500
SOURCE = f"""
CREATE TABLE item (id uuid PRIMARY KEY, number integer NOT NULL, label text) WITH (autovacuum_enabled = off);
INSERT INTO item SELECT md5(n::text)::uuid, n, repeat('item ', 40) || n FROM generate_series(1, {ROWS}) n
"""
TARGET = "CREATE TABLE thing (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, number integer, label text)"
MAPPING = """
version: 1
name: stock
on_error: quarantine
tables:
  - {source: item, target: thing, walk: pages, columns: {number: number, label: label}}
"""
PROMISE = Promise(
    "stock", "item", "SELECT id::text, number, label FROM item",
    "SELECT source_table_id::text, id::text, number, label FROM thing",
)  # fmt: skip
MOVE = """
UPDATE item SET label = label || '' WHERE number % 3 = 0;
DELETE FROM item WHERE number BETWEEN 2700 AND 2750;
INSERT INTO item SELECT md5(n::text)::uuid, n, 'born late' FROM generate_series(3001, 3100) n
"""


@pytest.fixture
def walked(world: World) -> World:
    """A table of some ninety pages, to be copied by them."""
    world.source(SOURCE)
    world.target(TARGET)
    world.define(MAPPING, PROMISE)
    return world


def held_up(world: World, act: Callable[[], object]) -> Run:
    """A run that is worked on to its end, and what is done while a chunk in the middle waits in the target."""
    # However fast or slow the chunks before it were, this one ends far before the rows that are deleted meanwhile.
    small = patch.object(ranges, "LARGEST", CHUNK)
    with small, closed_gate(world.pair.target, "thing", "NEW.number = 1200") as gate:
        run = world.start()
        run.tables.update(chunk_rows=CHUNK)
        with meanwhile(lambda: work(run)):
            gate.wait_for_somebody()
            act()
            gate.open()
    return fresh(run)


def rows_of_chunks(run: Run, again: bool) -> list[int]:
    """What the chunks of pages brought: of the walk, or of what followed it."""
    chunks = Chunk.objects.filter(table__run=run, phase="copy", pages__again=again)
    return list(chunks.order_by("number").values_list("rows", flat=True))


def test_rows_move_while_it_walks(walked: World) -> None:
    run = held_up(walked, lambda: walked.source(MOVE))
    assert run.status == "verified", said(run)
    assert walked.complaints() == []
    assert len(rows_of_chunks(run, again=False)) > 2
    assert sum(rows_of_chunks(run, again=True)) > 100
    assert walked.rolled_back(run).status == "rolled_back"
    assert walked.target("SELECT count(*) FROM thing") == [(0,)]
    again = walked.started()
    assert (again.status, walked.complaints()) == ("verified", [])


@ONE_LAYOUT
def test_a_table_that_is_rewritten_is_walked_through_once_more(walked: World) -> None:
    def rewrite() -> None:
        walked.source(MOVE)
        walked.source("VACUUM FULL item")

    run = held_up(walked, rewrite)
    assert (run.status, walked.complaints()) == ("verified", [])
    assert any("rewritten" in text for text in said(run))


def test_a_chunk_that_fails_is_searched_and_its_bad_rows_are_set_aside(walked: World) -> None:
    walked.target("ALTER TABLE thing ADD CHECK (number % 1000 <> 77)")
    run = walked.started()
    assert run.status == "verified"
    assert run.tables.get().quarantined == 3
    walked.source("UPDATE item SET number = number + 1 WHERE number % 1000 = 77")
    second = walked.started()
    assert (second.status, walked.complaints()) == ("verified", [])
    assert walked.rolled_back(second).status == walked.rolled_back(run).status == "rolled_back"
    assert walked.target("SELECT count(*) FROM thing") == [(0,)]


FAMILY = """
version: 1
name: stock
tables:
  - {source: item, target: thing, walk: pages, LINK
     columns: {number: number, label: label, before: {from: before, ref: {table: item, column: id}}}}
  - {source: note, target: remark, walk: pages, LINK columns: {thing: {from: item, ref: item}, said: said}}
"""
REMARKS = Promise(
    "stock", "note", "SELECT n.id::text, i.number, n.said FROM note n JOIN item i ON i.id = n.item",
    "SELECT r.source_table_id::text, r.id::text, t.number, r.said FROM remark r JOIN thing t ON t.id = r.thing",
)  # fmt: skip


@ONE_LAYOUT
@pytest.mark.parametrize("link", ["", "link: {map: false},"], ids=["with map", "without"])
def test_children_find_their_parents_that_moved_while_they_were_copied(
    walked: World, link: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of tables that others wait for the sweep comes before those, when the index is there that it looks rows up by;
    links are filled by keys once all is in."""
    monkeypatch.setattr(late_indexes, "WORTH_ROWS", 1_000)
    walked.source("ALTER TABLE item ADD before uuid REFERENCES item DEFERRABLE INITIALLY DEFERRED")
    walked.source("UPDATE item SET before = md5((number % 2000 + 1)::text)::uuid WHERE number > 1")
    walked.source("CREATE TABLE note (id uuid PRIMARY KEY, item uuid REFERENCES item, said text)")
    walked.source("INSERT INTO note SELECT gen_random_uuid(), id, label FROM item WHERE number < 2500")
    walked.target("ALTER TABLE thing ADD before bigint REFERENCES thing")
    walked.target(
        "CREATE TABLE remark (id bigserial PRIMARY KEY, thing bigint NOT NULL REFERENCES thing, said text)"
    )
    promises = (replace(PROMISE, has_map=not link), replace(REMARKS, has_map=not link))
    walked.define(FAMILY.replace("LINK", link), *promises)

    def move() -> None:
        assert (
            StepRun.objects.filter(note=late_indexes.NOTE).count() == 2
        )  # they come after each table's walk
        walked.source(MOVE)

    run = held_up(walked, move)
    assert run.status == "verified", said(run)
    assert walked.complaints() == []
    assert not any("too late" in text for text in said(run))
    assert run.tables.filter(walk__ended=True).count() == 2
    assert walked.rolled_back(run).status == "rolled_back"
    assert walked.target("SELECT count(*) FROM thing") == [(0,)]


def wrap(server: Postgres, ahead: int) -> None:
    """Starts a server's transaction ids anew, an age later, so that `ahead` more are left until one is met whose 32
    bits are those that all rows of the table carry."""
    for database in ("postgres", "template1", "old"):
        execute(server.url(database), "VACUUM (FREEZE)")
    writer = int(str(execute(server.url("old"), "SELECT max(xmin::text::bigint) FROM item")[0][0]))
    server.stop("fast")
    command = [
        str(server.binaries / "pg_resetwal"),
        "-e",
        "1",
        "-x",
        str(writer - ahead),
        "-D",
        str(server.data),
    ]
    subprocess.run(command, check=True, capture_output=True, cwd="/", **server.account.popen_options())
    server.start()


def test_rows_whose_writers_ids_come_round_again_in_the_middle_come_once(
    new_world: NewWorld, crashing: Postgres
) -> None:
    """Rows are frozen; by their 32 bits they were written before the walk began, and then suddenly after it."""
    pair = new_world("two").pair
    crashing.create_database("old")
    walked = World(Pair(crashing.url("old"), pair.target), "wrapped")
    walked.source(SOURCE)
    walked.target(TARGET)
    walked.define(MAPPING, PROMISE)
    wrap(crashing, ahead=50)
    old = "SELECT count(*), count(*) FILTER (WHERE age(xmin) < 0) FROM item"
    assert walked.source(old) == [(ROWS, ROWS)]
    run = held_up(walked, lambda: [walked.source("SELECT pg_current_xact_id()") for _ in range(100)])
    assert (run.status, walked.complaints()) == ("verified", [])
    before, after = sum(rows_of_chunks(run, again=False)), sum(rows_of_chunks(run, again=True))
    assert before > 0
    assert after > 0
    assert before + after == ROWS


@ONE_LAYOUT
def test_a_chunk_that_takes_too_long_is_cut_into_fewer_pages(walked: World) -> None:
    takes_too_long(walked)
    run = walked.start()
    run.tables.update(chunk_rows=ROWS + 1)
    assert work(run).status == "verified"
    assert walked.complaints() == []
    chunks = Chunk.objects.filter(table__run=run, phase="copy", pages__again=False)
    cut = sorted(chunks.values_list("pages__first", "pages__end"))
    assert len(cut) > 2
    assert [end for _, end in cut[:-1]] == [first for first, _ in cut[1:]]


@ONE_LAYOUT
def test_a_run_that_stopped_goes_on_where_it_was(walked: World) -> None:
    """Rows moved meanwhile, and the table was rewritten: what is left is found however it lies now."""
    walked.define(MAPPING.replace("on_error: quarantine", "on_error: stop"), PROMISE)
    walked.target("ALTER TABLE thing ADD CHECK (number <> 2000)")
    run = walked.start()
    run.tables.update(chunk_rows=500)
    assert work(run).status == "failed"
    walked.source(MOVE)
    walked.source("VACUUM FULL item")
    walked.source("UPDATE item SET number = -number WHERE number = 2000")
    runs.retry(fresh(run), None)
    assert (work(run).status, walked.complaints()) == ("verified", [])
