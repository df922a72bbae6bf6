"""When a connection to our own database is given up."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.running.lost_connections import connection_watchdog
from jobs.running.lost_connections.connection_watchdog import Lifeline


def test_one_that_was_idle_for_long_and_has_just_been_asked_is_not_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker that was frozen asks as soon as it wakes up: only two looks in a row tell that nobody answers."""
    conn: Any = object()
    waiting, cut = [True, False, True, True], []
    monkeypatch.setattr(connection_watchdog, "waits", lambda _: waiting.pop(0))
    monkeypatch.setattr(connection_watchdog, "is_silent", lambda _: True)
    monkeypatch.setattr(connection_watchdog, "cut", lambda found, _: cut.append(found))
    line = Lifeline("token", (), (conn,))
    for _ in range(3):
        line._look()
        assert cut == []
    line._look()
    assert cut == [conn]
