"""Faults of all kinds, one after the other at random, while four workers copy and then take it back."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from subprocess import Popen

import psycopg
import pytest
from redis import Redis

from jobs.actions import runs
from jobs.models import Run
from migrator_site.embedded import Postgres, Valkey
from tests.conftest import Pair
from tests.journeys.processes import Processes, children, freeze, kill, thaw
from tests.journeys.stock import open_stock
from tests.journeys.world import World, fresh, said

WORKERS = ("one", "two", "three", "four")
ROWS = 40_000
FAULTS = int(os.environ.get("SOAK_FAULTS", "8"))
SEED = int(os.environ.get("SOAK_SEED", "0")) or random.randrange(1, 1_000_000)
SLOW = """
CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN PERFORM pg_sleep(0.3); RETURN coalesce(NEW, OLD); END';
CREATE TRIGGER slow BEFORE INSERT ON thing FOR EACH ROW WHEN (NEW.number % 1000 = 0) EXECUTE FUNCTION public.slow();
CREATE TRIGGER slow_back BEFORE DELETE ON thing FOR EACH ROW WHEN (OLD.number % 1000 = 0)
  EXECUTE FUNCTION public.slow();
"""
PATIENCE_SECONDS = 150
OURS = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'migrator %' AND pid <> pg_backend_pid()"


class Storm:
    """Four workers on a seat each, and what befalls them. Whoever dies is started again, as `make up` does."""

    def __init__(self, processes: Processes, postgres: Postgres, redis: Redis, valkey: Valkey) -> None:
        self.processes, self.postgres, self.redis, self.valkey = processes, postgres, redis, valkey
        self.chance = random.Random(SEED)
        self.workers = {name: processes.worker(name) for name in WORKERS}
        self.frozen: dict[int, float] = {}
        self.log: list[str] = []

    def rage(self, run: Run) -> None:
        """Fault after fault until there were enough of them or the run has ended."""
        kinds: list[Callable[[], str]] = [
            self.kill_horse, self.kill_horse, self.kill_worker, self.freeze_worker, self.end_sessions,
            self.flush_redis, self.restart_redis, self.crash_postgres,
        ]  # fmt: skip
        for _ in range(FAULTS):
            time.sleep(self.chance.uniform(0.2, 2.5))
            self.mend()
            if not fresh(run).is_active:
                return
            fault = self.chance.choice(kinds)
            self.log.append(f"{fresh(run).status}: {fault.__name__} {fault()}")

    def end(self, run: Run) -> str:
        """No more faults: the status in which the run comes to rest. Tried too often, it is retried by its button."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            self.mend()
            found = fresh(run)
            if found.status == "failed" and " failed 5 times" in found.error:
                self.log.append(f"retry: {found.error}")
                runs.retry(found, None)
            elif not found.is_active:
                return found.status
            assert time.monotonic() < until, "the run does not end"
            time.sleep(0.2)

    def mend(self) -> None:
        """What has frozen long enough goes on; what has died is there again."""
        for pid, until in list(self.frozen.items()):
            if time.monotonic() > until:
                del self.frozen[pid]
                with suppress(ProcessLookupError):
                    thaw(pid)
        for name, worker in self.workers.items():
            if worker.poll() is not None:
                self.workers[name] = self.processes.worker(name)

    def one(self) -> Popen[bytes]:
        return self.chance.choice([worker for worker in self.workers.values() if worker.poll() is None])

    def kill_horse(self) -> str:
        horses = [pid for worker in self.workers.values() for pid in children(worker)]
        for pid in horses[:1] and [self.chance.choice(horses)]:
            with suppress(ProcessLookupError):
                kill(pid)
        return str(len(horses))

    def kill_worker(self) -> str:
        worker = self.one()
        worker.kill()
        worker.wait()
        return str(worker.pid)

    def freeze_worker(self) -> str:
        worker, seconds = self.one(), self.chance.choice([2, 12])
        for pid in (*children(worker), worker.pid):
            with suppress(ProcessLookupError):
                freeze(pid)
                self.frozen[pid] = time.monotonic() + seconds
        return f"{worker.pid} for {seconds} s"

    def end_sessions(self) -> str:
        with psycopg.connect(self.postgres.url("target"), autocommit=True) as conn:
            pids = [row[0] for row in conn.execute(OURS)]
            chosen = self.chance.sample(pids, min(2, len(pids)))
            conn.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", [chosen])
        return f"{len(chosen)} of {len(pids)}"

    def flush_redis(self) -> str:
        self.redis.flushall()
        return ""

    def restart_redis(self) -> str:
        self.valkey.stop("immediate")
        time.sleep(self.chance.uniform(0, 3))
        self.valkey.start()
        return ""

    def crash_postgres(self) -> str:
        self.postgres.stop("immediate")
        time.sleep(self.chance.uniform(0, 2))
        self.postgres.start()
        return ""


@contextmanager
def told(storm: Storm, run: Run) -> Iterator[None]:
    """The seed and all that happened, shown with a failure."""
    try:
        yield
    finally:
        found = fresh(run)
        print(f"SOAK_SEED={SEED}", *storm.log, f"{found.status}: {found.error}", *said(run), sep="\n")


@pytest.mark.faults
def test_faults_of_all_kinds_in_any_order(
    crashing: Postgres, processes: Processes, empty_redis: Redis, valkey: Valkey
) -> None:
    for name in ("source", "target"):
        crashing.create_database(name)
    target = crashing.url("target")
    source = target if SEED % 2 else crashing.url("source")
    stock = open_stock(World(Pair(source, target)), rows=ROWS)
    stock.target(SLOW)
    before = stock.shape()
    processes.slice_shortly()
    processes.sweeper()
    storm = Storm(processes, crashing, empty_redis, valkey)
    run = stock.start()
    run.tables.update(chunk_rows=1_000)
    with told(storm, run):
        storm.rage(run)
        assert storm.end(run) == "verified"
        assert stock.complaints() == []
        runs.roll_back(fresh(run), None)
        storm.rage(run)
        assert storm.end(run) == "rolled_back"
        assert stock.target("SELECT count(*) FROM thing") == [(0,)]
        assert stock.target("SELECT count(*) FROM migrator.migration_map") == [(0,)]
        assert stock.shape() == before
