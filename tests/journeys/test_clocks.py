"""The clock of a host is off: what a run's times say does not follow it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from tests.journeys.stock import open_stock
from tests.journeys.world import NewWorld, fresh, work


@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_worker_whose_clock_is_off(
    new_world: NewWorld, minutes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started by a host whose clock is right, worked on by one whose clock is not, and looked at by the first."""
    right = timezone.now
    stock = open_stock(new_world("one"))
    run = stock.start()
    with monkeypatch.context() as off:
        off.setattr(timezone, "now", lambda: right() + timedelta(minutes=minutes))
        assert work(run).status == "verified"
    run = fresh(run)
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        by_the_database = cursor.fetchone()[0]
    report = run.reports.get()
    times = [
        run.created,
        run.started,
        run.finished,
        report.created,
        *(event.at for event in run.events.all()),
    ]
    assert all(by_the_database - timedelta(minutes=5) < at <= by_the_database for at in times if at)
    spent = [run.prepare_seconds, run.copy_seconds, run.verify_seconds, report.seconds]
    assert all(0 <= seconds < 120 for seconds in spent)
