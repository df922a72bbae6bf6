"""Worlds for the journeys: one or two databases, ready to be filled."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from jobs.processes import doorbell, stop_signals
from migrator_site.embedded import Postgres, Valkey
from tests.conftest import Databases
from tests.journeys.processes import Processes
from tests.journeys.shop import open_shop
from tests.journeys.stock import BY_PAGES, MAPPING, open_stock
from tests.journeys.world import NewWorld, World


@pytest.fixture(autouse=True)
def empty_redis(transactional_db: None) -> Iterator[Redis]:
    """An empty Redis before and after."""
    with doorbell.connect() as client:
        client.flushall()
        yield client
        client.flushall()
    stop_signals.reset()


@pytest.fixture
def new_world(databases: Databases) -> NewWorld:
    """Makes an empty world in that layout."""
    return lambda layout: World(databases.pair(layout))


@pytest.fixture(params=["one", "two"])
def world(request: pytest.FixtureRequest, new_world: NewWorld) -> World:
    """An empty world, in one and in two databases."""
    return new_world(request.param)


ONE_LAYOUT = pytest.mark.parametrize("world", ["two"], indirect=True)
"""For what the control database or the target alone decides: across two databases only."""


@pytest.fixture
def shop(world: World) -> World:
    """The shop, in one and in two databases."""
    return open_shop(world)


@pytest.fixture
def stock(world: World, request: pytest.FixtureRequest) -> World:
    """The large table, in one and in two databases; by the mapping that a test is parametrized with."""
    return open_stock(world, getattr(request, "param", MAPPING))


PAGES_TOO = pytest.mark.parametrize(
    ("world", "stock"), [("one", MAPPING), ("two", MAPPING), ("two", BY_PAGES)], indirect=True,
    ids=["one", "two", "pages"],
)  # fmt: skip
"""For faults in the middle of a copy: by keys in both layouts, and by pages."""

ONE_BY_PAGES = pytest.mark.parametrize(
    ("world", "stock"), [("one", BY_PAGES), ("two", MAPPING)], indirect=True, ids=["pages", "two"]
)
"""For those that take long: by pages in one database, by keys between two."""


@pytest.fixture
def processes(pg18: Postgres, valkey: Valkey, tmp_path: Path) -> Iterator[Processes]:
    """Starts workers and sweepers; their output is shown with a failure."""
    made = Processes(pg18, valkey, tmp_path / "log")
    yield made
    made.end()
    if made.log.exists():
        print(made.log.read_text()[-4000:])


@pytest.fixture
def crashing() -> Iterator[Postgres]:
    """A PostgreSQL of its own, that keeps what was committed when it crashes."""
    home = Path(tempfile.mkdtemp(prefix="migrator-crash-"))
    server = Postgres(home)
    server.start()
    yield server
    server.stop("immediate")
    for pointer in home.glob("*.elsewhere"):
        shutil.rmtree(pointer.read_text().strip())
    shutil.rmtree(home)
