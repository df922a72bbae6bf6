"""As many workers have chunks of a run at once as bring something: measured, kept, and none is missed that dies."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import pytest
from django.conf import LazySettings
from django.test import Client
from django.utils import timezone

from jobs import concurrency
from jobs.concurrency import Concurrency
from jobs.engine.moving import ranges
from jobs.models import Chunk, Run, Seat
from jobs.processes import seats
from jobs.reporting import summary
from jobs.running import claims, runner
from jobs.running.admission import limits
from jobs.running.session import Session, opened
from tests import factories
from tests.journeys.gate import meanwhile
from tests.journeys.stock import open_stock, paused_half_way
from tests.journeys.world import NewWorld, World, fresh, work

CHUNK = 200
NAMES = ("w1", "w2", "w3", "w4")

# It sleeps for far longer than a chunk takes else, however busy the machine is.
TRIGGER = """
CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS
  $$BEGIN {lock} PERFORM pg_sleep(0.4); RETURN NULL; END$$;
CREATE TRIGGER slow AFTER INSERT ON thing FOR EACH STATEMENT EXECUTE FUNCTION public.slow();
"""
ONE_BY_ONE = "PERFORM pg_advisory_xact_lock(4712);"


@pytest.fixture
def four(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seats for four, chunks of few rows that count as those of a long table, and decisions within moments."""
    settings.FEW_ROWS = 0
    monkeypatch.setattr(ranges, "LARGEST", CHUNK)
    monkeypatch.setattr(concurrency, "MEASURED_SECONDS", 0.5)
    monkeypatch.setattr(concurrency, "WORTH_SECONDS", 0.0)
    monkeypatch.setattr(limits, "LOOK_EVERY", 0.05)
    monkeypatch.setattr(limits, "REST_SECONDS", 0.0)
    for name in NAMES:
        Seat.objects.create(name=name, queue=seats.queue_name(name), host="here", pid=1, seen=timezone.now())


def worked_by_four(world: World) -> Run:
    run = world.start()
    run.tables.update(chunk_rows=CHUNK)
    with ExitStack() as stack:
        for name in NAMES:
            stack.enter_context(meanwhile(partial(work, run, name)))
    run = fresh(run)
    assert run.status == "verified"
    assert world.complaints() == []
    return run


def copied(run: Run) -> list[Chunk]:
    return list(Chunk.objects.filter(table__run=run, phase="copy"))


def most_at_once(chunks: list[Chunk], since: float = 0.0) -> int:
    """How many of the chunks that were begun since were under way at one moment, at the most."""
    ends = [(chunk.seen.timestamp(), chunk.seconds) for chunk in chunks if chunk.seen]
    spans = [(end - seconds, end) for end, seconds in ends if end - seconds >= since]
    return max(sum(low <= begin < high for low, high in spans) for begin, _ in spans)


@contextmanager
def decisions(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Concurrency]]:
    """What is stored in the meantime, in that order."""
    found: list[Concurrency] = []
    kept: Callable[[Run, Concurrency], bool] = limits._kept

    def note(run: Run, following: Concurrency) -> bool:
        result = kept(run, following)
        if result:
            found.append(following)
        return result

    monkeypatch.setattr(limits, "_kept", note)
    yield found


def test_where_writers_go_one_by_one_it_ends_at_two(
    four: None, new_world: NewWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = open_stock(new_world("one"), rows=12_000)
    world.target(TRIGGER.format(lock=ONE_BY_ONE))
    with decisions(monkeypatch) as found:
        run = worked_by_four(world)
    of_copy = [one for one in found if one.stage == "copy"]
    assert [(one.limit, one.before) for one in of_copy] == [(2, 0), (4, 2), (2, 0)]
    last = of_copy[-1]
    assert last.tried == 4
    chunks = copied(run)
    assert most_at_once(chunks) > 2  # they were tried
    longest = max(chunk.seconds for chunk in chunks)
    assert most_at_once(chunks, last.since + longest) <= 2


def test_where_each_brings_more_all_are_at_work(
    four: None, new_world: NewWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = open_stock(new_world("one"), rows=20_000)
    world.target(TRIGGER.format(lock=""))
    with decisions(monkeypatch) as found:
        run = worked_by_four(world)
    of_copy = [one for one in found if one.stage == "copy"]
    assert [(one.limit, one.before) for one in of_copy] == [(2, 0), (4, 2), (4, 0)]
    chunks = copied(run)
    assert len({chunk.worker for chunk in chunks}) == len(NAMES)
    assert most_at_once(chunks, of_copy[-1].since) == len(NAMES)


@pytest.fixture
def held(four: None, new_world: NewWorld, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Run, ExitStack]]:
    """A run in the middle of its copy, of which w1 and w2 hold a chunk each; w1's session ends with the stack."""
    monkeypatch.setattr(concurrency, "MEASURED_SECONDS", 1_000.0)
    world = open_stock(new_world("one"))
    run = paused_half_way(world)
    Run.objects.filter(pk=run.pk).update(status="copying", stage_since=timezone.now())
    with opened(fresh(run), "w2") as second, ExitStack() as stack:
        assert taken(stack.enter_context(opened(fresh(run), "w1")))
        assert taken(second)
        yield run, stack


def taken(session: Session) -> Chunk | None:
    (table,) = claims.surveyed(session.run)
    return claims.claim(session, table, table.busy + limits.room(session.run, [table]))


def tries(run: Run, worker: str, seconds: float = 6.0) -> int:
    """How many chunks the worker gets in so many seconds."""
    runner.advance(run.pk, worker, time.monotonic() + seconds)
    return Chunk.objects.filter(table__run=run, worker__startswith=f"{worker}-").count()


def test_who_is_not_let_in_has_no_chunk_and_opens_nothing(
    held: tuple[Run, ExitStack], monkeypatch: pytest.MonkeyPatch, settings: LazySettings, client: Client
) -> None:
    run, _ = held
    with monkeypatch.context() as patched:
        patched.setattr(runner, "opened", None)
        assert tries(run, "w3", 2.5) == 0
    with opened(fresh(run), "w4") as session:  # nor at the claim itself
        assert taken(session) is None
    state = Concurrency(2, "copy", time.time(), 4, tried=4, rate=1000, tried_rate=990, again=time.time() + 60)
    Run.objects.filter(pk=run.pk).update(concurrency=state.to_json())
    told = "2 of 4 workers: more brought nothing (1,000 and 990 rows a second with 2 and 4)"
    assert told in summary.text(fresh(run), width=200)
    client.force_login(factories.make_user())
    assert told in client.get(f"/runs/{run.pk}/").content.decode()
    settings.FEW_ROWS = 1_000_000
    assert tries(run, "w3") > 0


def test_who_dies_is_replaced(held: tuple[Run, ExitStack]) -> None:
    run, first = held
    lost = Chunk.objects.get(table__run=run, state="claimed", worker__startswith="w1-")
    first.close()
    seats.abandon_claims("w1")
    assert tries(run, "w3") > 1
    assert Chunk.objects.get(pk=lost.pk).worker.startswith("w3-")
    assert Chunk.objects.filter(table__run=run, state="claimed", worker__startswith="w2-").count() == 1
