"""Walks by pages: of each row one version at most is taken, whatever happens to the table meanwhile."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import psycopg
import pytest

from jobs.engine.feed import Work
from jobs.engine.moving import walk
from jobs.engine.sql.walks import pages
from jobs.engine.sql.walks.chunk_range import PageRange
from jobs.engine.sql.walks.pages import Pages
from mappings.sql import verbatim
from tests.engine.rig import Rig
from tests.journeys.acceptance import Promise, broken
from tests.journeys.world import execute

OLD = """
CREATE TABLE item (id uuid PRIMARY KEY, number integer, label text) WITH (autovacuum_enabled = off);
INSERT INTO item SELECT md5(n::text)::uuid, n, repeat('l', 200) FROM generate_series(1, 400) n
"""
MAPPING = "{source: old.item, target: new.thing, walk: pages, %s columns: {number: number, label: label}}"
PROMISE = Promise(
    "rig", "item", "SELECT id::text, number FROM old.item",
    "SELECT source_table_id::text, id::text, number FROM new.thing",
)  # fmt: skip


@pytest.fixture
def walked(rig: Rig) -> Rig:
    """Four hundred rows on some dozen pages, planned to be walked by pages."""
    rig.old(OLD)
    rig.new("CREATE TABLE thing (id serial PRIMARY KEY, number integer, label text)")
    rig.ready(MAPPING % "")
    assert (rig.plan.tables[0].feed.walk, rig.plan.tables[0].feed.walk_why) == (
        "pages",
        "the mapping says so",
    )
    return rig


def ranges(whole: Pages, parts: int = 4) -> list[PageRange]:
    """A walk in so many ranges."""
    bounds = [whole.end * n // parts for n in range(parts + 1)]
    return [PageRange(pages=replace(whole, first=first, end=end)) for first, end in pairwise(bounds)]


def swept(rig: Rig, before: Pages) -> int:
    """How many rows a sweep brings, after a walk."""
    assert before.below is not None
    whole, _ = walk.sweep(rig.work(), before.below)
    return sum(rig.copy(rig.work(guarded=True), chunk).inserted for chunk in ranges(whole, 2))


def test_ranges_of_pages_cover_every_row_once(walked: Rig) -> None:
    whole = walk.freeze(walked.work())
    assert sum(walked.copy(chunk=chunk).inserted for chunk in ranges(whole)) == 400
    assert swept(walked, whole) == 0
    assert broken(*walked.pair, PROMISE) == []
    lines = walked.new("SELECT low, high, pages::text FROM migrator.ledger ORDER BY chunk LIMIT 1")
    assert lines == [(None, None, f"[0,{whole.end // 4})")]


def test_rows_of_text_keys_are_streamed_where_no_map_is_kept(rig_two: Rig) -> None:
    """No range has to hold in the target then, so both sides may sort texts as they like."""
    rig_two.old(f"{OLD}; ALTER TABLE item ALTER id TYPE text")
    rig_two.new("CREATE TABLE thing (id serial PRIMARY KEY, number integer, label text)")
    rig_two.ready(MAPPING % "link: {map: false},")
    whole = walk.freeze(rig_two.work())
    assert sum(rig_two.copy(chunk=chunk).inserted for chunk in ranges(whole)) == 400
    assert rig_two.target.execute("SELECT to_regclass('pg_temp.feed_copy_item')").fetchone() == (None,)
    assert swept(rig_two, whole) == 0
    assert broken(*rig_two.pair, replace(PROMISE, has_map=False)) == []


def test_rows_that_move_while_it_walks_come_once(walked: Rig) -> None:
    whole = walk.freeze(walked.work())
    first, second, third, fourth = ranges(whole)
    assert walked.copy(chunk=first).inserted > 0
    # Each row of the first range is there twice now: as it was copied, and in a page that comes.
    walked.old(f"UPDATE item SET number = number WHERE ctid < '({first.pages.end},0)'")
    walked.old("UPDATE item SET number = number WHERE number % 5 = 0; DELETE FROM item WHERE number = 399")
    walked.old("INSERT INTO item SELECT md5(n::text)::uuid, n, 'new' FROM generate_series(401, 450) n")
    longer = replace(fourth, pages=replace(fourth.pages, end=whole.end + 1_000))
    for chunk in (second, third, longer):
        walked.copy(chunk=chunk)
    there = walked.new("SELECT count(*), count(DISTINCT source_table_id) FROM thing")[0]
    assert there[0] == there[1]
    assert int(str(there[0])) < 400
    assert swept(walked, whole) > 50
    assert broken(*walked.pair, PROMISE) == []


def test_what_a_subtransaction_wrote_is_not_taken_for_older(walked: Rig) -> None:
    """A snapshot lists transactions that are under way, but not their subtransactions."""
    with psycopg.connect(walked.pair.source) as writer:
        writer.execute("SET search_path = old; SELECT pg_current_xact_id(); SAVEPOINT s")
        writer.execute("UPDATE item SET number = number WHERE number <= 40")
        walked.old("SELECT pg_current_xact_id()")  # a later transaction ends before
        whole = walk.freeze(walked.work())
        first, rest = ranges(whole, 2)
        assert walked.copy(chunk=first).inserted > 40
    walked.copy(chunk=replace(rest, pages=replace(rest.pages, end=whole.end + 1_000)))
    assert broken(*walked.pair, PROMISE) == []


@pytest.mark.parametrize(
    "rewrite", ["VACUUM FULL old.item", "CLUSTER old.item USING item_pkey", "TRUNCATE old.item"]
)
def test_a_rewritten_table_gives_a_walk_no_more_rows(walked: Rig, rewrite: str) -> None:
    whole = walk.freeze(walked.work())
    first, second, *_ = ranges(whole)
    walked.copy(chunk=first)
    assert walk.stands(walked.work(), whole)
    execute(walked.pair.source, rewrite)
    assert walked.copy(chunk=second).inserted == 0
    assert not walk.stands(walked.work(), whole)


def test_a_server_that_was_started_again_gives_a_walk_no_more_rows(walked: Rig) -> None:
    whole = replace(walk.freeze(walked.work()), server="1795888687.258089")
    assert walked.copy(chunk=PageRange(pages=whole)).inserted == 0
    assert not walk.stands(walked.work(), whole)


def taken(rig: Rig, work: Work, start: int) -> int:
    """How many rows a walk takes that began when this transaction was the oldest under way."""
    found = pages.condition(
        verbatim("c"), work.table.feed.source_sql, replace(walk.freeze(work), below=start)
    )
    return int(str(rig.old(f"SELECT count(*) FROM item AS c WHERE {found}")[0][0]))


def test_only_the_certainly_older_are_taken(walked: Rig) -> None:
    """Whatever is between the start and now by its 32 bits is left out, also where it is as old as the hills."""
    work = walked.work()
    writer = int(str(walked.old("SELECT xmin::text::bigint FROM item LIMIT 1")[0][0]))
    assert [taken(walked, work, start) for start in (writer + 1, writer, writer - 1)] == [400, 0, 0]
    # A start in the future, or so long ago that bits no longer tell: nothing is certain.
    assert [taken(walked, work, start) for start in (2**40, writer - 2**31, writer - 2**33)] == [0, 0, 0]
    execute(walked.pair.source, "VACUUM (FREEZE) old.item")
    assert [taken(walked, work, start) for start in (writer + 1, writer)] == [400, 0]
