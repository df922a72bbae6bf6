"""A replica that lags takes the place of the source, or of the target, in the middle of a run: the last transactions of
the old primary are lost, and their ids are used again by others on the new one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial

import psycopg
import pytest

from jobs.actions import runs
from jobs.engine.moving import ranges
from jobs.engine.target.ledger import FORGOTTEN
from jobs.models import Run
from jobs.running import prepare
from jobs.running.session import Session
from jobs.running.steps import late_indexes
from migrator_site.embedded import Postgres
from tests.conftest import Databases, Pair
from tests.journeys import test_page_walks as walks
from tests.journeys.acceptance import Promise
from tests.journeys.gate import closed_gate, meanwhile
from tests.journeys.replicas import Replica, replica_of
from tests.journeys.world import World, execute, fresh, said, work

pytestmark = pytest.mark.faults

WALKS = pytest.mark.parametrize("walk", ["pages", "keys"])
NEXT_ID = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"

LOST = [
    "UPDATE item SET label = 'lost ' || number WHERE number BETWEEN 100 AND 129 OR number > 2990",
    "DELETE FROM item WHERE number BETWEEN 200 AND 219 OR number BETWEEN 2800 AND 2809",
    "INSERT INTO item SELECT md5(n::text)::uuid, n, 'lost' FROM generate_series(5001, 5010) n",
]
INSTEAD = [
    "INSERT INTO item SELECT md5(n::text)::uuid, n, 'instead' FROM generate_series(6001, 6040) n",
    "UPDATE item SET label = 'instead ' || number WHERE number BETWEEN 900 AND 919 OR number BETWEEN 2000 AND 2029",
    "DELETE FROM item WHERE number BETWEEN 700 AND 709 OR number BETWEEN 2500 AND 2509",
    "UPDATE item SET label = label || '' WHERE number BETWEEN 1 AND 50",
]
"""Each in a transaction of its own; the latter as many or more, so that every id of the former is used again."""


@pytest.fixture(autouse=True)
def chunks_that_stay_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """However fast they go: what comes before the one that waits, and what after it, is the same each time."""
    monkeypatch.setattr(ranges, "LARGEST", walks.CHUNK)


@pytest.fixture
def replica(crashing: Postgres) -> Iterator[Replica]:
    """Of a server of which the commits are lost that it has not got."""
    with replica_of(crashing) as made:
        yield made


@pytest.mark.parametrize("copied", [True, False], ids=["that were copied", "that were not"])
@WALKS
def test_a_source_that_forgot_transactions(
    replica: Replica, databases: Databases, walk: str, copied: bool
) -> None:
    """Whatever the target then has beside the new primary's rows is named, row by row; nothing is missing."""
    world = World(Pair(Databases(replica.primary).fresh(), databases.fresh()))
    world.source(walks.SOURCE)
    world.target(walks.TARGET)
    world.define(walks.MAPPING.replace("walk: pages", f"walk: {walk}"), walks.PROMISE)
    run = with_another_source(world, replica, copied)
    extra, different = beside_the_source(world, walks.PROMISE)
    assert run.status == "mismatch", said(run)
    assert found(run) == (0, extra, different)
    assert different > 0 and extra >= (10 if copied else 0)
    runs.repair(run, None)
    run = work(run)
    assert found(run) == (0, extra, 0)
    assert run.status == ("mismatch" if extra else "verified")
    assert beside_the_source(world, walks.PROMISE) == (extra, 0)
    assert world.rolled_back(run).status == "rolled_back"
    assert (world.started().status, world.complaints()) == ("verified", [])


