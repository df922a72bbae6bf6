"""The way to the target is cut or swallows all: the ledger says what was committed, and nothing waits for ever."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Literal

import pytest

from jobs import progress
from jobs.models import Run
from jobs.reporting import follow
from jobs.running.lost_connections import connection_watchdog
from tests.journeys.conftest import PAGES_TOO
from tests.journeys.gate import Gate, closed_gate, meanwhile, wait_for
from tests.journeys.proxy import Proxy
from tests.journeys.stock import IN_A_LATER_CHUNK, held_up
from tests.journeys.world import World, counts, fresh, said, work


@pytest.fixture
def proxy(stock: World) -> Iterator[Proxy]:
    """Between the product and the target."""
    made = Proxy(stock.pair.target)
    if stock.pair.source == stock.pair.target:
        stock.environment.source_url = made.url
    stock.environment.target_url = made.url
    stock.environment.save()
    yield made
    made.close()


def in_a_later_chunk(stock: World, gate: Gate, run: Run) -> None:
    """Waits until the run stands in a later chunk."""
    gate.wait_for_somebody()
    assert fresh(run).status == "copying"


@PAGES_TOO
@pytest.mark.parametrize("when", ["before", "after", "between"])
def test_a_connection_cut_during_commit(
    stock: World, proxy: Proxy, when: Literal["before", "after", "between"]
) -> None:
    with closed_gate(stock.pair.target, "thing", IN_A_LATER_CHUNK) as gate:
        run = stock.start()
        with meanwhile(lambda: work(run)):
            in_a_later_chunk(stock, gate, run)
            proxy.cut(when)
            gate.open()
            proxy.wait_for_the_cut()
            if (
                when == "between"
            ):  # the server hears of the COMMIT when the chunk is long done by another session
                wait_for(lambda: fresh(run).status == "verified")
                proxy.deliver()
    assert fresh(run).status == "verified"
    assert next(text for text in said(run) if "try" in text).startswith(
        f"item, chunk {held_up(run).number}, try 1"
    )
    assert counts(fresh(run)) == {"item": (30_000, 30_000)}
    assert stock.complaints() == []


def test_a_network_that_swallows_everything(
    stock: World, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_watchdog, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(connection_watchdog, "SILENT_SECONDS", 1.0)
    monkeypatch.setattr(connection_watchdog, "ANSWER_SECONDS", 1.0)
    with closed_gate(stock.pair.target, "thing", IN_A_LATER_CHUNK) as gate:
        run = stock.start()
        with meanwhile(lambda: work(run)):
            in_a_later_chunk(stock, gate, run)
            with proxy.stalled():
                gate.open()
                waits = wait_for(lambda: fresh(run).waiting_for)
            assert waits
    assert fresh(run).status == "verified"
    assert fresh(run).waiting_for == ""
    assert stock.complaints() == []


def test_a_run_says_that_its_target_gives_no_answer_before_it_is_given_up(stock: World, proxy: Proxy) -> None:
    """It is long until the connection is given up; the word is taken back when the target answers."""
    with closed_gate(stock.pair.target, "thing", IN_A_LATER_CHUNK) as gate:
        run = stock.start()
        with meanwhile(lambda: work(run)):
            in_a_later_chunk(stock, gate, run)
            with proxy.stalled():
                wait_for(lambda: fresh(run).waits_because == "waiting because the target gives no answer")
                assert fresh(run).status == "copying"
            wait_for(lambda: fresh(run).waiting_for == "")
            gate.open()
    assert fresh(run).status == "verified"
    assert not any("try 1" in text for text in said(run))
    assert stock.complaints() == []


def test_a_run_says_that_it_is_still_connecting(stock: World, proxy: Proxy) -> None:
    """Before the attempt has failed; whoever follows it is told at once, not with the next line."""
    run, told, stall = stock.start(), io.StringIO(), ExitStack()
    before = (fresh(run), progress.progress_of(run))
    stall.enter_context(proxy.stalled())
    with stall, meanwhile(lambda: work(run)):
        waiting = next(look for look in follow._looks(run.pk, told) if look[0].waiting_for)
        stall.close()
    follow._lines(iter([before, waiting]), told)
    side = "source" if stock.pair.source == stock.pair.target else "target"
    said_so = f"queued, waiting because the {side} gives no answer: still connecting to it"
    assert said_so in told.getvalue()
    assert (fresh(run).status, fresh(run).waiting_for) == ("verified", "")


def test_a_server_that_is_merely_slow_is_left_at_work(
    stock: World, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_watchdog, "LOOK_SECONDS", 0.3)
    monkeypatch.setattr(connection_watchdog, "SILENT_SECONDS", 1.0)
    looks: list[bool] = []
    asked = connection_watchdog.Lifeline._anybody_works

    def watched(line: connection_watchdog.Lifeline) -> bool:
        looks.append(asked(line))
        return looks[-1]

    monkeypatch.setattr(connection_watchdog.Lifeline, "_anybody_works", watched)
    with closed_gate(stock.pair.target, "thing", IN_A_LATER_CHUNK) as gate:
        run = stock.start()
        with meanwhile(lambda: work(run)):
            in_a_later_chunk(stock, gate, run)
            wait_for(lambda: len(looks) > 3)
            while_slow = looks.copy()  # a look at its very end may find it done
            gate.open()
    assert all(while_slow)
    assert fresh(run).status == "verified"
    assert not any("try 1" in text for text in said(run))
