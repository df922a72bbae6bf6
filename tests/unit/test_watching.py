"""What dies is started again, less and less eagerly."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from migrator_site.binaries import EmbeddedError
from migrator_site.watching import Watched, how_it_ended


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    return clock


def ended(code: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(["/bin/sh", "-c", f"exit {code}"])
    process.wait()
    return process


def test_the_delay_doubles_up_to_five_seconds(clock: Clock) -> None:
    watched = Watched("web", lambda: ended(3), Path("web.log"))
    watched.begin()
    delays = []
    for _ in range(9):
        sentence = watched.look()
        assert sentence is not None and "exit status 3" in sentence and "web.log" in sentence
        delays.append(float(sentence.split(" in ")[1].split(" s.")[0]))
        clock.now += delays[-1] - 0.01
        assert watched.look() is None, "not before it is due"
        clock.now += 0.02
        assert watched.look() == "web is started again."
    assert delays == [0.5, 1, 2, 4, 5, 5, 5, 5, 5]


def test_some_seconds_up_are_a_new_beginning(clock: Clock) -> None:
    watched = Watched("web", lambda: ended(1), Path("web.log"))
    watched.begin()
    for _ in range(4):
        watched.look()
        clock.now += 6
    clock.now += 11
    sentence = watched.look()
    assert sentence is not None and "in 0.5 s" in sentence


def test_a_server_that_cannot_start_is_tried_again(clock: Clock) -> None:
    answers: list[Exception | None] = [None, EmbeddedError("no room"), None]

    def start() -> subprocess.Popen[bytes]:
        if problem := answers.pop(0):
            raise problem
        return ended(1)

    watched = Watched("PostgreSQL", start, Path("log"))
    watched.begin()
    watched.look()
    clock.now += 1
    assert "no room" in str(watched.look())
    clock.now += 2
    assert watched.look() == "PostgreSQL is started again."


def test_how_it_ended_is_said_in_words() -> None:
    assert how_it_ended(-9) == "SIGKILL"
    assert how_it_ended(2) == "exit status 2"
