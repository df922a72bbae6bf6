"""Whether a table is read by its keys or by its pages, and what the plan says of it."""

from __future__ import annotations

import pytest

from mappings.catalog import row_order
from tests.journeys.world import execute
from tests.planning.drawing import Board

THING = "CREATE TABLE thing (id bigserial PRIMARY KEY, label text, other bigint)"
ITEM = "CREATE TABLE item (id uuid PRIMARY KEY, label text, lists text[]); "
MAPPING = "{source: old.item, target: new.thing, %s columns: {label: label}}"

CANNOT = {
    "old.item is a view": (
        "CREATE TABLE t (id uuid PRIMARY KEY, label text); CREATE VIEW item AS TABLE t",
        "key: [id],",
    ),
    "old.item is a partitioned table": (
        "CREATE TABLE item (id uuid PRIMARY KEY, label text) PARTITION BY HASH (id)",
        "",
    ),
    "old.item has children by inheritance": (f"{ITEM} CREATE TABLE more () INHERITS (item)", ""),
    "a row of old.item is known by its whole content": (ITEM, "key: content,"),
    "a row of old.item is known by being the first of its key": (ITEM, "key: [label], distinct: true,"),
    "a row of old.item may become several": (ITEM, "alias: i, joins: [{unnest: i.lists, alias: x, ordinality: n}],"),
}  # fmt: skip


@pytest.mark.parametrize("why", CANNOT)
def test_what_has_no_pages_of_its_own_goes_by_keys_and_says_why(one: Board, why: str) -> None:
    made, options = CANNOT[why]
    one.given(
        f"{made}; ALTER TABLE IF EXISTS item ALTER label SET NOT NULL" if "VIEW" not in made else made, THING
    )
    (table,) = one.plan(MAPPING % options).tables
    assert (table.feed.walk, table.feed.walk_why) == ("keys", why)
    blockers = one.plan(MAPPING % f"{options} walk: pages,").blockers
    text = f"{why}, so it cannot be read by its pages; leave walk out, or write keys"
    assert [(blocker.path, blocker.text) for blocker in blockers] == [("tables[0].walk", text)]


def test_pages_are_chosen_for_keys_at_random_in_a_table_beyond_memory(
    two: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    two.given(
        f"{ITEM} CREATE TABLE ranked (id integer PRIMARY KEY, label text);"
        "ALTER TABLE item SET (autovacuum_enabled = off); ALTER TABLE ranked SET (autovacuum_enabled = off);"
        "INSERT INTO item SELECT md5(n::text)::uuid, repeat('l', 700) FROM generate_series(1, 13000) n;"
        "INSERT INTO ranked SELECT n, repeat('l', 700) FROM generate_series(1, 13000) n",
        THING,
    )
    no_map = MAPPING % "name: NAME, link: {source_id: NAME_id, map: false},"
    both = "\n".join(
        no_map.replace("old.item", "old.NAME").replace("NAME", name) for name in ("item", "ranked")
    )

    def said() -> list[tuple[str, str]]:
        return [(table.feed.walk, table.feed.walk_why) for table in two.plan(both).tables]

    small = "in memory (shared_buffers)"
    assert [(walk, small in why) for walk, why in said()] == [("keys", True)] * 2
    monkeypatch.setattr(row_order, "LOOK", row_order.LOOK.replace("shared_buffers", "temp_buffers"))  # 8 MB
    assert [(walk, "never analysed" in why) for walk, why in said()] == [("keys", True)] * 2
    execute(two.pair.source, "ANALYZE old.item, old.ranked")
    (item, item_why), (ranked, ranked_why) = said()
    assert (item, ranked) == ("pages", "keys")
    assert item_why.startswith(
        "keys of old.item lie at random (correlation of id with the order of rows: 0.0"
    )
    assert two.table(MAPPING % "").feed.walk_why.startswith("the migration map is kept")
    assert ranked_why == (
        "rows of old.ranked lie in the order of their keys (correlation of id with the order of rows: 1.00)"
    )
