"""Scripts for psql, executed by psql: the same rows as the worker brings, once, and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Databases
from tests.export.conftest import Twins
from tests.export.twins import SOURCE, TARGET, Twin, likeness
from tests.journeys.world import Layout


def test_they_end_in_what_a_worker_makes(twins: Twins, tmp_path: Path) -> None:
    hand, worker = twins
    before = hand.state()
    assert before == worker.state()
    folder = hand.export(tmp_path / "out", rows=17)
    for path in sorted(folder.glob("*.sql"))[:3]:
        hand.psql(folder, path.name)
    hand.psql(folder / "undo")
    assert hand.state() == before, "of what was broken off before any row was copied"
    said = hand.psql(folder)
    worker.verified()
    assert likeness(hand) == likeness(worker)
    assert hand.backrefs()
    assert "customer: copy chunk 7" in said

    done, remembered, ids = hand.everything(), hand.remembered(), hand.target(IDS)
    hand.psql(folder)
    assert hand.everything() == done

    hand.target(
        "ALTER TABLE migrator.remembered_chunk DROP source_numbers, DROP target_numbers"
    )  # an older version's
    hand.psql(folder / "undo")
    assert hand.state() == before
    assert hand.target("SELECT count(*) FROM migrator.run WHERE rolled_back_at IS NULL") == [(0,)]
    hand.psql(folder / "undo")
    assert hand.state() == before

    hand.psql(folder)
    assert hand.remembered()["ledger"] == remembered["ledger"]
    assert hand.rows()["client"] and hand.backrefs()
    assert hand.target(IDS) == ids, "of the same source rows"


IDS = """
SELECT (SELECT array_agg((id, code)::text ORDER BY id) FROM new.account),
  (SELECT array_agg((id, full_name)::text ORDER BY id) FROM new.client),
  (SELECT array_agg((id, total)::text ORDER BY id) FROM new.sale)
"""
TOUCHED = """
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.{1} := 'touched'; RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE UPDATE ON {0} FOR EACH ROW EXECUTE FUNCTION touch();
"""


def test_the_same_on_postgresql_16_with_triggers(databases16: Databases, tmp_path: Path) -> None:
    hand, worker = (
        Twin(databases16, "two", name).filled(
            SOURCE + TOUCHED.format("customer", "name"), TARGET + TOUCHED.format("client", "origin")
        )
        for name in ("hand", "worker")
    )
    before = hand.state()
    folder = hand.export(tmp_path / "out", rows=17)
    hand.psql(folder)
    worker.verified()
    assert likeness(hand) == likeness(worker)
    hand.psql(folder / "undo")
    assert hand.state() == before


def test_a_view_over_a_widened_column_comes_back_both_ways(databases: Databases, tmp_path: Path) -> None:
    view = f"{TARGET} CREATE VIEW names AS SELECT full_name || 'it''s' AS name FROM client WHERE id > 0;"
    view += "ALTER TABLE account ADD note text;" + TOUCHED.format("account", "note")
    old = SOURCE + TOUCHED.format("customer", "name")
    hand, worker = (Twin(databases, "one", name).filled(old, view) for name in ("hand", "worker"))
    before = hand.state()
    folder = hand.export(tmp_path / "out")
    assert any("VIEW" in path.read_text() for path in folder.glob("*widen*"))
    hand.psql(folder)
    worker.verified()
    assert likeness(hand) == likeness(worker)
    hand.psql(folder / "undo")
    assert hand.state() == before


GROWN_SOURCE = (
    "CREATE TABLE item (id bigint PRIMARY KEY, up bigint); INSERT INTO item VALUES (3000000000, 3000000000)"
)
GROWN_TARGET = """
CREATE TABLE thing (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, up int REFERENCES thing CHECK (up > 0), other int);
INSERT INTO thing (other) SELECT generate_series(1, 2000); UPDATE thing SET up = id; CREATE INDEX ON thing (up);
CREATE VIEW ids AS SELECT id, up FROM thing;
"""
GROWN = "tables:\n  - {name: item, source: old.item, target: new.thing, columns: {id: id, up: up}}"


@pytest.mark.parametrize(("layout", "server"), [("one", "databases"), ("two", "databases16")])
def test_columns_widened_the_safe_way(
    request: pytest.FixtureRequest, layout: Layout, server: str, tmp_path: Path
) -> None:
    servers = request.getfixturevalue(server)
    hand, worker = (
        Twin(servers, layout, name).filled(GROWN_SOURCE, GROWN_TARGET, GROWN) for name in ("hand", "worker")
    )
    hand.safe = worker.safe = True
    before, rows = hand.shape_of_both(), hand.target("SELECT id, up, other FROM new.thing ORDER BY 1")
    folder = hand.export(tmp_path / "out")
    hand.psql(folder)
    run = worker.verified()
    assert (hand.state(), hand.remembered()) == (worker.state(), worker.remembered())
    assert hand.target("SELECT max(id), max(up) FROM new.ids") == [(3000000000, 3000000000)]

    done = hand.everything()
    hand.psql(folder)
    assert hand.everything() == done

    for twin in (hand, worker):  # a sequence that counted on would keep the width
        twin.target("SELECT setval('new.thing_id_seq', 2000)")
    hand.psql(folder / "undo")
    worker.undo(run)
    for twin in (hand, worker):
        assert twin.shape_of_both() == before
        assert twin.target("SELECT id, up, other FROM new.thing ORDER BY 1") == rows


TREE_SOURCE = """
CREATE TABLE folder (id int PRIMARY KEY, parent int, name text);
INSERT INTO folder VALUES (9, NULL, 'Home'), (2, 9, 'Reports'), (3, 2, '2024'), (5, 9, 'Photos'), (1, 5, '2024');
CREATE TABLE other (id int PRIMARY KEY, parent int, name text); INSERT INTO other VALUES (1, 9, 'Reports');
"""
TREE_TARGET = """
CREATE TABLE folder (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, parent bigint REFERENCES folder, name text,
  note text);
INSERT INTO folder (parent, name, note) VALUES (NULL, 'Home', 'h'), (1, 'Reports', 'r'), (2, '2024', 'y');
"""
TREE = """
tables:
  - {name: folder, source: old.folder, target: new.folder,
      existing: {match: ["coalesce(parent, 0)", name], then: update},
      columns: {parent: {from: parent, ref: folder}, name: name, note: name}}
  - {name: other, source: old.other, target: new.folder, existing: {match: [parent, name], then: update},
      columns: {parent: {from: parent, ref: folder}, name: name, note: {value: last}}}
"""


@pytest.mark.parametrize("layout", ["one", "two"])
def test_a_tree_is_merged_level_by_level_and_the_last_has_the_say(
    databases: Databases, layout: Layout, tmp_path: Path
) -> None:
    hand, worker = (
        Twin(databases, layout, name).filled(TREE_SOURCE, TREE_TARGET, TREE) for name in ("hand", "worker")
    )
    before = hand.state()
    folder = hand.export(tmp_path / "out")
    hand.psql(folder)
    worker.verified()
    assert (hand.state(), hand.remembered()) == (worker.state(), worker.remembered())
    assert hand.target("SELECT parent, name, note FROM new.folder ORDER BY id") == [
        (None, "Home", "Home"), (1, "Reports", "last"), (2, "2024", "2024"), (1, "Photos", "Photos"),
        (4, "2024", "2024"),
    ]  # fmt: skip
    hand.psql(folder / "undo")
    assert hand.state() == before
