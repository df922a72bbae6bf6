"""PostgreSQL crashes in the middle of a chunk: the target, the source, or our own; and one worker holds nobody up."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

import pytest
from django.db import connection, connections
from django.db.utils import DatabaseError

from jobs.models import Run
from migrator_site.embedded import Postgres
from tests.conftest import Databases, Pair
from tests.journeys.gate import closed_gate, meanwhile, wait_for
from tests.journeys.processes import Processes, ended
from tests.journeys.stock import BY_PAGES, IN_A_LATER_CHUNK, MAPPING, open_stock
from tests.journeys.world import Layout, NewWorld, World, execute, fresh, said, work


@pytest.mark.parametrize("layout", ["one", "two"])
def test_while_one_worker_is_held_up_the_others_go_on(new_world: NewWorld, layout: Layout) -> None:
    stock = open_stock(new_world(layout))
    with closed_gate(stock.pair.target, "thing", IN_A_LATER_CHUNK) as gate, ExitStack() as crew:
        run = stock.start()
        run.tables.update(chunk_rows=1_000)
        for number in range(4):
            crew.enter_context(meanwhile(partial(work, run, f"worker {number}")))
        gate.wait_for_somebody()
        wait_for(lambda: stock.target("SELECT 1 FROM thing WHERE number = 29000"))
        gate.open()
    assert fresh(run).status == "verified"
    assert stock.complaints() == []


@pytest.mark.parametrize(("layout", "mapping"), [("one", BY_PAGES), ("two", MAPPING)], ids=["one", "two"])
def test_a_target_that_crashes_in_the_middle_of_a_chunk(
    crashing: Postgres, databases: Databases, layout: str, mapping: str
) -> None:
    crashing.create_database("target")
    target = crashing.url("target")
    stock = open_stock(World(Pair(databases.fresh() if layout == "two" else target, target)), mapping)
    with closed_gate(target, "thing", IN_A_LATER_CHUNK) as gate:
        run = stock.start()
        with meanwhile(lambda: work(run)):
            gate.wait_for_somebody()
            crashing.stop("immediate")
            wait_for(lambda: Run.objects.get(pk=run.pk).waiting_for)
            crashing.start()
    assert fresh(run).status == "verified"
    assert fresh(run).waiting_for == ""
    assert any("SQLSTATE 57P0" in text or "SQLSTATE 08" in text for text in said(run))
    assert stock.complaints() == []


@pytest.mark.faults
@pytest.mark.parametrize("mapping", [MAPPING, BY_PAGES], ids=["keys", "pages"])
def test_a_source_that_crashes_in_the_middle_of_a_chunk(
    crashing: Postgres, databases: Databases, mapping: str
) -> None:
    crashing.create_database("source")
    stock = open_stock(World(Pair(crashing.url("source"), databases.fresh())), mapping)
    with closed_gate(stock.pair.target, "thing", IN_A_LATER_CHUNK) as gate:
        run = stock.start()
        with meanwhile(lambda: work(run)):
            gate.wait_for_somebody()
            crashing.stop("immediate")
            gate.open()
            wait_for(lambda: Run.objects.get(pk=run.pk).waiting_for)
            crashing.start()
    assert fresh(run).status == "verified"
    assert stock.complaints() == []


@pytest.mark.faults
def test_our_own_database_that_crashes_in_the_middle_of_a_chunk(
    pg18: Postgres, crashing: Postgres, processes: Processes
) -> None:
    for name in ("source", "target"):
        crashing.create_database(name)
    # The tests' servers forget the last commits in a crash, for speed; ours must not.
    control = connection.settings_dict["NAME"]
    execute(pg18.url("postgres"), f"ALTER DATABASE {control} SET synchronous_commit = on")
    connections.close_all()
    stock = open_stock(World(Pair(crashing.url("source"), crashing.url("target"))))
    processes.worker()
    with closed_gate(stock.pair.target, "thing", IN_A_LATER_CHUNK) as gate:
        run = stock.start()
        gate.wait_for_somebody()
        connections.close_all()
        pg18.stop("immediate")
        gate.open()
        wait_for(lambda: stock.target("SELECT 1 FROM thing WHERE number = 12345"))
        pg18.start()
    processes.sweeper()
    wait_for(lambda: can_be_asked(run))
    assert ended(run) == "verified"
    assert stock.complaints() == []


def can_be_asked(run: Run) -> bool:
    """Whether our own database answers again."""
    try:
        return bool(fresh(run))
    except DatabaseError:
        connections.close_all()
        return False
