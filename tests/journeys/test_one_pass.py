"""Tables whose keys lie at random are verified in passes over both sides: what is wrong is found, kept, repaired."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import LazySettings
from django.db.models.functions import Now

from jobs import phases
from jobs.actions import repairs, runs
from jobs.engine.one_pass import compare as one_pass
from jobs.engine.one_pass import scattered
from jobs.models import Chunk, Run
from jobs.running.session import STALE_AFTER
from jobs.throttles import Throttles
from tests.journeys.test_verification import kept
from tests.journeys.world import NewWorld, World, fresh, reported, said, work

ROWS = 2_000
SOURCE = f"""
CREATE TABLE item (id uuid PRIMARY KEY, n int, up uuid);
INSERT INTO item SELECT md5(i::text)::uuid, i, md5((i / 2)::text)::uuid FROM generate_series(1, {ROWS}) i;
UPDATE item SET up = NULL WHERE n = 1
"""
MAPPING = """
version: 1
name: random
tables:
  - {source: item, target: thing, columns: {n: n, up: {from: up, ref: item}}}
"""
SEEDED = """
UPDATE thing SET n = -1 WHERE n = 7;
UPDATE thing SET up = (SELECT id FROM thing WHERE n = 9) WHERE n = 800;
UPDATE thing SET is_migrated = false WHERE n = 900;
DELETE FROM thing WHERE n IN (1500, 1501);
INSERT INTO thing (n, source_table_id, is_migrated) VALUES (5, md5('none')::uuid, true)
"""
WRONG = {"missing": 2, "extra": 1, "different": 3}


@pytest.fixture(params=[("one", 1), ("two", 2)], ids=str)
def random(
    request: pytest.FixtureRequest, new_world: NewWorld, settings: LazySettings, monkeypatch: Any
) -> World:
    """Two thousand rows with keys at random: in one database to be verified in one pass, between two in two."""
    layout, passes = request.param
    world = new_world(layout)
    settings.ONE_PASS_BYTES = 1
    monkeypatch.setattr(scattered, "ROWS_OF_A_PASS", ROWS // passes)
    world.source(SOURCE)
    world.target("CREATE TABLE thing (id bigserial PRIMARY KEY, n int, up bigint)")
    world.define(MAPPING)
    return world


def verified(run: Run) -> dict[str, Any]:
    """The table's part of the report of a new verification."""
    runs.verify(fresh(run), None)
    work(run)
    (table,) = reported(run)
    return {name: table[name] for name in ("missing", "extra", "different")}


def test_what_is_wrong_is_found_kept_and_repaired_by_its_keys(random: World) -> None:
    run = random.started()
    (table,) = reported(run)
    of = {1: "one pass", 2: "2 passes"}[table["passes"]]
    assert (run.status, table["source_rows"]) == ("verified", ROWS)
    assert any(f"in {of} over both sides" in text for text in said(run))
    random.target(SEEDED)
    assert verified(run) == WRONG
    assert sorted(one[0] for one in kept(run)) == ["different"] * 3 + ["extra"] + ["missing"] * 2
    repairs.repair(fresh(run), None)
    mended = Chunk.objects.filter(table__run=run, phase__in=("copy", "repair"), only__isnull=False)
    assert sum(len(chunk.only or ()) for chunk in mended) == 5
    work(run)
    assert {name: reported(run)[0][name] for name in WRONG} == {"missing": 0, "extra": 1, "different": 0}
    assert random.target("SELECT count(*) FROM thing WHERE n = -1 OR NOT is_migrated") == [(0,)]


def test_a_worker_dies_in_the_middle_and_what_it_kept_is_not_kept_twice(
    random: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = random.started()
    random.target(SEEDED)
    compared = one_pass.compare_part
    died: list[bool] = []

    def dying(*args: Any) -> Any:
        found = compared(*args)
        if not died and found.recorded:  # committed in the target, not known in the control database
            died.append(True)
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(one_pass, "compare_part", dying)
    runs.verify(fresh(run), None)
    with pytest.raises(KeyboardInterrupt):
        work(run)
    claimed = Chunk.objects.filter(table__run=run, phase=phases.VERIFY, state="claimed")
    assert claimed.update(seen=Now() - STALE_AFTER * 2) == 1
    work(run)
    (table,) = reported(run)
    assert {name: table[name] for name in WRONG} == WRONG
    assert (table["differences"], table["recorded"], len(kept(run))) == (6, 6, 6)


def test_where_more_is_wrong_than_can_be_named_ranges_of_keys_are_compared(
    random: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_pass, "MOST_WRONG", 0)
    monkeypatch.setattr(one_pass, "MOST_ROWS", 0)
    run = random.started()
    random.target(SEEDED)
    assert verified(run) == WRONG
    (table,) = reported(run)
    assert (table["passes"], table["differences"], len(kept(run))) == (0, 6, 6)
    assert "in the order of its keys instead" in " ".join(said(run))


@pytest.mark.parametrize("random", [("two", 1)], indirect=True, ids=str)
def test_keys_in_order_and_throttled_runs_are_walked_by_keys(random: World) -> None:
    run = random.start()
    runs.throttle(fresh(run), None, Throttles(rows_per_second=1_000_000))
    assert work(run).status == "verified"
    assert reported(run)[0]["passes"] == 0
    random.rolled_back(run)
    random.source("CREATE TABLE ordered AS TABLE item ORDER BY id; DROP TABLE item; ALTER TABLE ordered RENAME TO item;"
                  "ALTER TABLE item ADD PRIMARY KEY (id)")  # fmt: skip
    assert reported(random.started())[0]["passes"] == 0
