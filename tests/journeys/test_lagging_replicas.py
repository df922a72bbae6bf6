"""A replica of the target: a run waits for one that really lags, and goes on in one that takes the target's place."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from jobs.actions import runs
from jobs.models import Run
from jobs.throttles import Throttles
from migrator_site.embedded import Postgres
from tests.conftest import Databases, Pair
from tests.journeys.gate import meanwhile, wait_for
from tests.journeys.replicas import replica_of
from tests.journeys.stock import open_stock, paused_half_way
from tests.journeys.world import World, execute, fresh, work

pytestmark = pytest.mark.faults

DELAY_SECONDS = 2
WRITE = "SELECT pg_logical_emit_message(true, 'test', 'something to replay')"
LAGS = "SELECT 1 FROM pg_stat_replication WHERE replay_lag > interval '1.5 s'"


@pytest.fixture
def replicated(crashing: Postgres) -> Iterator[tuple[Postgres, int]]:
    """A server with a streaming replica that applies every commit two seconds late; and that one's port."""
    with replica_of(crashing, recovery_min_apply_delay=f"{DELAY_SECONDS}s") as replica:
        yield crashing, replica.port


def held(stock: World, **throttles: float) -> Run:
    """A run that waited for the replica and went on by itself."""
    run = runs.start(stock.mapping, stock.environment, None, throttles=Throttles(**throttles))  # type: ignore[arg-type]
    with meanwhile(partial(work, run)):
        wait_for(lambda: "waiting because a replica of the target lags" in fresh(run).waits_because)
    run = fresh(run)
    assert (run.status, run.waits_because) == ("verified", "")
    return run


def test_a_run_waits_for_a_replica_that_lags(replicated: tuple[Postgres, int], databases: Databases) -> None:
    made = Databases(replicated[0])
    stock = open_stock(World(Pair(databases.fresh(), made.fresh())), rows=500)
    held(stock, replication_lag_bytes=0)
    wait_for(
        lambda: execute(stock.pair.target, WRITE) and execute(stock.pair.target, LAGS)
    )  # known once replayed
    held(stock, replication_lag_seconds=1)
    assert stock.complaints() == []


def test_a_replica_takes_the_targets_place_in_the_middle_of_a_run(
    replicated: tuple[Postgres, int], databases: Databases
) -> None:
    """While it is a standby the run waits, and says so; once it is promoted the run goes on where it was."""
    primary, port = replicated
    stock = open_stock(World(Pair(databases.fresh(), Databases(primary).fresh())))
    run = paused_half_way(stock)
    old = stock.pair.target
    stock.pair = Pair(stock.pair.source, old.replace(f":{primary.port}/", f":{port}/"))
    primary.stop("fast")  # not before its replica has everything
    stock.environment.target_url = stock.pair.target
    stock.environment.save()
    runs.resume(run, None)
    with meanwhile(partial(work, run)):
        wait_for(lambda: "is a standby" in fresh(run).waits_because)
        execute(stock.pair.target, "SELECT pg_promote()")
    assert fresh(run).status == "verified"
    assert stock.complaints() == []
