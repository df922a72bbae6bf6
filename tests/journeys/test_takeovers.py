"""Who takes a run over: what the one before held is ended, and shut out of both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from django.utils import timezone

from jobs import actions
from jobs.engine.errors import Fenced
from jobs.models import Run
from jobs.session import Session, opened
from tests.journeys.stock import paused_half_way
from tests.journeys.world import World, fresh, said, work


@pytest.fixture
def paused(stock: World) -> Run:
    return paused_half_way(stock)


@pytest.fixture
def two(paused: Run) -> Iterator[tuple[Session, Session]]:
    """The sessions of two workers with one run. PostgreSQL keeps no ü in the name of a session."""
    with opened(fresh(paused), "früher") as first, opened(fresh(paused), "second") as second:
        yield first, second


def fall_silent(run: Run) -> None:
    """As if the holder of the lease had died."""
    Run.objects.filter(pk=run.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def test_a_lease_is_had_by_one_until_it_falls_silent(two: tuple[Session, Session], paused: Run) -> None:
    first, second = two
    assert first.lease()
    assert first.lease()
    assert not second.lease()
    fall_silent(paused)
    assert second.lease()
    with pytest.raises(psycopg.OperationalError):
        first.target.execute("SELECT 1")
    with pytest.raises(Fenced, match="taken the run over"), first.alone():
        raise AssertionError("two are alone")
    with second.alone():
        pass


def test_a_lease_that_was_given_back_ends_nobodys_session(two: tuple[Session, Session]) -> None:
    first, second = two
    assert first.lease()
    first.release()
    assert second.lease()
    first.target.execute("SELECT 1")


def test_a_takeover_that_died_between_the_databases_does_not_shut_everybody_out(
    stock: World, paused: Run
) -> None:
    stock.target("UPDATE migrator.run SET epoch = epoch + 1")
    actions.resume(paused, None)
    assert work(paused).status == "verified"
    assert sum("nothing was written" in text for text in said(paused)) == 1
    assert stock.complaints() == []
