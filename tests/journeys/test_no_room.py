"""A disk that is really full, a server that takes no more connections: paused with the reason, resumed by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import pytest

from jobs.actions import runs
from migrator_site.embedded import Postgres
from tests.conftest import Pair
from tests.journeys.stock import MAPPING, PROMISE, SOURCE, TARGET
from tests.journeys.world import NewWorld, World, execute, fresh, work


@contextmanager
def no_room(server: Postgres, shop: World, table: str) -> Iterator[None]:
    """The table, which is empty, has the kernel's full device as its file, on which no write finds room."""
    shop.target(f"TRUNCATE {table}")
    ((name,),) = shop.target(f"SELECT pg_relation_filepath('{table}')")
    file = server.data / str(name)
    file.unlink()
    file.symlink_to("/dev/full")
    yield
    file.unlink()
    file.touch(mode=0o600)
    server.account.owns(file)


def test_a_full_disk_pauses_the_run_until_there_is_room(shop: World, pg18: Postgres) -> None:
    with no_room(pg18, shop, "crm.sale"):
        run = shop.started()
        assert run.status == "paused"
        assert "No space left on device" in run.error
        assert "(SQLSTATE 53100)" in run.error
        runs.resume(run, None)
        assert work(run).status == "paused"
        assert run.tables.get(name="customer").inserted == 48
    runs.resume(fresh(run), None)
    assert work(run).status == "verified"
    assert shop.complaints() == []


@pytest.fixture
def small_role(new_world: NewWorld, pg18: Postgres) -> Iterator[World]:
    """The stock, reached by a role that owns the target and whose connections can be limited."""
    stock = new_world("two")
    parts = urlsplit(stock.pair.target)
    role, target = f"mover_{parts.path[1:]}", parts.path[1:]
    stock.target(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'; ALTER DATABASE {target} OWNER TO {role}")
    url = urlunsplit(parts._replace(netloc=f"{role}:secret@{parts.hostname}:{parts.port}"))
    execute(url, TARGET)
    stock.pair = Pair(stock.pair.source, url)
    stock.environment.target_url = url
    stock.environment.save()
    yield stock
    execute(pg18.url("postgres"), f"DROP DATABASE {target} WITH (FORCE)")
    execute(pg18.url("postgres"), f"DROP ROLE {role}")


def test_too_many_connections_pause_the_run_until_there_are_some(small_role: World, pg18: Postgres) -> None:
    stock = small_role
    stock.source(SOURCE % 500)
    stock.define(MAPPING, PROMISE)
    limit = f"ALTER ROLE {urlsplit(stock.pair.target).username} CONNECTION LIMIT"
    run = stock.start()
    execute(pg18.url("postgres"), f"{limit} 0")
    assert work(run).status == "paused"
    assert "no free connection left" in fresh(run).error
    execute(pg18.url("postgres"), f"{limit} -1")
    runs.resume(fresh(run), None)
    assert work(run).status == "verified"
    assert stock.complaints() == []