@WALKS
def test_a_standby_that_is_copied_from_is_promoted(replica: Replica, databases: Databases, walk: str) -> None:
    """Its sessions stay; what its primary had not committed ends, and the ids that follow are its own."""
    primary = Databases(replica.primary).fresh()
    execute(primary, walks.SOURCE)
    world = World(Pair(replica.url(primary), databases.fresh()))
    world.target(walks.TARGET)
    with closing(psycopg.connect(primary)) as open_still:  # it never commits
        open_still.execute("UPDATE item SET label = 'never' WHERE number < 500 OR number > 2800")
        execute(
            primary,
            "INSERT INTO item SELECT md5(n::text)::uuid, n, 'after' FROM generate_series(4001, 4050) n",
        )
        replica.miss_what_follows()
        world.define(walks.MAPPING.replace("walk: pages", f"walk: {walk}"), walks.PROMISE)

        def promote() -> None:
            replica.take_over()
            for statement in SAME:
                world.source(statement)

        run = walks.held_up(world, promote)
    assert (run.status, world.complaints()) == ("verified", []), said(run)
    assert run.tables.get().inserted == ROWS_IN_THE_END


SAME = [
    "UPDATE item SET label = label || '' WHERE number % 3 = 0",
    "INSERT INTO item SELECT md5(n::text)::uuid, n, 'instead' FROM generate_series(6001, 6040) n",
    "UPDATE item SET label = label || '' WHERE number > 2900",
]
ROWS_IN_THE_END = walks.ROWS + 50 + 40


def with_another_source(world: World, replica: Replica, copied: bool) -> Run:
    """A run whose source is replaced while a chunk in the middle waits. copied: what is lost was there before it
    began, so that it has copied some of it; else it came afterwards."""

    def lose() -> None:
        for statement in LOST:
            world.source(statement)

    replica.miss_what_follows()
    before = world.source(NEXT_ID)
    if copied:
        lose()

    def fail_over() -> None:
        if not copied:
            lose()
        replica.take_over()
        world.pair = Pair(replica.url(world.pair.source), world.pair.target)
        assert str(world.source(NEXT_ID)) <= str(before)  # the lost ones' ids are free again
        for statement in INSTEAD:
            world.source(statement)
        world.environment.source_url = world.pair.source
        world.environment.save()

    return walks.held_up(world, fail_over)


def beside_the_source(world: World, promise: Promise) -> tuple[int, int]:
    """(rows of the target whose source row is not there, that are not like theirs), by plain SQL; no key is missing or
    there twice."""
    meant = {key: values for key, *values in world.source(promise.source_rows)}
    came = [(key, values) for key, _, *values in world.target(promise.target_rows)]
    assert max(Counter(key for key, _ in came).values()) == 1
    assert meant.keys() <= {key for key, _ in came}
    return sum(key not in meant for key, _ in came), sum(
        key in meant and values != meant[key] for key, values in came
    )


def found(run: Run) -> tuple[int, int, int]:
    """(missing, extra, different) of the only table, as the report says."""
    table = run.tables.get()
    return table.missing, table.extra, table.different


def family(world: World, walk: str) -> World:
    """Rows that point to each other and rows that point to these."""
    world.source(walks.SOURCE)
    world.target(walks.TARGET)
    world.source("ALTER TABLE item ADD before uuid REFERENCES item DEFERRABLE INITIALLY DEFERRED")
    world.source("UPDATE item SET before = md5((number % 2000 + 1)::text)::uuid WHERE number > 1")
    world.source("CREATE TABLE note (id uuid PRIMARY KEY, item uuid REFERENCES item, said text)")
    world.source("INSERT INTO note SELECT gen_random_uuid(), id, label FROM item WHERE number < 2500")
    world.target("ALTER TABLE thing ADD before bigint REFERENCES thing")
    world.target(
        "CREATE TABLE remark (id bigserial PRIMARY KEY, thing bigint NOT NULL REFERENCES thing, said text)"
    )
    mapping = walks.FAMILY.replace("LINK", "").replace("walk: pages", f"walk: {walk}")
    world.define(mapping, walks.PROMISE, replace(walks.REMARKS, has_map=True))
    return world


def without_what_follows(world: World, replica: Replica, event: str, begin: Callable[[], Run]) -> Run:
    """A run that was paused, and whose target is replaced by one that has not got the chunk that was under way."""
    row = "OLD" if event == "DELETE" else "NEW"
    with closed_gate(world.pair.target, "thing", f"{row}.number = 1200", event) as gate:
        run = begin()
        run.tables.update(chunk_rows=walks.CHUNK)
        with meanwhile(partial(work, run)):
            gate.wait_for_somebody()
            replica.miss_what_follows()
            runs.pause(fresh(run), None)
            gate.open()
    assert work(run).status == "paused"
    with_another_target(world, replica)
    runs.resume(fresh(run), None)
    return work(run)


def with_another_target(world: World, replica: Replica) -> None:
    replica.take_over()
    world.pair = Pair(world.pair.source, replica.url(world.pair.target))
    world.environment.target_url = world.pair.target
    world.environment.save()


@pytest.mark.parametrize("event", ["INSERT", "UPDATE"], ids=["while it copied", "while it linked"])
@WALKS
def test_a_target_that_forgot_chunks(
    replica: Replica, databases: Databases, walk: str, event: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are done once more, before any row misses its parent, and the run says so."""
    monkeypatch.setattr(late_indexes, "WORTH_ROWS", 1_000)
    world = family(World(Pair(databases.fresh(), Databases(replica.primary).fresh())), walk)
    run = without_what_follows(world, replica, event, world.start)
    assert (run.status, world.complaints()) == ("verified", []), said(run)
    assert any(FORGOTTEN[1:] in text for text in said(run))
    assert not any("too late" in text for text in said(run))
    assert {table.name: table.inserted for table in run.tables.all()} == {"item": 3_000, "note": 2_499}
    assert world.rolled_back(run).status == "rolled_back"
    assert world.target("SELECT count(*) FROM thing") == [(0,)]


def test_a_target_that_forgot_what_was_verified(replica: Replica, databases: Databases) -> None:
    """A verification names what is missing, and a repair brings it."""
    world = family(World(Pair(databases.fresh(), Databases(replica.primary).fresh())), "pages")
    run = walks.held_up(world, replica.miss_what_follows)
    assert run.status == "verified"
    with_another_target(world, replica)
    runs.verify(fresh(run), None)
    run = work(run)
    assert run.status == "mismatch"
    assert run.tables.get(name="item").missing == 3_000 - int(
        str(world.target("SELECT count(*) FROM thing")[0][0])
    )
    runs.repair(run, None)
    run = work(run)
    assert (run.status, world.complaints()) == ("verified", []), said(run)
    assert any(FORGOTTEN[1:] in text for text in said(run))


def test_a_target_that_forgot_that_rows_were_taken_back(replica: Replica, databases: Databases) -> None:
    world = family(World(Pair(databases.fresh(), Databases(replica.primary).fresh())), "pages")
    run = world.started()
    assert run.status == "verified"

    def roll_back() -> Run:
        runs.roll_back(fresh(run), None)
        return run

    run = without_what_follows(world, replica, "DELETE", roll_back)
    assert run.status == "rolled_back", run.error
    assert world.target("SELECT count(*) FROM thing") == world.target("SELECT count(*) FROM remark") == [(0,)]
    assert any(FORGOTTEN[1:] in text for text in said(run))


def test_a_target_that_forgot_a_schema_step(
    replica: Replica, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run fails at what is not there, and can be taken back and started again."""
    world = family(World(Pair(databases.fresh(), Databases(replica.primary).fresh())), "pages")
    take = prepare._take_steps

    def miss_and_take(session: Session) -> bool:
        replica.miss_what_follows()
        return take(session)

    monkeypatch.setattr(prepare, "_take_steps", miss_and_take)
    run = walks.held_up(world, lambda: runs.pause(world.environment.runs.get(), None))
    monkeypatch.undo()
    with_another_target(world, replica)
    runs.resume(fresh(run), None)
    run = work(run)
    assert run.status == "failed" and '"source_table_id" of relation "thing" does not exist' in run.error
    assert any(FORGOTTEN[1:] in text for text in said(run))
    assert world.rolled_back(run).status == "rolled_back"
    run = world.started()
    assert (run.status, world.complaints()) == ("verified", []), said(run)
